"""A run that its author may be content with, and what it is told of one that failed."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from rustok.sandbox.cage import Cage
from rustok.sandbox.contract import Limits
from tests.integration.sandbox.hooks import compiled, echo, job, nothing, refuse, run, run_raw
from tests.waiting import eventually_async


async def test_a_hook_gives_its_result_effects_and_logs(cage: Cage) -> None:
    """All three come back as plain values."""
    body = "ctx.log('seen', n=event['n'])\nctx.emit('shop.seen', n=1)\nreturn {'text': f\"{event['n']:>3}\"}"

    outcome = await cage.run(job(await compiled(cage, body), {"n": 7}), nothing)

    assert outcome.fault is None
    assert outcome.result == {"text": "  7"}
    assert outcome.effects == [{"effect": "emit", "name": "shop.seen", "data": {"n": 1}}]
    assert outcome.logs == [{"level": "info", "message": "seen", "fields": {"n": 7}}]


async def test_what_a_run_used_is_told(cage: Cage) -> None:
    """Its own use only: not what its child needed to get ready."""
    outcome = await run(cage, "kept = 'x' * 20_000_000\nawait ctx.get('a', 'b')\nreturn len(kept)")

    assert 0 < outcome.usage.cpu_ms < 200
    assert outcome.usage.wall_ms > 0
    assert 19_000_000 < outcome.usage.peak_bytes < 26_000_000
    assert (outcome.usage.host_calls, outcome.usage.output_bytes, outcome.usage.log_bytes) == (1, 8, 0)


async def test_what_a_hook_awaits_is_asked_of_the_host(cage: Cage) -> None:
    """By name, with its arguments."""
    hook = await compiled(cage, "return await ctx.get('commerce.products', 'p1')")

    outcome = await cage.run(job(hook), echo)

    assert outcome.result == {"name": "get", "arguments": {"kind": "commerce.products", "id": "p1", "arguments": {}}}


async def test_a_refusal_is_seen_by_the_hook(cage: Cage) -> None:
    """It may go on without an answer."""
    hook = await compiled(
        cage, "try:\n    await ctx.secret('mail')\nexcept RuntimeError as error:\n    return str(error)"
    )

    outcome = await cage.run(job(hook), refuse)

    assert outcome.result == "permission_denied: Not granted."


async def test_an_answer_that_is_too_large_is_refused(cage: Cage) -> None:
    """A host call brings 1 MiB at most."""

    async def flood(_name: str, _arguments: Mapping[str, Any]) -> str:
        return "x" * (1 << 20)

    hook = await compiled(cage, "await ctx.get('a', 'b')")

    outcome = await cage.run(job(hook), flood)

    assert outcome.fault is not None
    assert "answer_too_large" in outcome.fault.message


async def test_a_call_that_is_too_large_is_refused(cage: Cage) -> None:
    """It does not even leave the child."""
    hook = await compiled(cage, "await ctx.get('a', 'x' * 99_000)")

    outcome = await cage.run(job(hook), echo)

    assert outcome.fault is not None
    assert "call_too_large" in outcome.fault.message


async def test_what_else_a_host_call_raises_ends_the_run(cage: Cage) -> None:
    """It is an error of the host and not of the script."""

    async def fail(_name: str, _arguments: Mapping[str, Any]) -> None:
        raise ConnectionError("the database is away")

    hook = await compiled(cage, "await ctx.get('a', 'b')")

    with pytest.raises(ConnectionError):
        await cage.run(job(hook), fail)


async def test_time_in_host_calls_is_not_the_hooks_own(cage: Cage) -> None:
    """A slow database makes no script fail: this one answers when the run's whole time has passed."""
    loop = asyncio.get_running_loop()
    hook = await compiled(cage, "return await ctx.get('a', 'b')")
    over_s = loop.time() + 3

    async def is_over() -> bool:
        return loop.time() > over_s

    async def slow(_name: str, _arguments: Mapping[str, Any]) -> int:
        await eventually_async(is_over)
        return 3

    outcome = await cage.run(job(hook, limits=Limits(wall_ms=2000)), slow)

    assert outcome.fault is None
    assert outcome.result == 3
    assert outcome.usage.wall_ms < 2000


async def test_an_operator_may_allow_large_results(cage: Cage) -> None:
    """Of many effects, each within what one value may be."""
    body = "for n in range(300):\n    ctx.emit('x', data=[0] * 5000)"
    hook = await compiled(cage, body)

    outcome = await cage.run(job(hook, limits=Limits(output_bytes=4 << 20, cpu_ms=20_000, wall_ms=60_000)), nothing)

    assert outcome.fault is None
    assert len(outcome.effects) == 300
    assert outcome.usage.output_bytes > 3_000_000


async def test_hooks_of_two_tenants_run_at_once(cage: Cage) -> None:
    """Each awaits an answer that comes only after the other has asked too."""
    both = asyncio.Barrier(2)

    async def meet(_name: str, arguments: Mapping[str, Any]) -> Any:
        async with both:
            return arguments["key"]

    hook = await compiled(cage, "return await ctx.kv.get(event['who'])")

    outcomes = await asyncio.gather(*(cage.run(job(hook, {"who": who}), meet) for who in ("a", "b")))

    assert [outcome.result for outcome in outcomes] == ["a", "b"]


async def test_nothing_of_a_run_is_left_for_the_next(cage: Cage) -> None:
    """A child runs once, even when its hook could reach everything in it."""
    await run_raw(cage, "module(ctx, 'json').dumps = None\nmodule(ctx, 'builtins').len = None\nreturn 1")

    outcomes = [await run(cage, "import json\nreturn json.dumps(len('ab'))") for _ in range(4)]

    assert [outcome.result for outcome in outcomes] == ["2"] * 4


async def test_the_same_job_gives_the_same_outcome(cage: Cage) -> None:
    """Even the order of a set: chance, ids, time and hashing are the same in every child."""
    body = "import random\nreturn [list({str(n) for n in range(99)}), ctx.new_id(), random.random(), str(ctx.now)]"

    first, second = await run(cage, body), await run(cage, body)

    assert first.result == second.result
    assert first.result is not None


async def test_nothing_of_the_worker_is_in_a_child(cage: Cage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its environment nor a descriptor; the socket is number 3."""
    monkeypatch.setenv("RUSTOK_CANARY", "do not tell")

    outcome = await run_raw(cage, "return [sorted(reach(ctx).environ), list(module(ctx, 'sys').argv[1:3])]")

    assert outcome.result is not None
    assert set(outcome.result[0]) <= {"LC_CTYPE", "PYTHONHASHSEED", "TZ"}


@pytest.mark.parametrize(
    "body",
    [
        "'x'.encode('idna')",
        "'x'.encode('koi8_r')",
        "ctx.get('never', 'awaited')\nreturn 1",
        "from datetime import datetime, timezone\nreturn str(datetime(2026, 1, 1).astimezone())",
        "import re\nreturn re.sub(r'\\N{BULLET}', '', 'x')",
        "import hashlib\nreturn hashlib.sha3_256(b'x' * 999_999).hexdigest()",
        "return sum(float(n) ** 0.5 for n in range(99_999))",
        "x = {}\nfor n in range(20_000):\n    x = {'x': x}\nreturn 1",
        "return str(10 ** 4000)",
        "return str(10 ** 5000)",
    ],
)
async def test_honest_python_is_no_violation(cage: Cage, body: str) -> None:
    """Whatever it comes to, it does not ask the system for something that a child may not have."""
    outcome = await run(cage, body)

    assert outcome.fault is None or outcome.fault.code == "exception"
