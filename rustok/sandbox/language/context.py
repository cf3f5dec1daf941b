"""What a hook sees as `ctx`: reads it awaits, effects it records, a clock and chance that a replay repeats."""

import uuid
from collections.abc import Generator, Mapping
from datetime import datetime
from random import Random
from typing import Any

from rustok.sandbox.language.facades import Namespace
from rustok.sandbox.language.values import clean, size


class Stop(BaseException):
    """The run is over whatever the hook says: its fault is in the state."""


class State:
    """What one run has used and recorded."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self.call_limit, self.calls = limits["host_calls"], 0
        self.output_limit, self.bytes = limits["output_bytes"], 0
        self.log_limit, self.log_bytes, self.log_truncated = limits["log_bytes"], 0, False
        self.effects: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []
        self.fault: dict[str, Any] | None = None

    def too_large(self, used: int) -> dict[str, Any]:
        return self._over("output_too_large", self.output_limit, used, "return and record less")

    def count_call(self) -> None:
        self.calls += 1
        if self.calls > self.call_limit:
            self.fault = self._over("host_calls_exceeded", self.call_limit, self.calls, "read more with one call")
            raise Stop

    def record(self, effect: dict[str, Any]) -> None:
        effect = clean(effect)
        self.bytes += size(effect)
        if self.bytes > self.output_limit:
            self.fault = self.too_large(self.bytes)
            raise Stop
        self.effects.append(effect)

    def log(self, level: str, message: object, fields: dict[str, Any]) -> None:
        line = clean({"level": level, "message": str.__str__(str(message)), "fields": fields})
        used = self.log_bytes + size(line)
        if self.log_truncated or used > self.log_limit:
            self.log_truncated = True
            return
        self.log_bytes = used
        self.logs.append(line)

    def _over(self, code: str, limit: int, used: int, hint: str) -> dict[str, Any]:
        message = f"{code}: {used} of {limit}"
        return {
            "code": code, "message": message, "line": None, "column": None, "hint": hint, "limit": limit, "used": used,
        }  # fmt: skip


class Request:
    """A question to the host; only the driver can answer it."""

    __slots__ = ("_arguments", "_name")

    def __init__(self, name: str, arguments: dict[str, Any]) -> None:
        self._name, self._arguments = name, clean(arguments)

    def __await__(self) -> Generator["Request", Any, Any]:
        return (yield self)

    def admit(self, state: State) -> dict[str, Any]:
        """The frame for the host.

        Raises:
            Stop: the run has asked too often.
        """
        state.count_call()
        return {"call": self._name, "arguments": self._arguments}


class Log:
    def __init__(self, state: State) -> None:
        self._state = state

    def __call__(self, message: object, **fields: Any) -> None:
        self._state.log("info", message, fields)

    def warning(self, message: object, **fields: Any) -> None:
        self._state.log("warning", message, fields)

    def error(self, message: object, **fields: Any) -> None:
        self._state.log("error", message, fields)


class KeyValues:
    def __init__(self, state: State) -> None:
        self._state = state

    async def get(self, key: str, default: Any = None) -> Any:
        value = await Request("kv.get", {"key": key})
        return default if value is None else value

    def set(self, key: str, value: Any, ttl_s: int | None = None) -> None:
        self._state.record({"effect": "kv.set", "key": key, "value": value, "ttl_s": ttl_s})

    def delete(self, key: str) -> None:
        self._state.record({"effect": "kv.delete", "key": key})


class Http:
    def __init__(self, state: State) -> None:
        self._state = state

    def request(self, method: str, url: str, headers: Any = None, json: Any = None, secret_headers: Any = None) -> None:
        effect = {"effect": "http", "method": method, "url": url, "headers": headers, "json": json}
        self._state.record({**effect, "secret_headers": secret_headers})

    def post(self, url: str, headers: Any = None, json: Any = None, secret_headers: Any = None) -> None:
        self.request("POST", url, headers, json, secret_headers)


class Context:
    def __init__(self, state: State, job: Mapping[str, Any], now: datetime, chance: Namespace, ids: Random) -> None:
        self._state, self._ids = state, ids
        self.now, self.random = now, chance
        self.run_id, self.tenant_id, self.script = job["run_id"], job["tenant_id"], job["script"]
        self.log, self.kv, self.http = Log(state), KeyValues(state), Http(state)

    def new_id(self) -> str:
        return str(uuid.UUID(int=self._ids.getrandbits(128), version=4))

    def print(self, *values: object, sep: str = " ", end: str = "") -> None:
        self._state.log("info", sep.join(str(value) for value in values) + end, {})

    async def get(self, kind: str, id: str, /, **arguments: Any) -> Any:  # noqa: A002
        return await Request("get", {"kind": kind, "id": id, "arguments": arguments})

    async def query(self, name: str, /, **arguments: Any) -> Any:
        return await Request("query", {"name": name, "arguments": arguments})

    async def search(self, kind: str, /, **arguments: Any) -> Any:
        return await Request("search", {"kind": kind, "arguments": arguments})

    async def secret(self, name: str) -> Any:
        return await Request("secret", {"name": name})

    def command(self, name: str, /, **input: Any) -> None:  # noqa: A002
        self._state.record({"effect": "command", "name": name, "input": input})

    def create(self, kind: str, /, **fields: Any) -> None:
        self._state.record({"effect": "create", "kind": kind, "fields": fields})

    def update(self, kind: str, id: str, /, **changes: Any) -> None:  # noqa: A002
        self._state.record({"effect": "update", "kind": kind, "id": id, "changes": changes})

    def delete(self, kind: str, id: str, /) -> None:  # noqa: A002
        self._state.record({"effect": "delete", "kind": kind, "id": id})

    def emit(self, name: str, /, **data: Any) -> None:
        self._state.record({"effect": "emit", "name": name, "data": data})
