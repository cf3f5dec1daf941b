"""The sequencer's loop over a store, a clock and a wake-up that are driven by hand."""

from collections.abc import Collection, Sequence

import pytest

from rustok.events.sequencer import Sequenced, Sequencer, SequencerConfig
from rustok.kernel.errors import Unavailable
from rustok.testing import FixedClock

CONFIG = SequencerConfig(batch=10, poll_min_s=1, poll_max_s=8, floor_interval_s=100, failure_pause_s=5)


class Stopped(Exception):
    """The script is at its end: stands for the cancellation that ends the loop."""


class ScriptedStore:
    """Gives back one entry of its script a call: counts of events, or errors."""

    def __init__(self, script: Sequence[int | Exception]) -> None:
        self.script = [*script, Stopped()]
        self.floors = 0

    async def sequence(self, limit: int) -> Sequenced | None:
        del limit
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return Sequenced(step, {"clocks.clock.wound"}) if step else None

    async def raise_floor(self) -> None:
        self.floors += 1


class ScriptedWake:
    """Writes down how long the loop would have waited; wakes it where the script says so."""

    def __init__(self, clock: FixedClock, wakes_at: Sequence[int] = ()) -> None:
        self.waited_s: list[float] = []
        self._clock = clock
        self._wakes_at = wakes_at

    async def wait(self, timeout_s: float) -> bool:
        self.waited_s.append(timeout_s)
        self._clock.advance(timeout_s)
        return len(self.waited_s) in self._wakes_at


class RecordedHints:
    def __init__(self) -> None:
        self.types: list[Collection[str]] = []

    def announce(self, types: Collection[str]) -> None:
        self.types.append(types)


class Relay:
    def __init__(
        self, script: Sequence[int | Exception], wakes_at: Sequence[int] = (), config: SequencerConfig = CONFIG
    ) -> None:
        self.clock = FixedClock()
        self.store = ScriptedStore(script)
        self.wake = ScriptedWake(self.clock, wakes_at)
        self.hints = RecordedHints()
        self.sequencer = Sequencer(config, self.store, self.clock, self.wake, self.hints)

    async def run(self) -> None:
        """Run to the end of the script."""
        with pytest.raises(Stopped):
            await self.sequencer.run()


async def test_one_run_sequences_a_batch_and_tells_what_came() -> None:
    """Each type of event is named once."""
    relay = Relay([3])

    count = await relay.sequencer.run_once()

    assert (count, relay.hints.types) == (3, [{"clocks.clock.wound"}])


async def test_nobody_is_told_when_nothing_moved() -> None:
    """A hint costs a message."""
    relay = Relay([0])

    await relay.sequencer.run_once()

    assert relay.hints.types == []


async def test_a_full_batch_is_followed_at_once_by_the_next() -> None:
    """There is more, so nobody waits."""
    relay = Relay([10, 10, 4])

    await relay.run()

    assert relay.wake.waited_s == [1]


async def test_the_pause_doubles_while_there_is_nothing_up_to_its_limit() -> None:
    """An idle relay costs the server little."""
    relay = Relay([0, 0, 0, 0, 0])

    await relay.run()

    assert relay.wake.waited_s == [2, 4, 8, 8, 8]


async def test_work_brings_the_shortest_pause_back() -> None:
    """Where there was one event there will be others."""
    relay = Relay([0, 0, 1, 0])

    await relay.run()

    assert relay.wake.waited_s == [2, 4, 1, 2]


async def test_a_wake_up_brings_the_shortest_pause_back() -> None:
    """Whoever woke the relay may not have been visible yet."""
    relay = Relay([0, 0, 0, 0], wakes_at=[2])

    await relay.run()

    assert relay.wake.waited_s == [2, 4, 2, 4]


async def test_a_failing_server_is_waited_for() -> None:
    """The relay lives on; what was committed waits in the outbox."""
    relay = Relay([Unavailable("gone"), ConnectionResetError(), 3])

    await relay.run()

    assert relay.hints.types == [{"clocks.clock.wound"}]
    assert relay.clock.monotonic_s() == 5 + 5 + 1


async def test_a_defect_ends_the_process() -> None:
    """A supervisor starts it again and somebody reads why; going on would hide it."""
    relay = Relay([ZeroDivisionError()])

    with pytest.raises(ZeroDivisionError):
        await relay.sequencer.run()


async def test_the_floor_is_raised_once_an_interval() -> None:
    """While nothing happens."""
    relay = Relay([0] * 9, config=SequencerConfig(batch=10, poll_min_s=1, poll_max_s=1, floor_interval_s=3))

    await relay.run()

    assert relay.store.floors == 3


async def test_events_go_before_the_floor_until_that_is_overdue() -> None:
    """Consumers are woken by them and ask the same server; nobody waits for the floor."""
    config = SequencerConfig(batch=10, poll_min_s=1, poll_max_s=1, floor_interval_s=3)
    busy, calm_again = Relay([1] * 6, config=config), Relay([0, 1, 0, 0, 0], config=config)

    await busy.run()
    await calm_again.run()

    assert (busy.store.floors, calm_again.store.floors) == (1, 2)
