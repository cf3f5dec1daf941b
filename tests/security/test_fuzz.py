"""Chance against the policy and against the worker's ear: neither is ever surprised."""

import asyncio
import dis
import inspect
import marshal
import random
from collections.abc import Iterator
from types import CodeType

from hypothesis import given, settings
from hypothesis import strategies as st

from rustok.sandbox.cage import Cage
from rustok.sandbox.contract import Outcome
from rustok.sandbox.language.compiler import compile_source
from rustok.sandbox.language.facades import MODULES
from tests.security.cases import corpus, prelude
from tests.security.stage import Witness, answer, ending, job, serves, unchecked

SOURCES = [case.source for case in corpus() if len(case.source) < 2000]
_WORDS = """
.__class__ .gi_frame .format __import__ _x getattr type except* metaclass=type := f'{ 9999999999 0x 1e9
{ } ( ) [ ] : ' " # @ * ** / = , ; é ｆ ＿ async await yield
"""
PIECES = st.sampled_from(
    [
        *_WORDS.split(),
        *("lambda _y, /: 1", "import os", "from os import *", "global _g", "match x:", "case object(__class__=k):"),
        *("del ", "\n", "\n    ", "\r", "\f", "\\\n", "\0", "\u2028", "\ufeff", "\ud800"),
    ]
)
NAMES = st.sampled_from(
    "x _ _y __class__ gi_frame f_back tb_next mro format type open math json handle ctx ｍro".split()  # noqa: SIM905
)
EXPRESSIONS = st.recursive(
    NAMES | st.sampled_from(["1", "'{0.__class__}'", "[]", "None"]),
    lambda inner: st.one_of(
        st.builds("({}).{}".format, inner, NAMES),
        st.builds("({})({})".format, inner, inner),
        st.builds("({})[{}]".format, inner, inner),
        st.builds("f'{{{}}}'".format, NAMES),
        st.builds("(lambda {}, /, *{}: {})".format, NAMES, NAMES, inner),
        st.builds("[{} for {} in {}]".format, inner, NAMES, inner),
        st.builds("({} := {})".format, NAMES, inner),
        st.builds("({})({}={})".format, inner, NAMES, inner),
    ),
    max_leaves=6,
)
STATEMENTS = st.one_of(
    st.builds("{} = {}".format, EXPRESSIONS, EXPRESSIONS),
    st.builds("{} += {}".format, EXPRESSIONS, EXPRESSIONS),
    st.builds("del {}".format, EXPRESSIONS),
    st.builds("for {} in {}: pass".format, EXPRESSIONS, EXPRESSIONS),
    st.builds("with {} as {}: pass".format, EXPRESSIONS, EXPRESSIONS),
    st.builds("try: pass\nexcept {} as {}: pass".format, EXPRESSIONS, NAMES),
    st.builds("def {}({}, /, *{}, {}={}): pass".format, NAMES, NAMES, NAMES, NAMES, EXPRESSIONS),
    st.builds("class {}({}):\n    {} = 1".format, NAMES, EXPRESSIONS, NAMES),
    st.builds("@{}\nasync def {}(): pass".format, EXPRESSIONS, NAMES),
    st.builds("import {} as {}".format, NAMES, NAMES),
    st.builds("from {} import {} as {}".format, NAMES, NAMES, NAMES),
    st.builds("match {}:\n    case {}({}={}): pass".format, EXPRESSIONS, NAMES, NAMES, NAMES),
    st.builds("match {}:\n    case [{}, *{}] | {{**{}}}: pass".format, EXPRESSIONS, NAMES, NAMES, NAMES),
    st.builds("def f():\n    global {}\n    {} = {}".format, NAMES, NAMES, EXPRESSIONS),
    st.builds("{}: {} = {}".format, NAMES, EXPRESSIONS, EXPRESSIONS),
)
HOOK = "async def handle(event, ctx):\n    pass\n"
OF_CLASSES = {"__name__", "__module__", "__qualname__", "__annotations__", "__classcell__", "__class__", "__doc__"}
"""Names that CPython itself puts into the code of a class."""


@settings(max_examples=250)
@given(st.lists(STATEMENTS, min_size=1, max_size=3))
def test_no_statement_gets_by_the_policy(statements: list[str]) -> None:
    """What it accepts says nothing private, by a walk over the bytecode that knows nothing of the policy."""
    assert_told_or_tame("\n".join([*statements, HOOK]))


@settings(max_examples=250)
@given(st.data())
def test_no_mutation_of_an_escape_gets_by_the_policy(data: st.DataObject) -> None:
    """A corpus case with something put in, cut out or doubled."""
    source = data.draw(st.sampled_from(SOURCES))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(source)))
        to = at + data.draw(st.integers(0, 12))
        source = source[:at] + data.draw(PIECES | st.just(source[at:to] * 2) | st.just("")) + source[to:]

    assert_told_or_tame(source)


def test_the_walk_over_bytecode_sees_what_a_policy_must_not_let_through() -> None:
    """Else the tests above would show nothing."""
    sources = ["x.__class__", "x.gi_frame", "x._y = 1", "del x._y", "import os", "_y = 1", "def f(_y, /): 1", "open"]

    found = [list(private(code_of(unchecked(source)))) for source in sources]

    assert found == [["__class__"], ["gi_frame"], ["_y"], ["_y"], ["os"], ["_y"], ["_y"], ["open"]]


def assert_told_or_tame(source: str) -> None:
    compiled = compile_source(source)
    if isinstance(compiled, bytes):
        assert list(private(code_of(compiled))) == []
    else:
        assert all(fault.message for fault in compiled)


def code_of(bytecode: bytes) -> CodeType:
    code, _ = marshal.loads(bytecode)  # noqa: S302 - made right here
    assert isinstance(code, CodeType)
    return code


def private(code: CodeType) -> Iterator[str]:
    """Yield the names in *code*, and in what it holds, that no hook may say."""
    for instruction in dis.get_instructions(code):
        if is_refused(instruction.opname, instruction.argval):
            yield instruction.argval
    yield from (name for name in code.co_varnames[: count_of_parameters(code)] if name.startswith("_") and name != "_")
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from private(inner)


def is_refused(operation: str, name: str) -> bool:
    if operation == "IMPORT_NAME":
        return name not in MODULES
    if operation.endswith(("_ATTR", "_METHOD")):
        return is_private(name)
    return operation.endswith(("_NAME", "_GLOBAL", "_FAST", "_DEREF")) and is_taken(name)


def count_of_parameters(code: CodeType) -> int:
    stars = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    return code.co_argcount + code.co_kwonlyargcount + stars


def is_private(name: str) -> bool:
    said = {"format", "format_map", "mro", "with_traceback", "f_back", "f_globals", "f_locals", "f_builtins", "f_code"}
    return name.startswith(("_", "gi_", "cr_", "ag_", "tb_", "co_")) or name in said


def is_taken(name: str) -> bool:
    if name.startswith("__") and name in OF_CLASSES | ALLOWED_METHODS:
        return False
    return (name.startswith("_") and name != "_") or name in {
        "open",
        "type",
        "object",
        "getattr",
        "eval",
        "BaseException",
    }


ALLOWED_METHODS = {
    "__init__", "__str__", "__repr__", "__bool__", "__len__", "__iter__", "__next__", "__contains__", "__call__",
    "__getitem__", "__setitem__", "__delitem__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__add__",
    "__radd__", "__iadd__", "__sub__", "__rsub__", "__isub__", "__mul__", "__rmul__", "__truediv__", "__floordiv__",
    "__mod__", "__neg__", "__pos__", "__abs__", "__and__", "__or__", "__enter__", "__exit__", "__aiter__", "__anext__",
    "__aenter__", "__aexit__",
}  # fmt: skip


async def test_no_bytes_of_a_hostile_child_surprise_the_worker(cage: Cage, witness: Witness) -> None:
    """Random frames, kinds, lengths and JSON: each run ends with a fault or a value, and the next one is right."""
    chance = random.Random(20261125)
    turns = asyncio.Semaphore(3)

    async def spoken() -> Outcome:
        async with turns:
            event = {**witness.event, "hex": noise(chance).hex()}
            return await cage.run(job(SPEAK, event, {"cpu_ms": 50, "wall_ms": 500}), answer)

    outcomes = await asyncio.gather(*(spoken() for _ in range(150)))

    assert {ending(outcome) for outcome in outcomes} <= {
        "harmless", "policy_violation", "invalid_result", "exception", "wall_timeout", "cpu_exceeded",
        "host_calls_exceeded", "output_too_large",
    }  # fmt: skip
    assert witness.saw() == []
    assert await serves(cage)


SPEAK = unchecked(
    "async def handle(event, ctx):\n"
    + "\n".join(f"    {line}" for line in prelude().splitlines())
    + "\n    write(bytes.fromhex(event['hex']))\n    os._exit(event['n'])\n"
)


def noise(chance: random.Random) -> bytes:
    """Return some frames: most nearly right, some of another length, kind or content than they say."""
    return b"".join(odd_frame(chance) for _ in range(chance.randint(1, 4)))


def odd_frame(chance: random.Random) -> bytes:
    payload = chance.choice(
        [
            chance.randbytes(chance.randint(0, 40)),
            b"[" * chance.randint(1, 5000),
            b'{"call":"kv.get","arguments":{"key":"k"}}',
            b'{"result":1,"effects":[],"logs":[],"log_truncated":false,"fault":null,"output_bytes":1,"log_bytes":0,"usage":{"cpu_us":1,"peak_bytes":1}}',
            b"1e999",
            b'"\\ud800"',
            b"9" * 5000,
            b'{"a":1,"a":2}',
            b"NaN",
            b'"\x00"',
            b"\xff\xfe",
        ]
    )
    if chance.random() < 0.2:
        payload = payload[: chance.randint(0, len(payload))] + chance.randbytes(3)
    length = len(payload) if chance.random() < 0.8 else chance.choice([0, 1, 2**16, 2**31, 2**32 - 1])
    kind = chance.choice([16, 17, 17, 18, 19, 19, 20, 21, 1, 2, 3, 0, 255])
    return length.to_bytes(4, "little") + bytes([kind]) + payload
