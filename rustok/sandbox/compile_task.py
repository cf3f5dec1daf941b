"""Children that compile hooks. Only here RestrictedPython is loaded."""

from collections.abc import Callable
from dataclasses import asdict

from rustok.sandbox.frames import Kind, frame, json_frame, read_frame
from rustok.sandbox.language.compiler import compile_source
from rustok.sandbox.seccomp import SOCKET_FD

_HOOK = '''
import json

class Line:
    def __init__(self, count):
        self.count = count

async def handle(event, ctx):
    """A hook of the usual kinds of nodes."""
    total, *rest = [line.count for line in map(Line, range(9)) if line.count % 2]
    async with event as opened:
        total += 1
    while total < 9 or not rest:
        total = total + 1 if rest else 9
    try:
        assert event["a"][1:2] != {"b": {1, 2}}, f"{total:>5}"
    except (ValueError, KeyError) as error:
        raise ValueError(str(error)) from None
    match event:
        case {"a": [int() as n, *_]} if n:
            return await ctx.get("a", lambda n=1: -n)
    ctx.log(json.dumps(total))
'''


class CompileTask:
    fruitless: tuple[str, ...] = ("openat",)  # CPython looks for the file of a source with a syntax error

    def rehearse(self) -> None:
        self.warm_up()

    def warm_up(self) -> None:
        if not isinstance(compile_source(_HOOK), bytes) or isinstance(compile_source("open("), bytes):
            raise TypeError("the compiler does not know its own language")

    def serve(self, relieve: Callable[[], None]) -> bytes:
        _, source = read_frame(SOCKET_FD)
        compiled = compile_source(source.decode(errors="surrogatepass"))
        relieve()
        if isinstance(compiled, bytes):
            return frame(Kind.BYTECODE, compiled)
        return json_frame(Kind.FAULTS, [_sendable(asdict(fault)) for fault in compiled[:100]])


def _sendable(fault: dict[str, object]) -> dict[str, object]:
    """Replace what JSON cannot carry: a message may quote the source."""
    return {
        name: value.encode(errors="replace").decode().replace("\0", "?")[:500] if isinstance(value, str) else value
        for name, value in fault.items()
    }
