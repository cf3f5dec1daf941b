"""Dramatiq's consumer over one Redis stream: fetch many, yield one by one, settle through the lane."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

import orjson
import redis
from dramatiq import Consumer, Message, MessageProxy
from dramatiq.errors import ConnectionClosed

from workers.stream_keeper import Outage, Pause
from workers.stream_lane import FIELD, GROUP, Entry, Lane, Letter, StreamMessage, group_is_missing

_QUOTED_BYTES = 65_536  # of an entry that nobody can read; the rest of it is of no use either

_SHAPE = {
    "queue_name": str,
    "actor_name": str,
    "args": list,
    "kwargs": dict,
    "options": dict,
    "message_id": str,
    "message_timestamp": int,
}

# Dramatiq's worker holds a message with an `eta` in memory until then, where a crash loses it, and passes
# `throws` to isinstance(), where a string kills the worker thread.
_REFUSED_OPTIONS = frozenset({"eta", "throws"})

logger = logging.getLogger(__name__)


class BrokerUnavailable(ConnectionClosed):
    """Redis did not answer, or refused. What was sent may have arrived: sending it again is safe."""

    code = "broker_unavailable"
    retryable = True

    def __init__(self, message: str) -> None:
        super().__init__(message)  # type: ignore[no-untyped-call]


class Undecodable(ValueError):
    """An entry that is no message of this queue; the text says why."""

    code = "message_undecodable"
    retryable = False


def encode(message: Message[Any]) -> bytes:
    """JSON only, whatever encoder Dramatiq was told to use: a pickle from Redis would run as code."""
    return orjson.dumps(message.asdict())


def decode(queue_name: str, raw: bytes | None) -> Message[Any]:
    """Read what `encode` wrote.

    Raises:
        Undecodable: and nothing else, whatever the bytes are.

    """
    if raw is None:
        raise Undecodable("no message field")
    try:
        fields = orjson.loads(raw)
    except ValueError:
        raise Undecodable("not JSON") from None
    if not isinstance(fields, dict) or fields.keys() != _SHAPE.keys():
        raise Undecodable("not a message")
    wrong = [name for name, kind in _SHAPE.items() if type(fields[name]) is not kind]
    if wrong:
        raise Undecodable(f"wrong type of {wrong[0]}")
    if fields["queue_name"] != queue_name:
        # The worker looks up the consumer by this name: another one kills the worker thread.
        raise Undecodable("addressed to another queue")
    if not _REFUSED_OPTIONS.isdisjoint(fields["options"]):
        raise Undecodable("refused option")
    return Message(**{**fields, "args": tuple(fields["args"])})


class StreamConsumer(Consumer):
    """Survives Redis: an outage is waited out in here, because Dramatiq would take 3 s to restart a consumer.

    `prefetch` is the number of messages held and not done; a fetch asks for as many as there is room for. Nothing is
    fetched unless *is_open*.
    """

    def __init__(
        self,
        lane: Lane,
        reader: redis.Redis,
        outage: Outage,
        is_open: threading.Event,
        *,
        queue_name: str,
        namespace: str,
        prefetch: int,
        timeout_ms: int,
        claim_idle_ms: int,
    ) -> None:
        self._lane = lane
        self._reader = reader
        self._outage = outage
        self._is_open = is_open
        self._queue_name = queue_name
        self._dead = f"{namespace}:dead:{queue_name}"
        self._quarantine = f"{namespace}:quarantine"
        self._prefetch = prefetch
        self._timeout_s = timeout_ms / 1000
        self._claim_idle_ms = claim_idle_ms
        self._claim_at = 0.0
        self._closed = threading.Event()
        self._pause = Pause(self._closed)
        self._ready: deque[StreamMessage] = deque()

    def __next__(self) -> MessageProxy | None:
        if not self._ready:
            self._ready.extend(self._fetch())
        return self._ready.popleft() if self._ready else None

    def ack(self, message: MessageProxy) -> None:
        self._lane.settle(_ours(message).entry_id)

    def nack(self, message: MessageProxy) -> None:
        ours = _ours(message)
        self._lane.settle(ours.entry_id, self._letter(self._dead, ours.entry_id, ours.raw, ours.reason))

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Hand back messages that were not run.

        Raises:
            BrokerUnavailable: the others get them after the claim time instead of at once.

        """
        ours = [_ours(message) for message in messages]
        if self._outage.lasts:  # a stop has ten seconds, and every timeout takes two
            self._lane.abandon(ours)
            raise BrokerUnavailable("Redis is away: the messages will be claimed from this consumer.")
        try:
            self._lane.hand_back(ours)
        except redis.RedisError as error:
            self._outage.began(self._lane.stream, error)
            raise BrokerUnavailable(str(error)) from error

    def close(self) -> None:
        """Hand back what was fetched and not yielded, and tell Redis what was settled. Never raises.

        Messages that are still running stay in the lane, refreshed, and may be acked through this object.
        """
        self._closed.set()
        unread = [self._ready.popleft() for _ in range(len(self._ready))]
        try:
            self.requeue(unread)
            self._lane.flush()
        except (BrokerUnavailable, redis.RedisError) as error:
            logger.warning("broker_close_interrupted stream=%s error=%s", self._lane.stream, error)
        self._reader.close()

    def _fetch(self) -> list[StreamMessage]:
        if not self._is_open.wait(self._timeout_s):
            return []
        room = self._lane.wait_for_room(self._prefetch, self._timeout_s)
        if room <= 0:
            return []
        try:
            entries = self._take(room)
        except redis.RedisError as error:
            self._recover(error)
            return []
        self._outage.ended(self._lane.stream)
        self._pause.reset()
        return [message for entry in entries if (message := self._open(entry)) is not None]

    def _take(self, room: int) -> list[Entry]:
        try:
            return self._claim(room) or self._read(room)
        except redis.ResponseError as error:
            if not group_is_missing(error):
                raise
            self._lane.create_group()  # the first to come, or after FLUSHALL
            return self._read(room)

    def _claim(self, room: int) -> list[Entry]:
        if time.monotonic() < self._claim_at:
            return []
        claimed = self._lane.claim(room, self._claim_idle_ms)
        if len(claimed) < room:  # else there may be more of them
            self._claim_at = time.monotonic() + self._claim_idle_ms / 5000
        return claimed

    def _read(self, room: int) -> list[Entry]:
        wait_s = min(self._timeout_s, self._claim_at - time.monotonic())
        reply: Any = self._reader.xreadgroup(
            GROUP,
            self._lane.consumer,
            {self._lane.stream: ">"},
            count=room,
            block=max(1, int(wait_s * 1000)),  # 0 would block for ever
        )
        entries: list[Entry] = reply[0][1] if reply else []
        self._lane.admit(entries)
        return entries

    def _recover(self, error: redis.RedisError) -> None:
        self._outage.began(self._lane.stream, error)
        # After an outage everything looks abandoned; first the living refresh what they hold.
        self._claim_at = time.monotonic() + self._claim_idle_ms / 2000
        self._pause.wait()

    def _open(self, entry: Entry) -> StreamMessage | None:
        entry_id, fields = entry
        raw = fields.get(FIELD)
        try:
            return StreamMessage(decode(self._queue_name, raw), entry_id, raw or b"")
        except Undecodable as error:
            quoted = (raw if raw is not None else repr(fields).encode())[:_QUOTED_BYTES]
            logger.warning("broker_entry_quarantined stream=%s reason=%s", self._lane.stream, error)
            self._lane.settle(entry_id, self._letter(self._quarantine, entry_id, quoted, str(error)))
            return None

    def _letter(self, stream: str, entry_id: bytes, raw: bytes, reason: str) -> Letter:
        return Letter(stream, {"queue": self._queue_name, "entry": entry_id, "reason": reason, FIELD: raw})


def _ours(message: MessageProxy) -> StreamMessage:
    if not isinstance(message, StreamMessage):
        raise TypeError(f"{message!r} came from another broker: settle it through the consumer it came from.")
    return message
