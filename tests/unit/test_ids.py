"""Ids sort by the time they were made (RFC 9562, version 7)."""

import threading
import time
from itertools import pairwise
from uuid import UUID, uuid4

from rustok.kernel.ids import derived_id, uuid7


def test_an_id_has_the_version_and_the_variant_of_the_rfc() -> None:
    """RFC 9562 section 5.7: version 7 in bits 48 to 51, variant 0b10 in bits 64 and 65."""
    made = uuid7()

    bits = f"{made.int:0128b}"
    assert (bits[48:52], bits[64:66]) == ("0111", "10")


def test_an_id_begins_with_the_milliseconds_of_the_unix_epoch() -> None:
    """RFC 9562 section 5.7: the first 48 bits are the time, so ids of different processes sort together."""
    before_ms = time.time_ns() // 1_000_000

    made = uuid7()

    after_ms = time.time_ns() // 1_000_000
    milliseconds = made.int >> 80
    assert before_ms <= milliseconds <= after_ms + 1_000  # 1 s: how far a burst may have pushed the stamp


def test_ids_of_one_thread_rise_strictly() -> None:
    """Two ids of the same tick still sort in the order in which they were made."""
    made = [uuid7() for _ in range(20_000)]

    assert all(earlier < later for earlier, later in pairwise(made))


def test_ids_of_all_threads_rise_strictly() -> None:
    """An id is greater than every id that any thread of the process made before: a lock hands the stamps out."""
    made: list[list[UUID]] = [[] for _ in range(4)]
    start = threading.Barrier(len(made))

    def make(into: list[UUID]) -> None:
        start.wait()
        into.extend(uuid7() for _ in range(5_000))

    threads = [threading.Thread(target=make, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(earlier < later for ids in made for earlier, later in pairwise(ids))
    assert len({made_id.int >> 64 for ids in made for made_id in ids}) == 20_000, "two threads shared a stamp"


def test_the_next_id_is_greater_than_those_of_other_threads() -> None:
    """What happened before sorts before, whichever thread it happened in."""
    made: list[UUID] = []
    thread = threading.Thread(target=lambda: made.extend(uuid7() for _ in range(1_000)))
    thread.start()
    thread.join()

    assert uuid7() > made[-1]


def test_a_derived_id_is_of_the_time_of_its_parent() -> None:
    """RFC 9562 section 5.8: all but version, variant and the last 62 bits are free. History is kept by these times."""
    parent = uuid7()

    made = derived_id(parent, "greeter")

    bits, parent_bits = f"{made.int:0128b}", f"{parent.int:0128b}"
    assert (bits[:48], bits[52:64]) == (parent_bits[:48], parent_bits[52:64])
    assert (bits[48:52], bits[64:66]) == ("1000", "10")


def test_a_derived_id_is_the_same_each_time_and_another_for_another() -> None:
    """Of the same parent and name; whoever reads an event again finds what was made of it."""
    parent, other = uuid7(), uuid4()

    made = {derived_id(parent, "greeter"), derived_id(parent, "counter"), derived_id(other, "greeter")}

    assert (derived_id(parent, "greeter") in made, len(made)) == (True, 3)
