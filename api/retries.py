"""How long, and how often, work is tried again that somebody else has got ahead of."""

import random
from collections.abc import Callable, Iterator

from rustok.kernel.ports import Clock

_PATIENCE_S = 2.0
_FIRST_S, _LONGEST_S = 0.01, 0.2


def pauses_s(clock: Clock, uniform: Callable[[float, float], float] = random.uniform) -> Iterator[float]:
    """Yield how many seconds to pause, for two seconds from the first, once at least.

    Each is random, up to a bound that grows from 10 ms to 200: those who failed together do not come back together.
    """
    until_s, longest_s = clock.monotonic_s() + _PATIENCE_S, _FIRST_S
    while clock.monotonic_s() < until_s:
        yield uniform(0, longest_s)
        longest_s = min(2 * longest_s, _LONGEST_S)
