"""How often and how long a call is tried."""

import random
from dataclasses import dataclass

_MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Retries:
    """The bounds of one call: `attempts` requests, and `budget_s` seconds for all of them and the waits between.

    Before the next attempt the call waits as long as `Retry-After` says, and on top of it a random part of a time that
    begins at `first_wait_s` and doubles up to `longest_wait_s`. `timeout_s` is for one attempt.
    """

    attempts: int = 8
    budget_s: float = 30.0
    timeout_s: float = 10.0
    first_wait_s: float = 0.25
    longest_wait_s: float = 5.0

    def wait_s(self, attempt: int, retry_after_s: float) -> float:
        """Return the seconds to wait after attempt number *attempt*, the first is 1."""
        longest_s = min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS))
        return retry_after_s + random.uniform(0, longest_s)  # noqa: S311 - chance keeps clients apart, it guards nothing
