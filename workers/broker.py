"""Dramatiq's broker on Redis Streams: at least once, acks in batches, and Redis may vanish at any moment."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from dramatiq import Actor, Broker, Message, MessageProxy, Middleware, QueueJoinTimeout
from dramatiq.errors import BrokerError, QueueNotFound
from dramatiq.middleware import MiddlewareError
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

from workers.stream_consumer import BrokerUnavailable, StreamConsumer, encode
from workers.stream_keeper import Keeper, KeeperConfig, Outage
from workers.stream_lane import FIELD, GROUP, Alarm, Lane

__all__ = ["BrokerUnavailable", "NoRetries", "StreamBroker", "UnsupportedDelay", "UnsupportedRetries"]

_JOIN_POLL_S = 0.01


class UnsupportedDelay(BrokerError):
    """Due times are rows of the jobs table: a delay kept by Redis or by a worker is lost with it."""

    code = "delay_unsupported"
    retryable = False

    def __init__(self, message: str) -> None:
        super().__init__(message)  # type: ignore[no-untyped-call]


class UnsupportedRetries(MiddlewareError):
    """Attempts are counted in PostgreSQL, by the statement that grants the lease."""

    code = "retries_unsupported"
    retryable = False


class NoRetries(Middleware):
    """A message whose actor raised is rejected, at once and for good.

    Dramatiq's Retries sends it again with a delay, which this broker refuses; without any such middleware
    Dramatiq acks it as if it had succeeded.
    """

    @property
    def actor_options(self) -> set[str]:
        return {"max_retries"}

    def before_declare_actor(self, broker: Broker, actor: Actor[..., Any]) -> None:  # noqa: ARG002 - Dramatiq's signature
        if actor.options.get("max_retries", 0) != 0:
            raise UnsupportedRetries(
                f"Actor {actor.actor_name} asks for max_retries={actor.options['max_retries']}; "
                "set 0 and let its job row decide."
            )

    def after_process_message(
        self,
        broker: Broker,  # noqa: ARG002 - Dramatiq's signature
        message: MessageProxy,
        *,
        result: object = None,  # noqa: ARG002 - Dramatiq's signature
        exception: BaseException | None = None,
    ) -> None:
        if exception is not None:
            message.fail()


class StreamBroker(Broker):
    """One stream a queue, one consumer group for all workers, one consumer name a process.

    Guarantees: a message is delivered until it is acked or rejected. A consumer that is killed loses its
    messages to the others after `claim_idle_ms`; a living one keeps them however long they run. A reply lost
    on the wire is delivered again. FLUSHALL empties the queues and does nothing else. Order is roughly that
    of sending.

    Middleware is `NoRetries` alone. Not TimeLimit and ShutdownNotifications: they raise inside a worker
    thread, and ours wait in C for an event-loop thread, where nothing can be raised; a job's time limit is
    its lease. Not AgeLimit, Callbacks, Pipelines: a message is a hint to look into PostgreSQL, which decides.

    Args:
        url: of Redis (>= 7) or Valkey, as redis-py reads it. A Redis Cluster will not do: one transaction
            writes to the stream of a queue and to that of its dead letters.
        namespace: prefix of all keys: `:queue:<name>`, `:dead:<name>`, `:quarantine`.
        middleware: instead of the default list.
        claim_idle_ms: after this long without a sign of life a message is taken from its consumer. Must be
            the same in all processes; more than an actor may hold the GIL.
        prefetch: messages held by this process, by queue; a queue without an entry gets what the worker
            asks for (twice its threads). Hundreds for short messages, few for long ones: what is prefetched
            waits while other processes idle.
        ack_age_ms: the longest that an ack waits for company.
        queue_caps: about how many messages a queue keeps, by queue; the oldest give way. Only for messages that
            somebody will send again: a queue without an entry keeps all.
        letter_cap: about how many dead letters a queue keeps, and how many entries the quarantine.
        forget_after_ms: consumer names that hold nothing are deleted after this long in silence.
        socket_timeout_s: for a reply; blocking reads add the time they block.
        name: of this consumer; must not be shared by two living processes.

    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "rustok",
        middleware: list[Middleware] | None = None,
        claim_idle_ms: int = 5_000,
        prefetch: Mapping[str, int] | None = None,
        ack_age_ms: int = 3,
        queue_caps: Mapping[str, int] | None = None,
        letter_cap: int = 10_000,
        forget_after_ms: int = 3_600_000,
        socket_timeout_s: float = 2.0,
        name: str | None = None,
    ) -> None:
        super().__init__([NoRetries()] if middleware is None else middleware)
        self.namespace = namespace
        self.queues: dict[str, str] = {}
        self._url = url
        self._claim_idle_ms = claim_idle_ms
        self._prefetch = dict(prefetch or {})
        self._queue_caps = dict(queue_caps or {})
        self._letter_cap = letter_cap
        self._socket_timeout_s = socket_timeout_s
        self._name = name
        self._outage = Outage()
        self._is_open = threading.Event()
        self._is_open.set()
        self._alarm = Alarm()
        self._lanes: dict[str, Lane] = {}
        self._lanes_lock = threading.Lock()
        self._keeper: Keeper | None = None
        self._keeper_config = KeeperConfig(
            ack_age_s=ack_age_ms / 1000,
            beat_every_s=claim_idle_ms / 3000,
            dismiss_every_s=min(60_000, forget_after_ms) / 1000,
            forget_after_ms=forget_after_ms,
        )
        # Connections that a restart of Redis broke are replaced on the spot. Every command sent this way may
        # run twice: an XADD then duplicates, the others change nothing. A timeout is not tried again: it
        # already took its time.
        self._client = self._connect(
            socket_timeout_s, Retry(ExponentialBackoff(cap=0.1, base=0.02), 2, (redis.ConnectionError,))
        )

    @property
    def outage_s(self) -> float:
        """How long Redis has not served whoever fetches or acks; 0 while it does."""
        return self._outage.lasted_s

    def declare_queue(self, queue_name: str) -> None:
        if queue_name in self.queues:
            return
        self.emit_before("declare_queue", queue_name)
        self.queues[queue_name] = f"{self.namespace}:queue:{queue_name}"
        self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Send a message now.

        Raises:
            UnsupportedDelay: any delay was given, even 0.
            QueueNotFound: the queue was never declared.
            BrokerUnavailable: the message may or may not have been sent.

        """
        if delay is not None:
            raise UnsupportedDelay(f"{message} was given a delay: create a job that is due then.")
        return self.enqueue_many([message])[0]

    def enqueue_many(self, messages: Sequence[Message[Any]]) -> list[Message[Any]]:
        """Send messages, to any queues, in one round trip and in order. Raises as `enqueue` does."""
        streams = [self._stream(message.queue_name) for message in messages]
        for message in messages:
            if "eta" in message.options:
                raise UnsupportedDelay(f"{message} has an eta: create a job that is due then.")
        for message in messages:
            self.emit_before("enqueue", message, None)
        with _reported(), self._client.pipeline(transaction=False) as pipe:
            for stream, message in zip(streams, messages, strict=True):
                pipe.xadd(stream, {FIELD: encode(message)}, maxlen=self._queue_caps.get(message.queue_name))
            pipe.execute()
        for message in messages:
            self.emit_after("enqueue", message, None)
        return list(messages)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5_000) -> StreamConsumer:
        """An iterator that yields None after about *timeout* milliseconds without a message."""
        stream = self._stream(queue_name)
        return StreamConsumer(
            self._lane(queue_name, stream),
            self._connect(timeout / 1000 + self._socket_timeout_s, Retry(NoBackoff(), 0)),
            self._outage,
            self._is_open,
            queue_name=queue_name,
            namespace=self.namespace,
            prefetch=self._prefetch.get(queue_name, prefetch),
            timeout_ms=timeout,
            claim_idle_ms=self._claim_idle_ms,
        )

    def pause(self) -> None:
        """Fetch nothing until `resume`. A fetch that is under way may still bring messages, within its timeout."""
        self._is_open.clear()

    def resume(self) -> None:
        """Fetch again."""
        self._is_open.set()

    def flush(self, queue_name: str) -> None:
        """Drop what is queued; what a worker already holds runs to its end."""
        stream = self._stream(queue_name)
        with _reported(), self._client.pipeline(transaction=True) as pipe:
            pipe.delete(stream)
            pipe.xgroup_create(stream, GROUP, id="0", mkstream=True)
            pipe.execute()

    def flush_all(self) -> None:
        """Drop what is queued in every declared queue, and their dead letters."""
        for queue_name in self.queues:
            self.flush(queue_name)
            with _reported():
                self._client.delete(f"{self.namespace}:dead:{queue_name}")

    def join(self, queue_name: str, *, timeout: int | None = None) -> None:
        """Wait until every message of a queue was acked or rejected, through any outage of Redis. For tests.

        Raises:
            QueueJoinTimeout: some were not, after *timeout* milliseconds.

        """
        stream = self._stream(queue_name)
        deadline = None if timeout is None else time.monotonic() + timeout / 1000
        while not self._is_empty(stream):
            if deadline is not None and time.monotonic() >= deadline:
                raise QueueJoinTimeout(queue_name)  # type: ignore[no-untyped-call]
            time.sleep(_JOIN_POLL_S)

    def close(self) -> None:
        """Stop refreshing what is held, tell Redis what was settled, and leave the groups. Never raises."""
        if self._keeper is not None:
            self._keeper.stop(timeout=2 * self._socket_timeout_s)
        try:
            for lane in () if self._outage.lasts else self._lanes.values():
                lane.flush()
                lane.dismiss(0, lane.consumer)
        except redis.RedisError as error:
            self._outage.began("close", error)
        self._client.close()

    def _stream(self, queue_name: str) -> str:
        try:
            return self.queues[queue_name]
        except KeyError:
            raise QueueNotFound(queue_name) from None  # type: ignore[no-untyped-call]

    def _is_empty(self, stream: str) -> bool:
        try:
            return self._client.xlen(stream) == 0  # settled entries are deleted: the rest is work
        except redis.RedisError:
            return False

    def _lane(self, queue_name: str, stream: str) -> Lane:
        with self._lanes_lock:
            # Named at the first use: a name given before a fork would be shared.
            self._name = self._name or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
            if queue_name not in self._lanes:
                self._lanes[queue_name] = Lane(
                    self._client,
                    self._alarm,
                    stream=stream,
                    consumer=self._name,
                    letter_cap=self._letter_cap,
                )
            if self._keeper is None:
                self._keeper = Keeper(
                    lambda: list(self._lanes.values()), self._alarm, self._outage, self._keeper_config
                )
                self._keeper.start()
            return self._lanes[queue_name]

    def _connect(self, socket_timeout_s: float, retry: Retry) -> redis.Redis:
        return redis.Redis.from_url(
            self._url,
            socket_timeout=socket_timeout_s,
            socket_connect_timeout=min(1.0, self._socket_timeout_s),
            retry=retry,
            protocol=2,  # the shape of XREADGROUP's reply depends on it
            decode_responses=False,
        )


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise BrokerUnavailable(str(error)) from error
