"""One compilation on one child."""

import asyncio

from rustok.sandbox.aside import read_aside
from rustok.sandbox.contract import Compiled, Fault, Limits
from rustok.sandbox.conversation import ChildLost
from rustok.sandbox.explain import broken_again, death_fault, is_cpu_used
from rustok.sandbox.fingerprint import MAGIC, POLICY_VERSION
from rustok.sandbox.frames import Kind, Malformed, decode, frame
from rustok.sandbox.hearsay import fault_of
from rustok.sandbox.leased import Child, ChildGone

LIMITS = Limits(cpu_ms=1000, wall_ms=5000, memory_bytes=128 << 20)

_LONGEST_SOURCE = 1 << 20
"""Characters that are worth sending; the child knows how many are allowed."""
_MOST_BYTES = {Kind.BYTECODE: 4 << 20, Kind.FAULTS: 512 << 10}
_CODES = ("syntax_error", "forbidden_syntax", "source_too_large")
_HINT = "Split the work over several hooks."


async def compile_on(child: Child, source: str, limits: Limits = LIMITS) -> Compiled | tuple[Fault, ...]:
    """Compile *source*. What makes the child end is told as a source that is too large.

    Raises:
        ChildLost: compile it again on another child.
    """
    try:
        async with asyncio.timeout(limits.wall_ms / 1000):
            await child.send(frame(Kind.SOURCE, source[:_LONGEST_SOURCE].encode(errors="surrogatepass")))
            kind, payload = await child.receive(_MOST_BYTES)
            if kind == Kind.BYTECODE:
                return Compiled(bytecode=payload, policy_version=POLICY_VERSION, magic=MAGIC)
            return await read_aside(payload, _faults)
    except ChildGone:
        return (await _explain(child, limits),)
    except TimeoutError:
        return (await _time_out(child, limits),)
    except Malformed:
        return (_too_large("The answer of the compiler cannot be read."),)
    finally:
        child.discard()


def _faults(payload: bytes) -> tuple[Fault, ...]:
    if not isinstance(faults := decode(payload), list) or not faults:
        raise Malformed("no faults")
    return tuple(fault_of(fault, _CODES) for fault in faults)


async def _explain(child: Child, limits: Limits) -> Fault:
    death = await child.death()
    if fault := death_fault(death, limits, None):
        return _not_compiled(fault)
    broken = broken_again(death)
    raise ChildLost(_not_compiled(broken) if broken else None)


async def _time_out(child: Child, limits: Limits) -> Fault:
    """Return the fault of a source that used its CPU time; where it did not, the machine was busy with others."""
    child.kill()
    death = await child.death()
    if death is None or not is_cpu_used(death, limits):
        raise ChildLost
    return _too_large(f"Compiling takes longer than {limits.wall_ms} ms.")


def _not_compiled(fault: Fault) -> Fault:
    return _too_large(f"The source cannot be compiled: {fault.message}.")


def _too_large(message: str) -> Fault:
    return Fault(code="source_too_large", message=message, hint=_HINT)
