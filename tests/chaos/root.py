"""Run a root of the platform unchanged, with the witness in its catalogue: `python -m tests.chaos.root MODULE ...`.

CHAOS_DOUBLE_MESSAGES=1 makes it send every message twice, and count in Redis what it handles.
"""

import os
import runpy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import redis
from dramatiq import Broker, Message, MessageProxy, Middleware

from rustok import catalog
from tests.chaos.witness import WITNESS
from workers import broker
from workers.queues import WORK

DOUBLE_MESSAGES = "CHAOS_DOUBLE_MESSAGES"

_TIMES = "chaos:times"
_HINTS = "chaos:hints"


@dataclass(frozen=True, slots=True)
class Handled:
    """What workers have handled: how many messages twice or more, and how many hints that a job is ready."""

    messages_twice: int
    hints: int

    @classmethod
    def read(cls, url: str) -> Self:
        with redis.Redis.from_url(url) as client:
            times = client.hvals(_TIMES)
            return cls(sum(int(count) > 1 for count in times), int(client.get(_HINTS) or 0))


class Tally(Middleware):
    """Counts in Redis how often each message was handled."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)

    def after_process_message(
        self,
        broker: Broker,  # noqa: ARG002 - Dramatiq's signature
        message: MessageProxy,
        *,
        result: object = None,  # noqa: ARG002 - Dramatiq's signature
        exception: BaseException | None = None,  # noqa: ARG002 - Dramatiq's signature
    ) -> None:
        with self._client.pipeline() as pipe:
            pipe.hincrby(_TIMES, message.message_id, 1)
            if message.actor_name == WORK:
                pipe.incrby(_HINTS, len(message.args[0]))
            pipe.execute()


class DoublingBroker(broker.StreamBroker):
    """What a network does that delivers everything, and everything twice."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, middleware=[broker.NoRetries(), Tally(url)], **options)

    def enqueue_many(self, messages: Sequence[Message[Any]]) -> list[Message[Any]]:
        return super().enqueue_many([*messages, *messages])


def main() -> None:
    catalog.MODULES = (*catalog.MODULES, WITNESS)  # type: ignore[assignment] # a tuple of one more
    if os.environ.get(DOUBLE_MESSAGES):
        broker.StreamBroker = DoublingBroker  # type: ignore[misc] # before the root imports it
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
