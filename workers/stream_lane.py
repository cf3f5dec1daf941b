"""One queue as one process sees it: what it holds, what it has settled, and the Redis commands for both."""

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import redis
from dramatiq import Message, MessageProxy
from redis.typing import EncodableT, FieldT, StreamIdT

GROUP = "workers"
FIELD = b"m"

Entry = tuple[bytes, dict[bytes, bytes]]

_BATCH = 256  # entries a transaction: Redis serves nobody else while it runs one
_GATHER_S = 0.002  # how long a fetch waits for more room, so that it asks for many entries and not for one
_CLAIM_COUNT = 100  # XAUTOCLAIM looks at ten times as many entries a call

# Runs inside the server: a consumer that reads between our look and our delete would lose what it read.
_DISMISS = """
local rows = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if rows.err then return 0 end
local gone = 0
for _, row in ipairs(rows) do
  local seen = {}
  for i = 1, #row, 2 do seen[row[i]] = row[i + 1] end
  local chosen = ARGV[3] == '' or ARGV[3] == seen['name']
  if chosen and seen['pending'] == 0 and seen['idle'] >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], seen['name'])
    gone = gone + 1
  end
end
return gone
"""

logger = logging.getLogger(__name__)


class StreamMessage(MessageProxy):
    """A message together with the stream entry that carried it."""

    def __init__(self, message: Message[Any], entry_id: bytes, raw: bytes) -> None:
        super().__init__(message)
        self.entry_id = entry_id
        self.raw = raw

    @property
    def reason(self) -> str:
        """The class of the exception that failed it, without its text, which may hold a tenant's data."""
        return type(self._exception).__name__ if self._exception else "rejected"


@dataclass(frozen=True, slots=True)
class Letter:
    """A copy of an entry for people to read, appended to *stream* as the entry is settled."""

    stream: str
    fields: dict[FieldT, EncodableT]


@dataclass(frozen=True, slots=True)
class Alarm:
    """How lanes call their keeper: *wake* when something was settled, *full* when it makes a batch."""

    wake: threading.Event = field(default_factory=threading.Event)
    full: threading.Event = field(default_factory=threading.Event)


class Lane:
    """The ledger of one queue in one process.

    An entry that Redis delivered is *open* until its actor is done, then *settled* until Redis has been told.
    `beat` refreshes both kinds, so no other consumer takes them. An entry that was delivered but is not in
    the ledger (its reply was lost on the wire) is refreshed by nobody and comes back through `claim`.

    The ledger belongs to the process and not to a consumer: Dramatiq closes and replaces consumers while
    their messages are still running.
    """

    def __init__(self, client: redis.Redis, alarm: Alarm, *, stream: str, consumer: str, letter_cap: int) -> None:
        self.stream = stream
        self.consumer = consumer
        self._alarm = alarm
        self._client = client
        self._letter_cap = letter_cap
        self._dismiss = client.register_script(_DISMISS)
        self._open: set[bytes] = set()
        self._acked: dict[bytes, Letter | None] = {}
        self._letters: dict[bytes, Letter | None] = {}
        self._room = threading.Condition()
        self._notify_at = -1
        # Held while settling and while claiming: between "Redis was told" and "the ledger forgot", a claim
        # would take an entry of our own for an abandoned one and run it twice.
        self._wire = threading.Lock()

    # -- the ledger: no network, safe from any thread

    def admit(self, entries: Sequence[Entry]) -> None:
        with self._room:
            self._open.update(entry_id for entry_id, _ in entries)

    def settle(self, entry_id: bytes, letter: Letter | None = None) -> None:
        """Remember that an entry is done with; `flush` tells Redis."""
        with self._room:
            self._open.discard(entry_id)
            (self._acked if letter is None else self._letters)[entry_id] = letter
            if len(self._open) <= self._notify_at:
                self._room.notify_all()
            crowded = len(self._acked) >= _BATCH
        if not self._alarm.wake.is_set():
            self._alarm.wake.set()
        if crowded and not self._alarm.full.is_set():
            self._alarm.full.set()

    def wait_for_room(self, capacity: int, timeout: float) -> int:
        """How many entries may be fetched: 0 if *capacity* of them are still open after *timeout* seconds."""
        with self._room:
            if not self._wait_until(capacity - 1, timeout):
                return 0
            self._wait_until(capacity // 2, _GATHER_S)
            return capacity - len(self._open)

    def _wait_until(self, open_at_most: int, timeout: float) -> bool:
        self._notify_at = open_at_most
        try:
            return self._room.wait_for(lambda: len(self._open) <= open_at_most, timeout)
        finally:
            self._notify_at = -1

    def _held(self) -> list[bytes]:
        with self._room:
            return [*self._open, *self._acked, *self._letters]

    def _forget(self, entry_ids: Iterable[bytes]) -> None:
        with self._room:
            for entry_id in entry_ids:
                self._open.discard(entry_id)
                self._acked.pop(entry_id, None)
                self._letters.pop(entry_id, None)

    # -- the wire: every method may raise RedisError and leaves the ledger true when it does

    def create_group(self) -> None:
        """Create stream and group from the first entry on; an existing group is left as it is."""
        try:
            self._client.xgroup_create(self.stream, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def flush(self) -> int:
        """Tell Redis what was settled up to now, and count it. What fails is kept for the next call."""
        told = 0
        with self._wire:
            # Acks first and apart: with its memory full Redis takes acks but refuses letters.
            for settled in (self._acked, self._letters):
                for batch in self._batches(settled):
                    self._retire(batch)
                    told += len(batch)
        return told

    def _batches(self, settled: dict[bytes, Letter | None]) -> Iterator[dict[bytes, Letter | None]]:
        with self._room:
            items = iter(list(settled.items()))
        while batch := dict(islice(items, _BATCH)):
            yield batch

    def _retire(self, batch: Mapping[bytes, Letter | None]) -> None:
        with self._client.pipeline(transaction=True) as pipe:
            for letter in batch.values():
                if letter is not None:
                    pipe.xadd(letter.stream, letter.fields, maxlen=self._letter_cap, approximate=True)
            pipe.xack(self.stream, GROUP, *batch)
            pipe.xdel(self.stream, *batch)
            pipe.execute()
        self._forget(batch)

    def hand_back(self, messages: Sequence[StreamMessage]) -> None:
        """Put messages that were not run at the end of the stream, at once, for anybody.

        If Redis is away they are abandoned.
        """
        rest = iter(messages)
        try:
            with self._wire:
                while batch := list(islice(rest, _BATCH)):
                    self._exchange(batch)
        finally:
            self.abandon(messages)

    def abandon(self, messages: Sequence[StreamMessage]) -> None:
        """Forget messages, so that nobody refreshes them and a claim finds them."""
        self._forget(message.entry_id for message in messages)

    def _exchange(self, messages: Sequence[StreamMessage]) -> None:
        entry_ids = [message.entry_id for message in messages]
        with self._client.pipeline(transaction=True) as pipe:
            for message in messages:
                pipe.xadd(self.stream, {FIELD: message.raw})
            pipe.xack(self.stream, GROUP, *entry_ids)
            pipe.xdel(self.stream, *entry_ids)
            pipe.execute()

    def beat(self) -> int:
        """Reset the idle time of everything held, so that it is not taken for abandoned, and count it."""
        held = self._held()
        rest = iter(held)
        while batch := list[StreamIdT](islice(rest, _BATCH)):
            try:
                self._client.xclaim(self.stream, GROUP, self.consumer, 0, batch, idle=0, justid=True)
            except redis.ResponseError as error:
                if not group_is_missing(error):  # the next read creates it
                    raise
        return len(held)

    def claim(self, count: int, idle_ms: int) -> list[Entry]:
        """Take over up to *count* entries that nobody refreshed for *idle_ms*, our own lost ones included."""
        taken: list[Entry] = []
        cursor = b"0-0"
        with self._wire:
            while len(taken) < count:
                cursor, entries = self._claim_page(cursor, count - len(taken), idle_ms)
                held = set(self._held())
                taken += [(entry_id, fields) for entry_id, fields in entries if entry_id not in held]
                if cursor == b"0-0":
                    break
            self.admit(taken)
        if taken:
            logger.info("broker_entries_claimed stream=%s count=%d", self.stream, len(taken))
        return taken

    def _claim_page(self, cursor: bytes, count: int, idle_ms: int) -> tuple[bytes, list[Entry]]:
        reply = self._client.xautoclaim(
            self.stream, GROUP, self.consumer, idle_ms, cursor, count=min(count, _CLAIM_COUNT)
        )
        return reply[0], [entry for entry in reply[1] if entry[0] is not None]

    def dismiss(self, idle_ms: int, name: str = "") -> None:
        """Delete consumers (or the one called *name*) that hold nothing and were silent for *idle_ms*."""
        self._dismiss(keys=[self.stream], args=[GROUP, idle_ms, name])


def group_is_missing(error: redis.RedisError) -> bool:
    """Whether the stream or its group is gone, as after FLUSHALL."""
    return str(error).startswith(("NOGROUP", "UNBLOCKED"))
