"""A process works at so many requests; who comes then waits in a line, and is refused when no turn comes."""

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from api.in_progress import InProgress, Place, Places, aside


def places(most: int, patience_s: float = 30) -> Places:
    return Places(most, patience_s)


async def others_go_on() -> None:
    """Let all other tasks come as far as they can."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_so_many_places_are_taken_at_once() -> None:
    """Nobody waits while there is one."""
    two = places(2)

    assert [await two.come(), await two.come()] == [True, True]
    assert two.taken == 2


async def test_who_has_waited_for_the_longest_time_is_next() -> None:
    """A place that is left goes to one of them, and who comes now does not overtake."""
    one = places(1)
    await one.come()
    turns: list[str] = []

    async def wait(name: str) -> None:
        await one.come()
        turns.append(name)

    waiting = [asyncio.create_task(wait(name)) for name in ("first", "second", "third")]
    await asyncio.sleep(0)
    one.leave()
    one.leave()
    one.leave()
    await asyncio.gather(*waiting)

    assert turns == ["first", "second", "third"]
    assert one.taken == 1


async def test_who_has_no_turn_in_time_is_refused_and_forgotten() -> None:
    """The next place goes to somebody who still waits."""
    one = places(1, patience_s=0)
    await one.come()

    assert await one.come() is False

    one.leave()
    assert one.taken == 0


async def test_who_goes_while_waiting_takes_no_place() -> None:
    """Neither before the turn has come nor in the same moment."""
    one = places(1)
    await one.come()
    early, late = (asyncio.create_task(one.come()) for _ in range(2))
    await others_go_on()

    early.cancel()
    await others_go_on()
    one.leave()
    late.cancel()
    await asyncio.gather(early, late, return_exceptions=True)

    assert one.taken == 0
    assert await one.come() is True


async def test_who_waits_for_somebody_else_leaves_the_place_to_others() -> None:
    """And goes on at once afterwards, even where that is one too many: what has been begun is not put off."""
    one = places(1)
    await one.come()
    place, other = Place(one), asyncio.create_task(one.come())
    await others_go_on()

    with place.left():
        assert await other is True
        assert one.taken == 1
    assert one.taken == 2

    place.leave()
    assert one.taken == 1


async def test_a_place_is_left_once() -> None:
    """An answer that has begun does not count again, whatever its stream waits for."""
    one = places(1)
    await one.come()
    place = Place(one)

    place.leave()
    with place.left():
        pass
    place.leave()

    assert one.taken == 0


@pytest.mark.parametrize(("root_path", "path", "is_bounded"), [
    ("", "/api/v1/x", True),
    ("/shop", "/shop/api/v1/x", True),
    ("", "/health/live", False),
    ("/api", "/api/health/live", False),
])  # fmt: skip
async def test_what_is_bounded_is_below_the_prefix_wherever_the_application_is(
    root_path: str, path: str, is_bounded: bool
) -> None:
    """A proxy may have put it below a path of its own; and who has no place leaves none."""
    seen: list[bool] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        with aside(scope):
            seen.append("rustok.place" in scope)

    async def nothing(*_message: object) -> Any:
        """Send, or receive."""

    scope = {"type": "http", "path": path, "root_path": root_path}
    await InProgress(app, ("/api/v1/",), most=1)(scope, nothing, nothing)

    assert seen == [is_bounded]
