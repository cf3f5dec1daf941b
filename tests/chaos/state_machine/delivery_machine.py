"""Anything that writers, relays, workers, operators and chance may do to events, in any order; after each step the
invariants hold, and in the end every committed event has taken effect once.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from rustok.db.failures import is_transient
from rustok.db.transaction import Transaction
from rustok.events.dead_letters import Choice
from rustok.events.sequencer import Sequenced
from tests.chaos.state_machine import delivery_invariants as invariants
from tests.chaos.state_machine.delivery_world import (
    CLOCKS,
    RETRY_S,
    DeliveryWorld,
    Interlude,
    OpenWrite,
    fall_ill,
)
from tests.integration.events.log import TENANT, redrive

clocks = st.sampled_from(CLOCKS)
limits = st.integers(1, 4)
open_writes = Bundle[OpenWrite]("open_writes")


class DeliveryMachine(RuleBasedStateMachine):
    def __init__(self, world: DeliveryWorld) -> None:
        super().__init__()
        self.world = world
        self.committed = dict.fromkeys(CLOCKS, 0)
        self.writing: dict[UUID, OpenWrite] = {}
        self.ever_broken: set[UUID] = set()
        self.sequenced = 0

    @initialize()
    def forget(self) -> None:
        self.world.run(self.world.forget())

    @rule(target=open_writes, clock=clocks, times=st.integers(1, 3))
    def begin_write(self, clock: UUID, times: int) -> MultipleResults[OpenWrite]:
        """Wind a clock and leave the transaction open; others get their place in the outbox, and commit, before it."""
        return multiple(*self._begun(clock, times))

    @rule(clock=clocks, times=st.integers(1, 3))
    def write(self, clock: UUID, times: int) -> None:
        for write in self._begun(clock, times):
            self.commit(write)

    def _begun(self, clock: UUID, times: int) -> Sequence[OpenWrite]:
        """Begin a write, unless one of the clock is open: its row is locked."""
        if clock in self.writing:
            return []
        write = self.writing[clock] = OpenWrite(clock, times)
        self.world.run(write.begin(self.world.log))
        return [write]

    @rule(write=consumes(open_writes))
    def commit(self, write: OpenWrite) -> None:
        self.world.run(write.commit())
        self.committed[write.clock] += write.times
        del self.writing[write.clock]

    @rule(write=consumes(open_writes))
    def roll_back(self, write: OpenWrite) -> None:
        self.world.run(write.roll_back())
        del self.writing[write.clock]

    @rule(write=consumes(open_writes))
    def kill_writer(self, write: OpenWrite) -> None:
        self.world.run(write.be_killed(self.world.admin))
        del self.writing[write.clock]

    @property
    def staged(self) -> int:
        """How many committed events are not in the log yet."""
        return sum(self.committed.values()) - self.sequenced

    @precondition(lambda self: self.staged)
    @rule(limit=limits)
    def sequence(self, limit: int) -> None:
        """All that is committed is taken, however the floor lies."""
        expected = min(limit, self.staged)

        assert self._sequenced(self.world.run(self.world.log.sequencer.sequence(limit))) == expected

    @precondition(lambda self: self.staged)
    @rule(limit=limits)
    def sequence_twice_at_once(self, limit: int) -> None:
        """Two relays: one of them works, or both do, one after the other."""
        most, least = min(2 * limit, self.staged), min(limit, self.staged)
        sequence = self.world.log.sequencer.sequence

        async def both() -> Sequence[Sequenced | None]:
            return await asyncio.gather(sequence(limit), sequence(limit))

        assert least <= sum(self._sequenced(batch) for batch in self.world.run(both())) <= most
        if self.staged:  # whoever came too late has left some; the same steps must end in the same way
            self.sequence(self.staged)

    def _sequenced(self, batch: Sequenced | None) -> int:
        count = batch.events if batch else 0
        self.sequenced += count
        return count

    @precondition(lambda self: self.staged)
    @rule(limit=limits)
    def die_in_mid_sequence(self, limit: int) -> None:
        self.world.run(self.world.die_in_mid_sequence(limit))

    @rule()
    def raise_floor(self) -> None:
        self.world.run(self.world.log.sequencer.raise_floor())

    @rule()
    def consume(self) -> None:
        self.world.run(self.world.consumer().drain())

        assert not self.world.run(self.world.is_behind())

    @rule()
    def consume_beside_another(self) -> None:
        """A slow worker is between its effects and its commit while another comes by."""

        async def another(_transaction: Transaction) -> None:
            await self.world.consumer().drain()

        self.world.run(self.world.consumer(another).drain())

    @rule()
    def die_in_mid_consume(self) -> None:
        self._fail_in_mid_consume(self.world.die)

    @rule()
    def miss_a_server_in_mid_consume(self) -> None:
        self._fail_in_mid_consume(fall_ill)

    def _fail_in_mid_consume(self, interlude: Interlude) -> None:
        """Nothing has happened then, and nobody has used up an attempt."""
        before = self.world.run(self.world.look())
        try:
            self.world.run(self.world.consumer(interlude).run_once())
        except Exception as error:
            if not is_transient(error):
                raise
            assert self.world.run(self.world.look()) == before

    @rule(clock=clocks)
    def break_clock(self, clock: UUID) -> None:
        self.world.broken.add(clock)
        self.ever_broken.add(clock)

    @precondition(lambda self: self.world.broken)
    @rule()
    def mend_clocks(self) -> None:
        self.world.broken.clear()

    @precondition(lambda self: self.ever_broken)
    @rule()
    def let_retries_be_due(self) -> None:
        self.world.clock.advance(RETRY_S)

    @precondition(lambda self: self.ever_broken)
    @rule(clock=st.one_of(st.none(), clocks))
    def redrive(self, clock: UUID | None) -> None:
        self.world.run(redrive(self.world.log.system_engine, TENANT, Choice(id=clock)))

    @invariant()
    def the_promise_is_kept(self) -> None:
        seen = self.world.run(self.world.look())
        invariants.check_log_has_no_gaps(seen)
        invariants.check_nothing_is_lost_or_made_up(seen, self.committed)
        invariants.check_effects_are_in_order_and_once(seen)
        invariants.check_conservation(seen)
        invariants.check_only_poison_is_parked(seen, self.ever_broken)

    def teardown(self) -> None:
        """Let everything end well: then every committed event has taken effect."""
        for write in self.writing.values():
            self.world.run(write.roll_back())
        self.mend_clocks()
        self.redrive(None)
        self.let_retries_be_due()
        while self.staged:
            self.sequence(1000)
        self.consume()

        seen = self.world.run(self.world.look())
        assert invariants.of_each_clock(seen.effects) == invariants.up_to(self.committed)
        assert not seen.parked
