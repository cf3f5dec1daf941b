"""What must be true of the delivery at any moment, whatever has happened to it before."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from tests.chaos.state_machine.delivery_world import ATTEMPTS, Delivery, Version


def of_each_clock(events: Sequence[Version]) -> dict[UUID, list[int]]:
    """Return the versions of each clock, in the order of *events*."""
    found: dict[UUID, list[int]] = {}
    for event in events:
        found.setdefault(event.clock, []).append(event.version)
    return found


def up_to(versions: Mapping[UUID, int]) -> dict[UUID, list[int]]:
    """Return the versions 1, 2, 3 ... of each clock up to its last one."""
    return {clock: list(range(1, last + 1)) for clock, last in versions.items() if last}


def check_log_has_no_gaps(seen: Delivery) -> None:
    assert [place.position for place in seen.log] == list(range(1, len(seen.log) + 1))


def check_nothing_is_lost_or_made_up(seen: Delivery, committed: Mapping[UUID, int]) -> None:
    """What was committed is in the log or still staged: once, in the order of its aggregate, and nothing else is."""
    assert of_each_clock([*(place.event for place in seen.log), *seen.staged]) == up_to(committed)


def check_effects_are_in_order_and_once(seen: Delivery) -> None:
    for clock, versions in of_each_clock(seen.effects).items():
        assert versions == list(range(1, len(versions) + 1)), f"effects of {clock}"


def check_conservation(seen: Delivery) -> None:
    """Each event of the log is done, or it lies after its shard's checkpoint, or its aggregate is parked."""
    done = set(seen.effects)
    for place in seen.log:
        is_read = place.position <= seen.checkpoints[place.shard]
        waits = place.position >= seen.parked.get(place.event.clock, place.position + 1)
        assert (place.event in done) == (is_read and not waits), place


def check_only_poison_is_parked(seen: Delivery, ever_broken: Collection[UUID]) -> None:
    """And no aggregate has more attempts than it may have; one that was redriven has none."""
    assert seen.parked.keys() <= set(ever_broken)
    assert all(0 <= attempts <= ATTEMPTS for attempts in seen.attempts.values())
