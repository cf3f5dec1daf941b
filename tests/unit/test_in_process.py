"""L0: the consumers of one process have their turns."""

from collections import deque
from typing import cast

from rustok.events.consumer import Consumer, Counts, Drained
from rustok.events.in_process import InProcessConfig, InProcessConsumers
from rustok.runtime import LocalWake


class Busy:
    """A consumer with so many drains left; it writes down each in a diary that all share."""

    def __init__(self, name: str, drains: int, diary: list[str]) -> None:
        self._name = name
        self._left = deque(range(drains))
        self._diary = diary

    async def drain(self) -> Drained:
        self._left.popleft()
        self._diary.append(self._name)
        return Drained(Counts(read=10), has_more=bool(self._left))


async def test_a_consumer_with_much_to_do_does_not_keep_the_others_waiting() -> None:
    """Each has a drain in turn, until none has more."""
    diary: list[str] = []
    consumers = {name: cast("Consumer", Busy(name, drains, diary)) for name, drains in (("a", 3), ("b", 1), ("c", 2))}

    read = await InProcessConsumers(InProcessConfig(), consumers, LocalWake()).run_once()

    assert diary == ["a", "b", "c", "a", "c", "a"]
    assert read == 60
