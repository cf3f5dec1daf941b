"""Spares a server that fails: no calls for a while after several failures in a row, and few that are repetitions."""

from dataclasses import dataclass
from typing import ClassVar

from rustok.kernel.errors import RustokError
from rustok.kernel.ports import Clock

_MOST_DOUBLINGS = 30


class CallPutOff(RustokError):
    """The call is not made now, for the sake of a server that fails; nothing was sent."""

    code: ClassVar[str] = "call_put_off"
    retryable = True

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class CircuitOpen(CallPutOff):
    """The last calls to this server failed: it is left alone for a while, then one call tries it."""

    code = "circuit_open"


class RetryBudgetSpent(CallPutOff):
    """Too many of the calls to this server are repetitions: this one waits."""

    code = "retry_budget_spent"


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitConfig:
    failures: int = 5
    """So many failures in a row open the circuit."""
    open_s: float = 30.0
    """For how long it stays open then; twice as long after each trial that failed, up to `longest_open_s`."""
    longest_open_s: float = 300.0
    trial_s: float = 30.0
    """A trial that has not ended after this long is given up, and another one made."""
    retry_share: float = 0.2
    """Repetitions for each first call."""
    retries_a_s: float = 0.1
    """Repetitions that are allowed without any first call."""
    retries_saved: float = 10.0
    """Repetitions that may be saved up."""


class Circuit:
    """What is known of one server, from the calls of one caller. Ask with `enter` before a call, tell its end after."""

    def __init__(self, config: CircuitConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._failures = self._trials = 0
        self._open_until_s = 0.0
        self._retries = config.retries_saved
        self._saved_at_s = clock.monotonic_s()

    def enter(self, *, is_retry: bool) -> None:
        """Return if a call may be made now.

        Raises:
            CircuitOpen: the last calls failed, and it is not time for a trial, or one is under way.
            RetryBudgetSpent: the call is a repetition, of which there are too many.

        """
        if self._failures >= self._config.failures:
            self._try_again()
        elif is_retry:
            self._take_from_budget()
        else:
            self._save(self._config.retry_share)

    def succeeded(self) -> None:
        """The server has answered as it should: the circuit is closed."""
        self._failures = self._trials = 0

    def failed(self) -> None:
        """There was no answer, or one that says that the server cannot."""
        self._failures += 1
        if self._failures >= self._config.failures:
            doublings = min(self._trials, _MOST_DOUBLINGS)
            open_s = min(self._config.open_s * 2**doublings, self._config.longest_open_s)
            self._open_until_s = self._clock.monotonic_s() + open_s

    def _try_again(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s < self._open_until_s:
            wait_s = self._open_until_s - now_s
            raise CircuitOpen(f"The last {self._failures} calls failed: the next one is in {wait_s:.0f} s.", wait_s)
        self._trials += 1
        self._open_until_s = now_s + self._config.trial_s  # others wait for what comes of this call

    def _take_from_budget(self) -> None:
        self._save(0.0)
        if self._retries < 1:
            wait_s = (1 - self._retries) / self._config.retries_a_s
            share = f"{self._config.retry_share:.0%}"
            raise RetryBudgetSpent(f"More than {share} of the calls are repetitions: this one waits.", wait_s)
        self._retries -= 1

    def _save(self, earned: float) -> None:
        now_s = self._clock.monotonic_s()
        earned += (now_s - self._saved_at_s) * self._config.retries_a_s
        self._retries = min(self._retries + earned, self._config.retries_saved)
        self._saved_at_s = now_s
