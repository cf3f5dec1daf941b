"""The background service of a broker: it tells Redis what was settled, and refreshes what is still held."""

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import redis

from workers.stream_lane import Alarm, Lane

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5

logger = logging.getLogger(__name__)


class Outage:
    """Whether Redis answers: logged once an outage, not once a failure. Shared by all threads of a broker."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def lasts(self) -> bool:
        return "connection" in self._since

    @property
    def lasted_s(self) -> float:
        """How long Redis has not answered, or has refused, somebody; 0 while it serves all."""
        with self._lock:
            return time.monotonic() - min(self._since.values()) if self._since else 0.0

    def began(self, source: str, error: redis.RedisError) -> None:
        """A lost connection concerns everybody; a refused command only its *source*."""
        lost = isinstance(error, redis.ConnectionError | redis.TimeoutError)
        key = "connection" if lost else source
        with self._lock:
            if key in self._since:
                return
            self._since[key] = time.monotonic()
        logger.warning("broker_interrupted source=%s error=%s", key, error)

    def ended(self, source: str) -> None:
        if not self._since:
            return
        with self._lock:
            over = {key: self._since.pop(key) for key in ("connection", source) if key in self._since}
        for key, since in over.items():
            logger.info("broker_resumed source=%s after_s=%.1f", key, time.monotonic() - since)


class Pause:
    """A wait that doubles from 50 to 500 ms, is cut short by *stopped*, and starts over after a success."""

    def __init__(self, stopped: threading.Event) -> None:
        self._stopped = stopped
        self._next_s = _FIRST_PAUSE_S

    def wait(self) -> None:
        self._stopped.wait(self._next_s)
        self._next_s = min(self._next_s * 2, _LONGEST_PAUSE_S)

    def reset(self) -> None:
        self._next_s = _FIRST_PAUSE_S


@dataclass(frozen=True, slots=True)
class KeeperConfig:
    ack_age_s: float
    """The longest that an ack waits for company."""
    beat_every_s: float
    dismiss_every_s: float
    forget_after_ms: int


class Keeper:
    """Worker threads only note that a message is done; the network, and its failures, are handled here.

    What was not sent when the process dies is delivered again.
    """

    def __init__(
        self, lanes: Callable[[], Collection[Lane]], alarm: Alarm, outage: Outage, config: KeeperConfig
    ) -> None:
        self._lanes = lanes
        self._alarm = alarm
        self._outage = outage
        self._config = config
        self._stopped = threading.Event()
        self._pause = Pause(self._stopped)
        self._next_beat = 0.0
        self._next_dismissal = time.monotonic() + config.dismiss_every_s
        self._thread = threading.Thread(target=self.run, name="broker-keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> None:
        self._stopped.set()
        self._alarm.full.set()
        self._alarm.wake.set()
        self._thread.join(timeout)

    def run(self) -> None:
        while not self._stopped.is_set():
            if self._alarm.wake.wait(min(self._next_beat, self._next_dismissal) - time.monotonic()):
                self._alarm.full.wait(self._config.ack_age_s)
            self._alarm.full.clear()
            self._alarm.wake.clear()
            if self.run_once():
                self._pause.reset()
            else:
                self._next_beat = 0.0  # first thing when Redis is back: the others claim what looks abandoned
                self._pause.wait()

    def run_once(self) -> bool:
        """Tend every lane, and say whether Redis took it all. One lane's trouble does not stop the others."""
        now = time.monotonic()
        beat, dismiss = now >= self._next_beat, now >= self._next_dismissal
        served = [self._tend(lane, beat=beat, dismiss=dismiss) for lane in self._lanes()]
        if beat:
            self._next_beat = now + self._config.beat_every_s
        if dismiss:
            self._next_dismissal = now + self._config.dismiss_every_s
        return all(served)

    def _tend(self, lane: Lane, *, beat: bool, dismiss: bool) -> bool:
        try:
            told = lane.flush()
            if beat:
                told += lane.beat()
            if dismiss:
                lane.dismiss(self._config.forget_after_ms)
        except redis.RedisError as error:
            self._outage.began(f"keeper:{lane.stream}", error)
            return False
        except Exception:
            # A keeper that dies takes every later ack and every heartbeat with it, in silence.
            logger.exception("broker_keeper_failed stream=%s", lane.stream)
            return False
        if told or dismiss:  # else nobody asked Redis anything
            self._outage.ended(f"keeper:{lane.stream}")
        return True
