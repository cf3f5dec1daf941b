"""One compilation on one child."""

import asyncio

from rustok.sandbox.contract import Compiled, Fault, Limits
from rustok.sandbox.conversation import ChildLost
from rustok.sandbox.explain import death_fault
from rustok.sandbox.fingerprint import MAGIC, POLICY_VERSION
from rustok.sandbox.frames import Kind, Malformed, decode, frame
from rustok.sandbox.hearsay import fault_of
from rustok.sandbox.leased import Child, ChildGone

LIMITS = Limits(cpu_ms=1000, wall_ms=5000, memory_bytes=128 << 20)

_LONGEST_SOURCE = 1 << 20
"""Characters that are worth sending; the child knows how many are allowed."""
_MOST_ANSWER_BYTES = 4 << 20
_CODES = ("syntax_error", "forbidden_syntax", "source_too_large")
_HINT = "Split the work over several hooks."


async def compile_on(child: Child, source: str) -> Compiled | tuple[Fault, ...]:
    """Compile *source*. What makes the child end is told as a source that is too large.

    Raises:
        ChildLost: compile it again on another child.
    """
    try:
        async with asyncio.timeout(LIMITS.wall_ms / 1000):
            await child.send(frame(Kind.SOURCE, source[:_LONGEST_SOURCE].encode(errors="surrogatepass")))
            return _read(*await child.receive(_MOST_ANSWER_BYTES))
    except ChildGone:
        return (await _explain(child),)
    except TimeoutError:
        return (_too_large(f"Compiling takes longer than {LIMITS.wall_ms} ms."),)
    except Malformed:
        return (_too_large("The answer of the compiler cannot be read."),)
    finally:
        child.discard()


def _read(kind: Kind, payload: bytes) -> Compiled | tuple[Fault, ...]:
    if kind == Kind.BYTECODE:
        return Compiled(bytecode=payload, policy_version=POLICY_VERSION, magic=MAGIC)
    if kind != Kind.FAULTS or not isinstance(faults := decode(payload), list) or not faults:
        raise Malformed("neither bytecode nor faults")
    return tuple(fault_of(fault, _CODES) for fault in faults)


async def _explain(child: Child) -> Fault:
    fault = death_fault(await child.death(), LIMITS, None)
    if fault is None:
        raise ChildLost
    return _too_large(f"The source cannot be compiled: {fault.message}.")


def _too_large(message: str) -> Fault:
    return Fault(code="source_too_large", message=message, hint=_HINT)
