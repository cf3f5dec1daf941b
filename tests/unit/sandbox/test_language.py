"""The language of hooks: what an author may write, and what is refused with its place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustok.sandbox.language.compiler import compile_source
from rustok.sandbox.language.diagnostic import Diagnostic

_FORBIDDEN = """
BaseException GeneratorExit SystemExit KeyboardInterrupt BaseExceptionGroup getattr setattr delattr vars dir globals
locals eval exec compile open input breakpoint hash id type object memoryview __import__
""".split()  # noqa: SIM905 - names, not texts
HOOK = "async def handle(event, ctx):\n    pass\n"


def check_source(source: str) -> tuple[Diagnostic, ...]:
    compiled = compile_source(source)
    return () if isinstance(compiled, bytes) else compiled


def refusals(statements: str) -> list[Diagnostic]:
    """Check *statements* at the top of a hook that is in order otherwise."""
    return list(check_source(f"{statements}\n{HOOK}"))


@pytest.mark.parametrize(
    "statements",
    [
        """
class Price:
    currency: str = "EUR"
    def __init__(self, amount): self.amount = amount
    @property
    def gross(self): return self.amount * 119 // 100
    def __lt__(self, other): return self.amount < other.amount
""",
        """
async def read(ctx):
    async for page in ctx.pages():
        yield page
    async with ctx.lock() as lock:
        await lock.hold()
""",
        """
def tell(value):
    match value:
        case {"kind": "post", **rest}: return rest
        case [first, *others] if others: return first
        case Price(amount=1) | None: return 1
        case "a" as letter: return letter
        case _: return 0
""",
        """
from decimal import ROUND_HALF_UP, Decimal
import math as m, json
from re import fullmatch as fits
""",
        """
a, (b, *c) = 1, (2, 3)
c += [4]
a: int = 1
d = {**{}, "x": [*c]}
del d["x"]
""",
        """
if (n := len("ab")) > 1:
    texts = [f"{n:>{n}}" for x in range(n) if x]
long = lambda *args, **more: args
""",
        """
total = 0
def add(n):
    global total
    total += n
    def inner():
        nonlocal n
        n = 1
""",
        """
try:
    1 / 0
except (ZeroDivisionError, KeyError) as error:
    raise ValueError("no") from error
finally:
    for i in range(3):
        if i: break
""",
        """
for _ in range(3): pass
ellipsis = ...
while True:
    break
else:
    assert True, "fine"
""",
        "with open_price() as (amount, currency): print(amount, currency, sep=' ')",
    ],
)
def test_everyday_python_is_within_the_language(statements: str) -> None:
    """Users forgive missing libraries, not missing Python."""
    assert refusals(statements) == []


@pytest.mark.parametrize(
    "statements",
    [
        "x = ().__class__",
        "x = [].append.__self__",
        "x.__dict__ = 1",
        "del x.__doc__",
        "x._private += 1",
        "__builtins__",
        "_x = 1",
        "_x: int = 1",
        "for _x in y: pass",
        "z = [_x for _x in y]",
        "with y as _x: pass",
        "with y as (a, _x): pass",
        "try: pass\nexcept ValueError as _x: pass",
        "import math as _math",
        "from math import pi as _getattr_",
        "(_x := 1)",
        "def _f(): pass",
        "class _C: pass",
        "def f(_x): pass",
        "def f(*_x): pass",
        "def f(**_x): pass",
        "def f(*, _x=1): pass",
        "f = lambda _x: 1",
        "def f():\n    global _x",
        "def f():\n    x = 1\n    def g():\n        nonlocal _x",
        "a, *_x = y",
        "f(__x=1)",
        "match y:\n    case _x: pass",
        "match y:\n    case [*_x]: pass",
        "match y:\n    case {**_x}: pass",
        "match y:\n    case 1 as _x: pass",
        "match y:\n    case str(__class__=c): pass",
        "match y:\n    case a.__class__: pass",
        "x: ().__class__ = 1",
        "def f(x: ().__class__): pass",
        "def f(x=().__class__): pass",
        "@x.__class__\ndef f(): pass",
        "f'{().__class__}'",
        "f'{1:{().__class__}}'",
    ],
)
def test_no_binding_and_no_look_up_begins_with_an_underscore(statements: str) -> None:
    """In every form that binds or walks a name (RestrictedPython: CVE-2026-55830, guards shadowed)."""
    found = refusals(statements)

    assert found
    assert {fault.code for fault in found} == {"forbidden_syntax"}
    assert all("underscore" in fault.message for fault in found)


@pytest.mark.parametrize(
    "statements",
    [
        "x = (n for n in []).gi_frame.f_back",  # CVE-2023-37271
        "x = g.gi_code",
        "x = c.cr_frame",
        "x = c.cr_await",
        "x = a.ag_frame",
        "x = e.tb_frame",
        "x = e.tb_next",
        "x = f.f_globals",
        "x = f.f_builtins",
        "x = f.f_generator",
        "x = c.co_consts",
        "x = int.mro",
        "x = '{0.__class__}'.format(1)",  # CVE-2023-41039
        "x = str.format_map('{a.__class__}', {})",
        "try: pass\nexcept* ValueError: pass",  # CVE-2025-22153
        "import string",  # CVE-2024-47532: string.Formatter
        "from string import Formatter",
        "match y:\n    case object(gi_frame=f): pass",
        "class C(metaclass=M): pass",
        "class C(B, flag=1): pass",
        "class C:\n    def __getattr__(self, name): pass",
        "class C:\n    def __init_subclass__(cls): pass",
        "class C:\n    def __del__(self): pass",
        "class C:\n    __slots__ = ()",
        "def __init__(self): pass",
    ],
)
def test_published_escapes_are_refused(statements: str) -> None:
    """Frames, formats, groups and hooks into the interpreter; each got somebody out once."""
    assert {fault.code for fault in refusals(statements)} == {"forbidden_syntax"}


@pytest.mark.parametrize(
    "name",
    _FORBIDDEN,
)
def test_names_that_lead_out_are_refused_read_or_bound(name: str) -> None:
    """Who binds one of them shadows what the reader takes it for."""
    assert refusals(f"x = {name}")
    assert refusals(f"{name} = 1")
    assert refusals(f"def f({name}): pass")


@pytest.mark.parametrize(
    "statement",
    [
        "import os",
        "import sys as s",
        "import json.decoder",
        "from os import path",
        "from . import x",
        "from .math import pi",
    ],
)
def test_other_imports_name_what_there_is(statement: str) -> None:
    """The hint is the list of what can be imported."""
    [fault] = refusals(statement)

    assert "cannot be imported" in fault.message
    assert "collections, datetime, decimal" in (fault.hint or "")


def test_only_chosen_names_of_a_module_can_be_imported() -> None:
    """`json.codecs.open` is one reason."""
    [fault] = refusals("from json import codecs")

    assert fault.message == "codecs cannot be imported from json."
    assert fault.hint == "json has JSONDecodeError, dumps, loads."


@pytest.mark.parametrize(
    ("body", "leaves"),
    [
        ("def f():\n    try: pass\n    finally:\n        return 1", True),
        ("while x:\n    try: pass\n    finally:\n        break", True),
        ("for y in x:\n    try: pass\n    finally:\n        if y: continue", True),
        ("try: pass\nfinally:\n    for y in x: continue", False),
        ("try: pass\nfinally:\n    def f(): return 1", False),
    ],
)
def test_nothing_leaves_a_finally(body: str, *, leaves: bool) -> None:
    """It would swallow the error that ends a run."""
    assert bool(refusals(body)) == leaves


def test_a_bare_except_is_refused() -> None:
    """It catches what `except BaseException` does."""
    [fault] = refusals("try: pass\nexcept: pass")

    assert fault.hint == "Catch `Exception`: what ends a run for its limits must get through."


def test_a_fault_has_its_line_and_column_in_characters() -> None:
    """What an editor shows; before the fault there are two-byte letters."""
    [fault] = check_source(f"{HOOK}\nцена = 'дорого' + x.__class__\n")

    assert (fault.line, fault.column) == (4, 19)
    assert fault.message == "The attribute __class__ begins with an underscore."


def test_faults_come_in_the_order_of_their_lines() -> None:
    """All of them at once: an author mends them in one go."""
    found = refusals("import os\nx = y.__a\nimport sys")

    assert [fault.line for fault in found] == [1, 2, 3]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("def f(:\n", 1),
        ("x = 1\nreturn x\n" + HOOK, 2),
        ("await x\n" + HOOK, 1),
        ("a\0b", None),
        ("x = '\ud800'", None),
    ],
)
def test_what_is_no_python_is_a_syntax_error(source: str, line: int | None) -> None:
    """CPython's own refusals, also those of its compiler."""
    [fault] = check_source(source)

    assert (fault.code, fault.line) == ("syntax_error", line)


@pytest.mark.parametrize(
    "source",
    [
        "#" * 65_537,
        "x = [" + "1," * 20_001 + "]\n" + HOOK,
        "x = " + "not " * 61 + "y\n" + HOOK,
        "x = " + "-" * 60_000 + "1",
        "x = " + "a." * 30_000 + "b",
    ],
)
def test_what_is_too_large_is_refused_before_it_costs_much(source: str) -> None:
    """Size, nodes and depth have limits; CPython's own recursion is never met."""
    [fault] = check_source(source)

    assert fault.code == "source_too_large"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "def handle(event, ctx): pass",
        "async def handle(event): pass",
        "async def handle(event, ctx, more): pass",
        "async def handle(event, ctx, *, more): pass",
        "class handle: pass",
        HOOK + "def handle(event, ctx): pass",
        "if True:\n    async def handle(event, ctx): pass",
    ],
)
def test_a_hook_has_an_async_handle_of_two_arguments(source: str) -> None:
    """The hint shows the line to write."""
    [fault] = check_source(source)

    assert fault.hint == "A hook begins with `async def handle(event, ctx):` at the left margin."


@pytest.mark.parametrize("source", ["async def handle(*args): pass", "async def handle(event, ctx, more=1): pass"])
def test_a_handle_may_take_its_two_arguments_in_any_way(source: str) -> None:
    """What counts is that the call `handle(event, ctx)` fits."""
    assert check_source(source) == ()


@settings(max_examples=300)
@given(st.text(st.sampled_from("xy_.()[]{}:=,'\"\n \\#@*+-0\0é") | st.characters(), max_size=60))
def test_no_source_makes_the_check_fail(source: str) -> None:
    """Whatever arrives is either a hook or has faults."""
    assert all(fault.message for fault in check_source(source))
