"""One run on one child: sends the job, answers what it asks, and believes nothing it says."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from rustok.sandbox.aside import read_aside
from rustok.sandbox.contract import Fault, HostCall, HostCallRefused, Job, Limits, Outcome, Usage
from rustok.sandbox.explain import (
    broken_again,
    death_fault,
    invalid_result,
    memory_exceeded,
    over,
    policy_violation,
    wall_timeout,
)
from rustok.sandbox.frames import (
    MOST_CALL_BYTES,
    MOST_CALL_NODES,
    Kind,
    Malformed,
    TooLong,
    decode,
    frame,
)
from rustok.sandbox.hearsay import Result, count_of
from rustok.sandbox.leased import Child, ChildGone

_MOST_ANSWER_BYTES = 1 << 20
_AROUND_BYTES = 16 << 10
"""Names and a fault around what a result frame is mostly made of."""
_COMMAS = 1 / 16
"""The most of it that is between effects and lines of the log, which have twice as many bytes each, and more."""
_MOST_LINE_BYTES = 20
_LEEWAY = 1.1
"""How far over its limits a run may be: no limit is met to the byte and the microsecond."""


class ChildLost(Exception):
    """The child ended through no fault of the script's; *otherwise* is its fault if that happens each time."""

    def __init__(self, otherwise: Fault | None = None) -> None:
        super().__init__("a child was lost from outside")
        self.otherwise = otherwise


class _Failed(Exception):
    """The run has failed, and its child is to be ended."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


class Conversation:
    def __init__(self, child: Child, job: Job, host_call: HostCall) -> None:
        self._child, self._job, self._limits, self._host_call = child, job, job.limits, host_call
        self._loop = asyncio.get_running_loop()
        self._wall = asyncio.timeout(None)
        self._spent_s = 0.0
        self._since_s: float | None = None
        self._calls = 0
        self._most_bytes = _most_bytes(job.limits)
        self._line: int | None = None

    async def outcome(self) -> Outcome:
        """Run the job to its end, whatever that is.

        Raises:
            ChildLost: run it again on another child.
        """
        try:
            async with self._wall:
                self._count_time()
                return await self._talk()
        except ChildGone:
            return await self._explain()
        except _Failed as failed:
            return await self._failed(failed.fault)
        except TooLong as error:
            return await self._failed(self._too_long(error))
        except Malformed as error:
            return await self._failed(policy_violation(f"the script spoke in the name of its child: {error}"))
        except TimeoutError:
            if not self._wall.expired():
                raise  # the host's own
            return await self._failed(wall_timeout(self._limits, round(self._wall_ms()), self._line))
        finally:
            self._child.discard()

    async def _talk(self) -> Outcome:
        limits = self._limits
        await self._child.send(_job_frames(self._job))
        while True:
            kind, payload = await self._child.receive(self._most_bytes)
            if kind == Kind.CALL:
                self._calls += 1
                if self._calls > limits.host_calls:
                    hint = "read more with one call"
                    raise _Failed(over("host_calls_exceeded", hint, limits.host_calls, self._calls))
                await self._child.send(await self._answer(await read_aside(payload, _decode_call)))
            elif kind == Kind.LINE:
                del self._most_bytes[Kind.LINE]  # a flood of lines would keep the loop from its other runs
                self._line = count_of(decode(payload))
            else:
                self._stop_time()
                return await read_aside(payload, self._judged)

    def _too_long(self, error: TooLong) -> Fault:
        if error.kind == Kind.RESULT:
            return _output_too_large(self._limits, error.length)
        return policy_violation(f"the script spoke in the name of its child: {error}")

    def _count_time(self) -> None:
        """From here on time is the hook's."""
        self._since_s = time.monotonic()
        self._wall.reschedule(self._loop.time() + self._limits.wall_ms / 1000 - self._spent_s)

    def _stop_time(self) -> None:
        self._wall.reschedule(None)
        self._spent_s, self._since_s = self._wall_ms() / 1000, None

    async def _answer(self, call: Any) -> bytes:
        if not isinstance(call, dict) or not isinstance(name := call.get("call"), str):
            raise Malformed("a call without a name")
        if not isinstance(arguments := call.get("arguments"), dict):
            raise Malformed("a call without arguments")
        self._stop_time()
        try:
            answer = _json_frame(Kind.ANSWER, {"value": await self._host_call(name, arguments)})
        except HostCallRefused as refusal:
            return _refusal(refusal.code, str(refusal))
        finally:
            self._count_time()
        if len(answer) > _MOST_ANSWER_BYTES:
            return _refusal("answer_too_large", f"the answer has {len(answer)} bytes; {_MOST_ANSWER_BYTES} are allowed")
        return answer

    def _judged(self, payload: bytes) -> Outcome:
        """Read a result; what may be over a limit is counted again."""
        try:
            said = Result(decode(payload))
        except Malformed as error:
            raise _Failed(invalid_result(str(error))) from None
        output_bytes, logs, log_bytes = said.output_bytes, said.logs, said.log_bytes
        if len(payload) > min(self._limits.output_bytes, self._limits.log_bytes):
            output_bytes = _size(said.result) + sum(map(_size, said.effects))
            logs, log_bytes = _fitting(said.logs, self._limits.log_bytes)
        cpu_ms, peak_bytes = self._believable(said)
        usage = Usage(
            wall_ms=self._wall_ms(),
            cpu_ms=cpu_ms,
            peak_bytes=peak_bytes,
            host_calls=self._calls,
            output_bytes=output_bytes,
            log_bytes=log_bytes,
        )
        fault = self._fault(said.fault, output_bytes, peak_bytes)
        return Outcome(
            result=None if fault else said.result,
            effects=() if fault else said.effects,
            logs=logs,
            log_truncated=said.log_truncated or len(logs) < len(said.logs),
            usage=usage,
            fault=fault,
        )

    def _fault(self, said: Fault | None, output_bytes: int, peak_bytes: int) -> Fault | None:
        if said and said.code == "memory_exceeded":
            return memory_exceeded(self._limits, peak_bytes, said.line)
        if not said and output_bytes > self._limits.output_bytes:
            return _output_too_large(self._limits, output_bytes)
        return said

    def _believable(self, said: Result) -> tuple[float, int]:
        """Return CPU time in ms and memory as the child tells them, as far as they can be true."""
        limits = self._limits
        _, cpu_us, peak_bytes, _ = self._child.since_ready(0, said.cpu_us, said.peak_bytes)
        most_cpu_ms = min(self._wall_ms(), limits.cpu_ms * _LEEWAY)
        return min(cpu_us / 1000, most_cpu_ms), min(peak_bytes, int(limits.memory_bytes * _LEEWAY))

    async def _explain(self) -> Outcome:
        death = await self._child.death()
        fault = death_fault(death, self._limits, self._line)
        if death is None or fault is None:
            raise ChildLost(broken_again(death))
        return Outcome(fault=fault, usage=self._usage(death.cpu_us, death.peak_bytes))

    async def _failed(self, fault: Fault) -> Outcome:
        """End the child from here; what it used until then counts."""
        self._child.kill()
        death = await self._child.death()
        return Outcome(fault=fault, usage=self._usage(death.cpu_us, death.peak_bytes) if death else self._usage(0, 0))

    def _usage(self, cpu_us: int, peak_bytes: int) -> Usage:
        wall_ms = self._wall_ms()
        return Usage(wall_ms=wall_ms, cpu_ms=cpu_us / 1000, peak_bytes=peak_bytes, host_calls=self._calls)

    def _wall_ms(self) -> float:
        """Return what the hook has taken."""
        running_s = 0.0 if self._since_s is None else time.monotonic() - self._since_s
        return (self._spent_s + running_s) * 1000


def _job_frames(job: Job) -> bytes:
    limits = job.limits
    values = {
        "event": job.event, "now": job.now, "seed": job.seed, "run_id": job.run_id, "tenant_id": job.tenant_id,
        "script": job.script, "limits": _child_limits(limits),
    }  # fmt: skip
    return frame(Kind.CODE, job.bytecode) + _json_frame(Kind.JOB, values)


def _json_frame(kind: Kind, value: Any) -> bytes:
    """Encode what a child is told: values that were JSON before."""
    return frame(kind, orjson.dumps(value))


def _child_limits(limits: Limits) -> dict[str, int]:
    counted = ("host_calls", "output_bytes", "log_bytes")
    return {name: getattr(limits, name) for name in counted}


def _most_bytes(limits: Limits) -> dict[Kind, int]:
    """Return what a child that runs a hook may say, and how much of it."""
    counted = limits.output_bytes + limits.log_bytes
    return {
        Kind.CALL: MOST_CALL_BYTES,
        Kind.LINE: _MOST_LINE_BYTES,
        Kind.RESULT: counted + int(counted * _COMMAS) + _AROUND_BYTES,
    }


def _decode_call(payload: bytes) -> Any:
    return decode(payload, MOST_CALL_NODES)


def _output_too_large(limits: Limits, used_bytes: int) -> Fault:
    return over("output_too_large", "return and record less", limits.output_bytes, used_bytes)


def _refusal(code: str, message: str) -> bytes:
    return _json_frame(Kind.ANSWER, {"error": {"code": code, "message": message}})


def _fitting(logs: Sequence[Mapping[str, Any]], most_bytes: int) -> tuple[Sequence[Mapping[str, Any]], int]:
    """Return the first of *logs* that fit, and their size."""
    used = 0
    for number, line in enumerate(logs):
        size = _size(line)
        if used + size > most_bytes:
            return logs[:number], used
        used += size
    return logs, used


def _size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
