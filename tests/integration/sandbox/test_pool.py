"""Children for those who wait: each gets one of its own, in the order in which they came, and none is lost."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from rustok.sandbox.contract import Limits, SandboxUnavailable
from rustok.sandbox.leased import Child
from rustok.sandbox.pool import Generation, Pool
from tests.waiting import eventually_async


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    """A pool that keeps one child ready, without any layer."""
    pool = Pool("run", Limits(), 1, Generation(seconds=600, forks=5000), lambda _: None)
    pool.start(())
    yield pool
    await pool.close()


async def leased(tasks: Iterable[asyncio.Task[Child]]) -> list[Child | BaseException]:
    """Return what became of each lease, and let go of the children."""
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, Child):
            answer.discard()
    return answers


async def test_children_go_to_those_who_wait_in_the_order_in_which_they_came(pool: Pool) -> None:
    """The last one must not be overtaken for ever."""
    served: list[int] = []

    async def lease(number: int) -> None:
        child = await pool.lease(Limits())
        served.append(number)
        child.discard()

    await asyncio.gather(*(lease(number) for number in range(8)))

    assert served == list(range(8))


async def test_a_child_for_somebody_who_has_gone_is_for_the_next(pool: Pool) -> None:
    """Whenever he went: before it came, or with it."""
    waiting = [asyncio.create_task(pool.lease(Limits())) for _ in range(6)]
    await asyncio.sleep(0)  # until each is in the queue
    for gone in waiting[::2]:
        gone.cancel()

    answers = await leased(waiting)

    async def one_is_ready() -> bool:
        return pool.idle == 1

    assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [True, False] * 3
    await eventually_async(one_is_ready)


async def test_what_runs_have_used_up_is_replaced_once_they_have_ended() -> None:
    """Forking would take a processor from them; it cannot wait where nobody is left for the next."""
    pool = Pool("run", Limits(), 2, Generation(seconds=600, forks=5000), lambda _: None)
    pool.start(())

    async def all_are_ready() -> bool:
        return pool.idle == 2

    await eventually_async(all_are_ready)
    zygote = await pool.zygote(())
    forks = zygote.forks
    first = await pool.lease(Limits())
    for_another_hook = await pool.lease(Limits(cpu_ms=100))  # it is forked by the same zygote, in its turn
    forks_meanwhile = zygote.forks - forks

    first.discard()
    for_another_hook.discard()
    await eventually_async(all_are_ready)
    await pool.close()

    assert forks_meanwhile == 1


async def test_who_waits_when_the_pool_closes_is_told(pool: Pool) -> None:
    """He would wait for ever."""
    taken = await pool.lease(Limits())
    waiting = [asyncio.create_task(pool.lease(Limits())) for _ in range(5)]
    await asyncio.sleep(0)

    await pool.close()

    answers = await leased(waiting)
    taken.discard()
    assert any(isinstance(answer, SandboxUnavailable) for answer in answers)
    with pytest.raises(SandboxUnavailable):
        await pool.lease(Limits())
