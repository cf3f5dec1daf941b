"""What a run is told that broke a limit: which, by how much, where."""

import pytest

from rustok.sandbox.cage import Cage
from tests.integration.sandbox.hooks import run, run_raw

_SPIN = "n = 0\nwhile True:\n    n += 1"


async def test_an_error_is_told_with_its_line(cage: Cage) -> None:
    """The first line of `handle` is line 2."""
    outcome = await run(cage, "x = 1\nraise ValueError('no')")

    assert outcome.fault is not None
    assert (outcome.fault.code, outcome.fault.message, outcome.fault.line) == ("exception", "ValueError: no", 4)


async def test_cpu_time_ends_within_five_percent_and_tells_the_line(cage: Cage) -> None:
    """The kernel's count is what matters: the wall clock of a busy machine says nothing."""
    outcome = await run(cage, _SPIN, cpu_ms=500, wall_ms=60_000)

    assert outcome.fault is not None
    assert (outcome.fault.code, outcome.fault.limit) == ("cpu_exceeded", 500)
    assert 475 <= (outcome.fault.used or 0) <= 525
    assert outcome.fault.line in {4, 5}


async def test_cpu_time_ends_inside_of_one_instruction_too(cage: Cage) -> None:
    """There is no line then: nothing of Python runs between."""
    outcome = await run(cage, "return 9 ** 9 ** 8 % 7", cpu_ms=100, wall_ms=60_000)

    assert outcome.fault is not None
    assert outcome.fault.code == "cpu_exceeded"


async def test_other_cpu_limits_are_kept_as_well(cage: Cage) -> None:
    """For them a child is forked when it is needed."""
    outcome = await run(cage, _SPIN, cpu_ms=200, wall_ms=60_000)

    assert outcome.fault is not None
    assert 190 <= (outcome.fault.used or 0) <= 220


@pytest.mark.parametrize(
    ("item", "lines"),
    [
        ("bytearray(1_000_000)", {5}),
        ("'x' * 1000 + str(len(kept))", {5}),
        ("[len(kept)]", {5, None}),  # where not even a traceback can be had there is no line
    ],
)
async def test_memory_ends_within_a_tenth(cage: Cage, item: str, lines: set[int | None]) -> None:
    """Large things or many small ones; what a child needs itself comes on top."""
    outcome = await run(cage, f"kept = []\nwhile True:\n    kept.append({item})", cpu_ms=20_000, wall_ms=60_000)

    assert outcome.fault is not None
    assert (outcome.fault.code, outcome.fault.limit) == ("memory_exceeded", 64 << 20)
    assert outcome.fault.line in lines
    assert 0.8 * (64 << 20) <= (outcome.fault.used or 0) <= 1.1 * (64 << 20)


async def test_one_thing_that_is_too_large_is_refused_at_once(cage: Cage) -> None:
    """The hook may catch that."""
    outcome = await run(cage, "try:\n    bytearray(99 << 20)\nexcept MemoryError:\n    return 'caught'")

    assert outcome.result == "caught"


async def test_wall_time_ends_a_run(cage: Cage) -> None:
    """Not before its time, and long before anything else would end it."""
    outcome = await run(cage, _SPIN, cpu_ms=60_000, wall_ms=300)

    assert outcome.fault is not None
    assert (outcome.fault.code, outcome.fault.limit) == ("wall_timeout", 300)
    assert 300 <= (outcome.fault.used or 0) < 20_000


@pytest.mark.parametrize(
    ("body", "limits", "code"),
    [
        ("for n in range(9):\n    await ctx.kv.get('k')", {"host_calls": 3}, "host_calls_exceeded"),
        ("return 'x' * 300_000", {}, "output_too_large"),
        ("for n in range(9):\n    ctx.emit('x', text='x' * 50_000)", {}, "output_too_large"),
    ],
)
async def test_a_limit_that_is_counted_names_what_was_used(
    cage: Cage, body: str, limits: dict[str, int], code: str
) -> None:
    """No effects are left of such a run."""
    outcome = await run(cage, body, **limits)

    assert outcome.fault is not None
    assert outcome.fault.code == code
    assert (outcome.fault.used or 0) > (outcome.fault.limit or 0) > 0
    assert (outcome.effects, outcome.result) == ((), None)


async def test_a_log_is_cut_and_the_run_goes_on(cage: Cage) -> None:
    """What was logged before stays."""
    outcome = await run(cage, "ctx.log('first')\nctx.log('x' * 20_000)\nreturn 1")

    assert (outcome.result, outcome.log_truncated) == (1, True)
    assert [line["message"] for line in outcome.logs] == ["first"]


@pytest.mark.parametrize("value", ["float('inf')", "{1, 2}", "2 ** 80", "ctx"])
async def test_only_strict_json_is_a_result(cage: Cage, value: str) -> None:
    """The rest is the author's to repair."""
    outcome = await run(cage, f"return {value}")

    assert outcome.fault is not None
    assert outcome.fault.code == "invalid_result"


@pytest.mark.parametrize(
    "body",
    [
        "def f(n): return f(n + 1)\nf(0)",
        "x = []\nfor n in range(100_000):\n    x = [x]\nreturn x == x[0]",
        "import json\nreturn json.loads('[' * 100_000)",
        "import re\nreturn re.match('(' * 5_000 + ')' * 5_000, 'x')",
    ],
)
async def test_recursion_without_an_end_is_an_exception(cage: Cage, body: str) -> None:
    """Whether Python notices or the interpreter crashes."""
    outcome = await run(cage, body)

    assert outcome.fault is not None
    assert outcome.fault.code in {"exception", "invalid_result"}


async def test_a_crash_of_the_interpreter_is_an_exception(cage: Cage) -> None:
    """It says so, and the next run is served."""
    outcome = await run_raw(cage, "module(ctx, 'ctypes').string_at(0)")

    assert outcome.fault is not None
    assert (outcome.fault.code, outcome.fault.message) == ("exception", "the interpreter crashed: SIGSEGV")
    assert (await run(cage, "return 1")).result == 1
