"""What is done to processes is what a scenario says: nobody's last peer is killed, and what is counted was there."""

import random
from collections import Counter

import pytest

from tests.chaos.kills import ROLES, batches
from tests.chaos.proxy import Chunk
from tests.chaos.servers import delivers


@pytest.mark.parametrize("kills", [1, 2, 20, 1_500])
def test_batches_have_as_many_kills_as_were_asked_for(kills: int) -> None:
    """The last batch is shorter, where that is needed."""
    assert sum(map(len, batches(kills, random.Random(1)))) == kills


def test_a_batch_kills_at_most_one_process_of_each_role() -> None:
    """Another relay and another worker are there to take over."""
    assert all(len({*roles}) == len(roles) for roles in batches(1_500, random.Random(1)))


def test_all_roles_die_alone_and_together() -> None:
    """The API at the end: no write is under way after it, so nobody could be killed in the middle of one."""
    seen = Counter(map(tuple, batches(1_500, random.Random(1))))

    assert seen.keys() == {
        *((role,) for role in ROLES),
        ("relay", "worker"),
        ("worker", "relay"),
        ("relay", "api"),
        ("worker", "api"),
        ("relay", "worker", "api"),
        ("worker", "relay", "api"),
    }


@pytest.mark.parametrize(
    ("asked", "said", "is_delivery"),
    [
        (b"*7\r\n$10\r\nXREADGROUP\r\n", b"*1\r\n*2\r\n$20\r\nrustok:queue:consume", True),
        (b"*7\r\n$10\r\nXREADGROUP\r\n", b"*-1\r\n", False),
        (b"*7\r\n$10\r\nXREADGROUP\r\n", b"-NOGROUP No such key\r\n", False),
        (b"*3\r\n$4\r\nXADD\r\n", b"$15\r\n1700000000000-0\r\n", False),
    ],
)
def test_a_reply_with_messages_is_told_from_others(asked: bytes, said: bytes, is_delivery: bool) -> None:
    """Losing any other loses no message."""
    assert delivers(Chunk(1, said, asked)) is is_delivery
