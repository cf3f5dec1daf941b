"""Why a run ended without an answer, as its author is told."""

import os
import signal

from rustok.sandbox.contract import Fault, Limits
from rustok.sandbox.leased import Death
from rustok.sandbox.wire import OUT_OF_MEMORY_EXIT

_CPU_HINT = "do less in one run, or ask for more CPU time"
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE)
_NEARLY = 0.9
"""A kill that comes with less of the CPU time used was not that of the timer."""


def death_fault(death: Death | None, limits: Limits, line: int | None) -> Fault | None:
    """Return the fault of a child that is gone, or None where it was no fault of the script's."""
    if death is None:
        return None
    if os.WIFEXITED(death.status):
        return _ended_without_answer(os.WEXITSTATUS(death.status), death, limits)
    number = os.WTERMSIG(death.status)
    if number == signal.SIGKILL:
        used_ms = death.cpu_us // 1000
        return cpu_exceeded(limits, used_ms, line) if used_ms >= limits.cpu_ms * _NEARLY else None
    if number == signal.SIGSYS:
        return policy_violation("the script asked the system for what no script may")
    if number in _CRASHES:
        name = signal.Signals(number).name
        hint = "look for recursion without an end in nested data, or for huge values"
        return Fault(code="exception", message=f"the interpreter crashed: {name}", line=line, hint=hint)
    return policy_violation(f"the script ended by signal {number}")


def cpu_exceeded(limits: Limits, used_ms: int, line: int | None) -> Fault:
    message = f"the run used {used_ms} ms of CPU time; {limits.cpu_ms} ms are allowed"
    return Fault(code="cpu_exceeded", message=message, hint=_CPU_HINT, limit=limits.cpu_ms, used=used_ms, line=line)


def wall_timeout(limits: Limits, used_ms: int, line: int | None) -> Fault:
    message = f"the run took {used_ms} ms, without host calls; {limits.wall_ms} ms are allowed"
    hint = "do less in one run"
    return Fault(code="wall_timeout", message=message, hint=hint, limit=limits.wall_ms, used=used_ms, line=line)


def memory_exceeded(limits: Limits, peak_bytes: int, line: int | None) -> Fault:
    """`used` is what was held; what would not fit any more is not known."""
    message = f"the run needed more than {limits.memory_bytes} bytes of memory"
    hint, limit = "keep less in memory at once", limits.memory_bytes
    return Fault(code="memory_exceeded", message=message, hint=hint, limit=limit, used=peak_bytes, line=line)


def over(code: str, hint: str, limit: int, used: int) -> Fault:
    """What the host counts."""
    return Fault(code=code, message=f"{code}: {used} of {limit}", hint=hint, limit=limit, used=used)


def invalid_result(message: str) -> Fault:
    return Fault(
        code="invalid_result", message=f"the answer cannot be read: {message}", hint="return plain JSON values"
    )


def policy_violation(message: str) -> Fault:
    return Fault(code="policy_violation", message=message, hint="scripts have no system: use ctx")


def _ended_without_answer(status: int, death: Death, limits: Limits) -> Fault:
    if status == OUT_OF_MEMORY_EXIT:
        return memory_exceeded(limits, death.peak_bytes, None)
    return policy_violation("the script ended its process")
