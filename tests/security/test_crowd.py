"""A crowd of tenants, good and hostile, on one cage, while processes of the cage are killed."""

import asyncio
import itertools
import os
import random
import select
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import psutil
import pytest

from rustok.sandbox.cage import Cage, CageConfig
from rustok.sandbox.contract import Job, Outcome, SandboxUnavailable
from tests.security.cases import HARMLESS, prelude
from tests.security.stage import Witness, answer, ending, job, unchecked
from tests.waiting import WAIT_S, eventually_async

TENANTS = ("acme", "globex", "initech")


class Kind(NamedTuple):
    """A kind of run: what its hook does, what must come of it, and how many of ten are of it."""

    body: str
    ending: str
    share: int = 1
    raw: bool = False
    limits: Mapping[str, int] = {}


KINDS = [
    Kind("found = await ctx.kv.get(event['n'])\nreturn [ctx.tenant_id, found['key'], event['n']]", HARMLESS, 12),
    Kind("ctx.emit('done', n=event['n'])\nreturn [ctx.tenant_id, event['n'], event['n']]", HARMLESS, 6),
    Kind("while True: pass", "cpu_exceeded", limits={"cpu_ms": 50}),
    Kind("return sum(range(10 ** 12))", "cpu_exceeded", limits={"cpu_ms": 50}),
    Kind("return bytes(1 << 40)", "memory_exceeded"),
    Kind("kept = []\nwhile True: kept.append(bytes(1 << 22))", "memory_exceeded"),
    Kind("def f(): return f()\nreturn f()", "exception"),
    Kind("raise ValueError('x')", "exception"),
    Kind("return float('nan')", "invalid_result"),
    Kind("while True: await ctx.kv.get('k')", "host_calls_exceeded"),
    Kind("ctx.kv.set('k', 'x' * 300_000)", "output_too_large"),
    Kind("os.system('id')", "policy_violation", raw=True),
    Kind("os.fork()", "policy_violation", raw=True),
    Kind("os.kill(-1, 9)", "policy_violation", raw=True),
    Kind("load('_socket').socket()", "policy_violation", raw=True),
    Kind("write(b'\\xff' * 99)\nwhile True: pass", "policy_violation", raw=True),
    Kind("ctypes.string_at(0)", "exception", raw=True),
    Kind("os._exit(0)", "policy_violation", raw=True),
    Kind("os.read(3, 1)", "wall_timeout", raw=True, limits={"wall_ms": 200}),
]


def hook(kind: Kind) -> bytes:
    body = f"{prelude() if kind.raw else ''}{kind.body}"
    return unchecked("async def handle(event, ctx):\n" + "\n".join(f"    {line}" for line in body.splitlines()))


class Tree(NamedTuple):
    """The launcher that is a child of this process, the zygote below it, and the children below that."""

    launcher: psutil.Process
    zygote: psutil.Process
    children: list[psutil.Process]


def trees(cage: Cage) -> Iterator[Tree]:
    """Yield those of zygotes of *cage* that run hooks and have children."""
    for launcher in launchers():
        if launcher.pid not in cage.zygote_pids:
            continue
        with suppress(psutil.NoSuchProcess):
            for zygote in launcher.children():
                if children := zygote.children():
                    yield Tree(launcher, zygote, children)


def launchers() -> list[psutil.Process]:
    found = psutil.Process().children()
    return [process for process in found if process.status() != psutil.STATUS_ZOMBIE and "run" in process.cmdline()]


async def kill(cage: Cage, victim: str) -> None:
    """Kill -9 the launcher, the zygote or all children, and wait until every process that depends on it is gone.

    Where the one before has just been killed, as soon as there is a tree again.
    """
    found: list[Tree] = []

    async def there_is_one() -> bool:
        found.extend(itertools.islice(trees(cage), 1))
        return bool(found)

    await eventually_async(there_is_one)
    [tree] = found
    killed = {"launcher": [tree.launcher], "zygote": [tree.zygote], "children": tree.children}[victim]
    dying = tree.children if victim == "children" else [*killed, tree.zygote, *tree.children]
    watches = list(watched(dying))
    for process in killed:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    for watch in watches:
        assert select.select([watch], [], [], WAIT_S)[0], f"what depends on the {victim} lives on"
        os.close(watch)


def watched(processes: Iterable[psutil.Process]) -> Iterator[int]:
    """Yield what becomes readable as each of them ends: a hook's process may have ended by itself meanwhile."""
    for process in processes:
        with suppress(ProcessLookupError):
            yield os.pidfd_open(process.pid)


@pytest.mark.parametrize("runs", [200, pytest.param(1000, marks=[pytest.mark.deep, pytest.mark.timeout(900)])])
async def test_every_run_of_a_crowd_gets_what_is_its_own(witness: Witness, runs: int) -> None:
    """Runs of three tenants at once, five kills of zygote and children among them; none is left in the end."""
    chance = random.Random(7)
    kinds = [kind for kind in KINDS for _ in range(kind.share)]
    crowd = [(chance.choice(kinds), chance.choice(TENANTS), number) for number in range(runs)]
    hooks = {kind.body: hook(kind) for kind in KINDS}
    step = runs * 3 // 20
    moments = range(step, 6 * step, step)
    victims = dict(zip(moments, ["children", "zygote", "children", "launcher", "children"], strict=True))
    served, before = itertools.count(1), launchers()

    async def run(cage: Cage, kind: Kind, tenant: str, number: int) -> Outcome:
        event = {**witness.event, "n": number}
        outcome = await as_a_worker_would(cage, job(hooks[kind.body], event, kind.limits, tenant))
        if victim := victims.pop(next(served), None):
            await kill(cage, victim)
        return outcome

    async with Cage(CageConfig(wait_s=600)) as cage:
        outcomes = await asyncio.gather(*(run(cage, *each) for each in crowd))

    assert [wrong for each, outcome in zip(crowd, outcomes, strict=True) if (wrong := complaint(each, outcome))] == []
    assert victims == {}
    assert witness.saw() == []
    assert launchers() == before


async def as_a_worker_would(cage: Cage, wanted: Job) -> Outcome:
    """Run *wanted*; again where the cage could not: one that is in the way of three kills is nobody's fault."""
    for _ in range(3):
        with suppress(SandboxUnavailable):
            return await cage.run(wanted, answer)
    raise AssertionError(f"the cage could not run {wanted.run_id}")


def complaint(each: tuple[Kind, str, int], outcome: Outcome) -> str | None:
    kind, tenant, number = each
    if ending(outcome) != kind.ending:
        return f"{kind.body!r}: {outcome}"
    if kind.ending == HARMLESS and outcome.result != [tenant, number, number]:
        return f"{tenant} {number}: {outcome.result}"
    return None


async def test_a_run_that_is_killed_from_outside_is_run_again() -> None:
    """In the middle of it, twice: with its zygote, then with its siblings."""
    victims = ["zygote", "children"]
    asked: list[str] = []

    async def answer_and_kill(name: str, arguments: Mapping[str, Any]) -> Any:
        asked.append(name)
        if victims:
            await kill(cage, victims.pop(0))
        return await answer(name, arguments)

    async with Cage(CageConfig(children=1)) as cage:
        outcome = await cage.run(job(hook(KINDS[0]), {"n": 5}, tenant="acme"), answer_and_kill)

    assert outcome.result == ["acme", 5, 5]
    assert asked == ["kv.get"] * 3
