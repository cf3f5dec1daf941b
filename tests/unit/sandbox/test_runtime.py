"""One run of a hook, driven by hand: what it sees, what it records, and how it ends.

Only hooks written here run in this process; the process of a tenant's hook is another matter.
"""

import builtins
from types import BuiltinFunctionType, CodeType, FrameType, ModuleType, TracebackType
from typing import Any

import pytest

from rustok.sandbox.language.compiler import compile_source
from rustok.sandbox.language.facades import MODULES
from rustok.sandbox.language.runtime import SAFE, run

LIMITS = {"host_calls": 2, "output_bytes": 1000, "log_bytes": 200}
JOB = {
    "event": {"n": 3},
    "now": "2026-01-02T03:04:05+00:00",
    "seed": "s",
    "run_id": "r",
    "tenant_id": "t",
    "script": "x",
    "limits": LIMITS,
}


def run_hook(body: str, *, before: str = "", answers: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """Run a hook of these statements; the host gives *answers* in turn."""
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    compiled = compile_source(f"{before}\nasync def handle(event, ctx):\n{indented}\n")
    assert isinstance(compiled, bytes), compiled
    waiting = iter(answers)
    return run(compiled, JOB, lambda _call: next(waiting))


def fault_of(body: str, **options: Any) -> dict[str, Any]:
    fault: dict[str, Any] = run_hook(body, **options)["fault"]
    return fault


@pytest.mark.parametrize(
    ("before", "body", "result"),
    [
        ("", "return event['n'] + 1", 4),
        ("", "return f'{1.5:>6.2f}|{event[\"n\"]!r}'", "  1.50|3"),
        ("import math, json", "return json.dumps(math.floor(2.5))", "2"),
        ("from decimal import Decimal", "return str(Decimal('0.1') + Decimal('0.2'))", "0.3"),
        ("import re", "return re.sub('[^a-z]+', '-', 'blue  shirt')", "blue-shirt"),
        (
            "from datetime import timedelta",
            "return (ctx.now + timedelta(days=1)).isoformat()",
            "2026-01-03T03:04:05+00:00",
        ),
        ("", "match event:\n    case {'n': int() as n}: return n", 3),
        ("", "a, *_ = sorted({3, 1}, key=lambda n: -n)\na += 1\nreturn a", 4),
        (
            "class A:\n    x: 'nothing evaluates this' = 1\nclass B(A):\n    def __len__(self): return super().x",
            "return len(B())",
            1,
        ),
        ("", "return [ctx.run_id, ctx.tenant_id, ctx.script]", ["r", "t", "x"]),
    ],
)
def test_a_hook_gives_what_cpython_gives(before: str, body: str, result: Any) -> None:
    """There is no guard in the code that runs."""
    done = run_hook(body, before=before)

    assert (done["result"], done["fault"]) == (result, None)


def test_what_is_awaited_is_asked_of_the_host() -> None:
    """A call leaves as data, its answer comes back as data."""
    body = "product = await ctx.get('commerce.products', 'p1')\nreturn [product['vendor'], await ctx.kv.get('k', 0)]"

    done = run_hook(body, answers=({"value": {"vendor": "Acme"}}, {"value": None}))

    assert done["result"] == ["Acme", 0]


def test_a_refusal_of_the_host_can_be_caught() -> None:
    """Its code is in the message."""
    body = "try:\n    await ctx.secret('mail')\nexcept RuntimeError as error:\n    return str(error)"

    done = run_hook(body, answers=({"error": {"code": "permission_denied", "message": "Not granted."}},))

    assert done["result"] == "permission_denied: Not granted."


def test_effects_are_recorded_in_order() -> None:
    """Nothing happens while a hook runs."""
    body = """
ctx.update('commerce.products', 'p1', tags=['new'])
ctx.command('commerce.prices.set', product_id='p1', amount=1)
ctx.kv.set('seen', 1, ttl_s=60)
ctx.http.post('https://example.com/', json={'a': 1})
"""

    effects = run_hook(body)["effects"]

    assert [effect["effect"] for effect in effects] == ["update", "command", "kv.set", "http"]
    assert effects[0] == {"effect": "update", "kind": "commerce.products", "id": "p1", "changes": {"tags": ["new"]}}
    assert effects[1]["input"] == {"product_id": "p1", "amount": 1}


@pytest.mark.parametrize(
    "value", ["float('nan')", "2**63", "'\\0'", "'\\ud800'", "{1: 2}", "{1}", "ctx", "[[]] * 30_000"]
)
def test_only_strict_json_leaves_a_hook(value: str) -> None:
    """Neither as a result nor in an effect."""
    assert fault_of(f"return {value}")["code"] == "invalid_result"
    assert fault_of(f"ctx.emit('x', value={value})")["code"] == "invalid_result"


def test_an_error_is_told_with_the_line_of_the_hook() -> None:
    """The first line of `handle` is line 2."""
    fault = fault_of("x = 1\nraise ValueError('no')")

    assert (fault["code"], fault["message"], fault["line"]) == ("exception", "ValueError: no", 4)


def test_an_error_that_cannot_be_told_is_named_at_least() -> None:
    """A hook's own `__str__` may fail or be long."""
    before = "class Bad(Exception):\n    def __str__(self): return 1 / 0"

    assert fault_of("raise Bad()", before=before)["message"] == "Bad"
    assert len(fault_of("raise ValueError('x' * 9999)")["message"]) == 500


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("for n in range(9):\n    await ctx.kv.get('k')", "host_calls_exceeded"),
        ("for n in range(99):\n    ctx.emit('x', text='x' * 100)", "output_too_large"),
        ("return 'x' * 2000", "output_too_large"),
    ],
)
def test_a_limit_ends_the_run_whatever_the_hook_catches(body: str, code: str) -> None:
    """Its limit and what was used are told; effects of such a run are worth nothing."""
    caught = "try:\n" + "\n".join(f"    {line}" for line in body.splitlines()) + "\nexcept Exception:\n    pass"

    done = run_hook(caught, answers=({"value": 1},) * 9)

    assert done["fault"]["code"] == code
    assert done["fault"]["used"] > done["fault"]["limit"]
    assert done["effects"] == []


def test_logs_are_cut_at_their_limit() -> None:
    """What was logged before stays."""
    done = run_hook("ctx.log('first', n=1)\nprint('a', 2)\nctx.log.warning('x' * 999)\nctx.log('last')")

    assert [(line["level"], line["message"]) for line in done["logs"]] == [("info", "first"), ("info", "a 2")]
    assert done["log_truncated"]


def test_chance_and_ids_come_from_the_seed() -> None:
    """So a replay gives the same."""
    body = "import random\nreturn [random.random(), ctx.random.randint(1, 9), ctx.new_id()]"

    assert run_hook(body) == run_hook(body)
    assert run_hook(body)["result"] is not None


def test_nothing_but_ctx_can_be_awaited() -> None:
    """A hook cannot speak to the driver in its own name."""
    before = "class Fake:\n    def __iter__(self): yield 1\nasync def pages():\n    yield 1"

    assert "TypeError" in fault_of("await pages()", before=before)["message"]


def test_no_module_frame_or_code_can_be_reached_by_names() -> None:
    """A walk over all that a hook starts with, along every name that the language lets it say."""
    waiting: list[tuple[str, Any]] = [(name, getattr(builtins, name)) for name in SAFE if name != "__build_class__"]
    waiting += [(f"{module}.{name}", value) for module, names in MODULES.items() for name, value in names.items()]
    seen: set[int] = set()
    found = []
    while waiting:
        path, thing = waiting.pop()
        if id(thing) in seen or path.count(".") > 6:
            continue
        seen.add(id(thing))
        if isinstance(thing, ModuleType | FrameType | CodeType | TracebackType) or thing in (type, object):
            found.append(path)
        for name in dir(thing):
            if not name.startswith("_") and may_be_said(name) and not isinstance(thing, BuiltinFunctionType):
                waiting.append((f"{path}.{name}", getattr(thing, name, None)))

    assert found == []
    assert len(seen) > 200


def may_be_said(name: str) -> bool:
    return isinstance(compile_source(f"async def handle(event, ctx):\n    event.{name}\n"), bytes)
