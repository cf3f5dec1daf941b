"""The work of a schedule."""

import random
from uuid import UUID

from rustok.kernel.module import JobKind
from tests.chaos.simulator.work import COUNT, EXIT, FOR_EVER, INDEX, JOURNAL, KEYS, RAISE, REBUILD, Command

_COUNT = (8, 20)


def draw_commands(chance: random.Random, *, is_calm: bool) -> list[Command]:
    """Return commands, some of them poison; when *is_calm* none is, and none takes long."""
    values = range(1, chance.randint(*_COUNT) + 1)
    return [_short(chance, value) if is_calm else _any(chance, value) for value in values]


def _short(chance: random.Random, value: int) -> Command:
    """Return one of a few that come together, with nothing after them: nobody else's hint mends a lost one."""
    key, after_s = chance.choice(KEYS[:2]), chance.uniform(0.7, 0.73)
    return Command(id=_id(chance), key=key, value=value, kind=COUNT, work_s=0.01, after_s=after_s)


def _any(chance: random.Random, value: int) -> Command:
    return Command(
        id=_id(chance),
        key=chance.choice(KEYS),
        value=value,
        kind=_kind(chance),
        work_s=chance.choice((0.01, 0.1, 0.5, 3.0)),
        after_s=chance.uniform(0, 0.6),
        pause_s=chance.choice((0.0, 0.0, 0.05, 0.8)),
        rolls_back=chance.random() < 0.1,
        cannot=_cannot(chance),
    )


def _kind(chance: random.Random) -> JobKind:
    [kind] = chance.choices((COUNT, RAISE, EXIT, REBUILD), (40, 3, 1, 8))
    return kind


def _cannot(chance: random.Random) -> dict[str, int]:
    """Return how often a consumer chokes on the value: mostly never, sometimes until it is a dead letter."""
    times = chance.choice((0, 0, 0, 0, 0, 0, 0, 0, 2, FOR_EVER))
    return {chance.choice((INDEX, JOURNAL)): times} if times else {}


def _id(chance: random.Random) -> UUID:
    return UUID(int=chance.getrandbits(128))
