"""What a hook sees as `ctx`: reads it awaits, effects it records, a clock and chance that a replay repeats."""

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

    def _admit(self, state: State) -> dict[str, Any]:
        """The frame for the host.

        Raises:
            Stop: the run has asked too often.
        """
        state.count_call()
        return {"call": self._name, "arguments": self._arguments}


class Log:
    """Lines of the run's log. A run that raises keeps them, one that is killed does not."""

    def __init__(self, state: State) -> None:
        self._state = state

    def __call__(self, message: object, **fields: Any) -> None:
        """Write a line of level info; the fields are plain JSON."""
        self._state.log("info", message, fields)

    def warning(self, message: object, **fields: Any) -> None:
        """Write a line of level warning."""
        self._state.log("warning", message, fields)

    def error(self, message: object, **fields: Any) -> None:
        """Write a line of level error; the run goes on."""
        self._state.log("error", message, fields)


class KeyValues:
    """What the script keeps from run to run. No other script sees it."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def get(self, key: str, default: Any = None) -> Any:
        """Return what is stored, not what this run sets, or *default* where there is nothing."""
        value = await Request("kv.get", {"key": key})
        return default if value is None else value

    def set(self, key: str, value: Any, ttl_s: int | None = None) -> None:
        """Keep a value, for *ttl_s* seconds or for good; what this run has read under the key must still be there."""
        self._state.record({"effect": "kv.set", "key": key, "value": value, "ttl_s": ttl_s})

    def delete(self, key: str) -> None:
        """Forget a value, if there is one; what this run has read under the key must still be there."""
        self._state.record({"effect": "kv.delete", "key": key})


class Http:
    """Requests that are sent after the run, at least once each; the hook sees no answer."""

    def __init__(self, state: State) -> None:
        self._state = state

    def request(self, method: str, url: str, headers: Any = None, json: Any = None, secret_headers: Any = None) -> None:
        """Have a request sent to one of the script's hosts; *secret_headers* maps headers to names of secrets."""
        effect = {"effect": "http", "method": method, "url": url, "headers": headers, "json": json}
        self._state.record({**effect, "secret_headers": secret_headers})

    def post(self, url: str, headers: Any = None, json: Any = None, secret_headers: Any = None) -> None:
        """Have a POST sent, with *json* as its body."""
        self.request("POST", url, headers, json, secret_headers)


class Context:
    """What a hook gets beside its event."""

    now: datetime
    """When the run was asked for, in UTC; the same in each attempt."""
    random: Namespace
    """What `import random` gives: seeded by the run, the same in each attempt."""
    run_id: str
    """The same in each attempt: a key for others that must not do things twice."""
    tenant_id: str
    """Whose script it is."""
    script: str
    """The script's name."""
    log: Log
    """Write a line of the run's log."""
    kv: KeyValues
    """What the script keeps from run to run."""
    http: Http
    """Requests to other people's servers."""

    def __init__(self, state: State, job: Mapping[str, Any], now: datetime, chance: Namespace, ids: Random) -> None:
        self._state, self._ids = state, ids
        self.now, self.random = now, chance
        self.run_id, self.tenant_id, self.script = job["run_id"], job["tenant_id"], job["script"]
        self.log, self.kv, self.http = Log(state), KeyValues(state), Http(state)

    def new_id(self) -> str:
        """Return a new UUID; each attempt gets the same ones in the same order."""
        number = self._ids.getrandbits(128) & ~(0xF << 76 | 3 << 62) | 4 << 76 | 2 << 62
        digits = f"{number:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def print(self, *values: object, sep: str = " ", end: str = "") -> None:
        """Write a line of level info, as the built-in `print` of a hook does."""
        self._state.log("info", sep.join(str(value) for value in values) + end, {})

    async def get(self, kind: str, id: str, /, **arguments: Any) -> Any:  # noqa: A002
        """Return what the query `<kind>.get` answers, None where there is no such thing; its version is remembered."""
        return await Request("get", {"kind": kind, "id": id, "arguments": arguments})

    async def query(self, name: str, /, **arguments: Any) -> Any:
        """Return what a query of this name answers."""
        return await Request("query", {"name": name, "arguments": arguments})

    async def search(self, kind: str, /, **arguments: Any) -> Any:
        """Return what the query `index.<kind>.search` answers: what is published, shortly after it was."""
        return await Request("search", {"kind": kind, "arguments": arguments})

    async def secret(self, name: str) -> Any:
        """Return the text of a secret that the script names; what is kept of the run shows `***` instead."""
        return await Request("secret", {"name": name})

    def command(self, name: str, /, **input: Any) -> None:  # noqa: A002
        """Have a command of this name run, with these fields."""
        self._state.record({"effect": "command", "name": name, "input": input})

    def create(self, kind: str, /, **fields: Any) -> None:
        """Have the command `<kind>.create` run."""
        self._state.record({"effect": "create", "kind": kind, "fields": fields})

    def update(self, kind: str, id: str, /, **changes: Any) -> None:  # noqa: A002
        """Have the command `<kind>.update` run; if this run has read it with `get`, only at that version."""
        self._state.record({"effect": "update", "kind": kind, "id": id, "changes": changes})

    def delete(self, kind: str, id: str, /) -> None:  # noqa: A002
        """Have the command `<kind>.delete` run; if this run has read it with `get`, only at that version."""
        self._state.record({"effect": "delete", "kind": kind, "id": id})

    def emit(self, name: str, /, **data: Any) -> None:
        """Have an event `alloy.run.emitted` published, with this name and data."""
        self._state.record({"effect": "emit", "name": name, "data": data})
