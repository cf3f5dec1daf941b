"""A walk over all that a hook can get hold of by names that the language lets it say."""

import inspect
import json
from types import BuiltinFunctionType, CodeType, FrameType, ModuleType, TracebackType
from typing import Any

import pytest

from rustok.sandbox.language.compiler import compile_source
from rustok.sandbox.language.facades import MODULES
from rustok.sandbox.language.runtime import SAFE, run

HOOK = f"""
import {", ".join(sorted(MODULES))}

class Own(Exception):
    kept = None
    def method(self): pass
    @property
    def value(self): return 1
    @classmethod
    def made(cls): return cls()
    @staticmethod
    def still(): pass
    def __enter__(self): return self
    def __exit__(self, kind, error, trace):
        self.kind, self.error, self.trace = kind, error, trace
        return True

def numbers():
    yield 1

async def pages():
    yield 1

async def nothing():
    pass

def caught(call):
    try:
        call()
    except Exception as error:
        return error

async def handle(event, ctx):
    keep = event["keep"]
    for thing in [{", ".join(name for name in SAFE if not name.startswith("_"))}]:
        keep(str(thing), thing)
    for thing in [{", ".join(sorted(MODULES))}]:
        keep("module", thing)
    keep("ctx", ctx)
    keep("handle", handle)
    keep("class", Own)
    keep("instance", Own())
    keep("bound method", Own().method)
    keep("generator", numbers())
    keep("generator expression", (n for n in [1]))
    keep("async generator", pages())
    for name, call in [("coroutine", nothing()), ("call", ctx.kv.get("k"))]:
        keep(name, call)
        call.close()
    keep("question", ctx.kv.get("k").send(None))
    keep("lambda", lambda: 1)
    keep("cell", [n for n in map(lambda n: n, [1])])
    keep("pattern", re.compile("(?P<a>x)").match("x"))
    keep("decimal", decimal.Decimal(1))
    keep("hash", hashlib.sha256(b"x"))
    keep("date", ctx.now)
    keep("alias", typing.Callable[[int], typing.Optional[str]])
    for call in (lambda: 1 / 0, lambda: ctx.nothing, lambda: nothing_at_all, lambda: [][1], lambda: {{}}["x"],
                 lambda: json.loads("{{"), lambda: re.compile("("), lambda: math.nothing, lambda: int("x"),
                 lambda: b"\\xff".decode(), lambda: decimal.Decimal("x"), lambda: next(iter([])), lambda: re.I.nothing,
                 lambda: textwrap.fill(1), lambda: collections.Counter(1), lambda: datetime.datetime.now(),
                 lambda: typing.Optional[1, 2], lambda: super().x):
        keep("error", caught(call))
    with Own() as own:
        raise Own("x")
    keep("what an exit is handed", own)
"""
"""Whatever there is to begin with, all of it said within the language."""

FORBIDDEN = (ModuleType, FrameType, CodeType, TracebackType)
DEPTH = 5
ARGUMENTS: tuple[tuple[Any, ...], ...] = ((), (1,), ("x",), ([1],))


@pytest.fixture(scope="module")
def things() -> dict[str, Any]:
    """What a hook begins with, by where it comes from."""
    kept: dict[str, Any] = {}

    def keep(name: str, thing: Any) -> None:
        kept[f"{name} {len(kept)}"] = thing

    bytecode = compile_source(HOOK)
    assert isinstance(bytecode, bytes), bytecode
    job = {
        "event": {"keep": keep},
        "now": "2026-01-02T03:04:05+00:00",
        "seed": "s",
        "run_id": "r",
        "tenant_id": "t",
        "script": "x",
        "limits": {"host_calls": 9, "output_bytes": 9999, "log_bytes": 9999},
    }
    done = run(bytecode, job, lambda _: {"value": None})
    assert done["fault"] is None, done
    return kept


def test_no_module_frame_code_or_type_is_reached(things: dict[str, Any]) -> None:
    """Along attributes, items and simple calls. A traceback is handed to `__exit__`, and leads nowhere from there."""
    found, seen = walk(things)

    assert [path for path in found if not path.endswith(".trace")] == []
    assert len(found) == 1
    assert seen > 2000


def test_the_walk_finds_what_is_there_to_be_found() -> None:
    """A module that somebody left in a facade, however deep."""

    class Facade:
        inside = {"more": [json]}

    found, _ = walk({"facade": Facade()})

    assert found == ["facade.inside[][]"]


def walk(things: dict[str, Any]) -> tuple[list[str], int]:
    """Return where something forbidden is, and how much was looked at."""
    waiting = list(things.items())
    seen: dict[int, Any] = {}
    answered: set[tuple[type, int]] = set()
    found = []
    while waiting:
        path, thing = waiting.pop()
        if path.endswith("()"):  # a call answers something new each time: one of a kind at a depth is enough
            if (kind := (type(thing), path.count("()"))) in answered:
                continue
            answered.add(kind)
        if id(thing) in seen or len(path.split(".")) + path.count("()") > DEPTH:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, FORBIDDEN) or thing in (type, object):
            found.append(path)
            continue
        waiting += steps(path, thing)
    return found, len(seen)


def steps(path: str, thing: Any) -> list[tuple[str, Any]]:
    """Return what is one step away."""
    found = [(f"{path}.{name}", value) for name in dir(thing) if (value := said(thing, name)) is not None]
    if isinstance(thing, dict):
        found += [(f"{path}[]", value) for pair in thing.items() for value in pair]
    elif isinstance(thing, list | tuple | set | frozenset):
        found += [(f"{path}[]", value) for value in thing]
    elif callable(thing) and not is_endless(thing):
        found += [(f"{path}()", value) for value in map(called, [thing] * len(ARGUMENTS), ARGUMENTS)]
    return found


def said(thing: Any, name: str) -> Any:
    if not may_be_said(name):
        return None
    try:
        return getattr(thing, name)
    except Exception as error:  # noqa: BLE001 - what is raised is within reach, too
        return error


def called(thing: Any, arguments: tuple[Any, ...]) -> Any:
    try:
        answer = thing(*arguments)
        if inspect.iscoroutine(answer):
            answer.close()  # which takes nothing away from it, and keeps it from complaining
        return answer  # noqa: TRY300
    except Exception as error:  # noqa: BLE001 - what is raised is within reach, too
        return error


def is_endless(thing: Any) -> bool:
    """Closing things would keep later steps from being taken."""
    return isinstance(thing, BuiltinFunctionType) and thing.__name__ in {"close", "aclose", "clear", "throw", "athrow"}


_SAID: dict[str, bool] = {}


def may_be_said(name: str) -> bool:
    if name not in _SAID:
        hook = f"async def handle(event, ctx):\n    event.{name}\n"
        _SAID[name] = not name.startswith("_") and isinstance(compile_source(hook), bytes)
    return _SAID[name]
