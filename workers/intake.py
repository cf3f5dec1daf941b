"""Whether this worker takes messages: a quiet one leaves them to others, and finishes what it has begun."""

from collections import defaultdict

import dramatiq
import structlog
from dramatiq import MessageProxy
from dramatiq.common import iter_queue

from workers.broker import BrokerUnavailable, StreamBroker

log = structlog.get_logger(__name__)


class Intake:
    def __init__(self, broker: StreamBroker, worker: dramatiq.Worker) -> None:
        self._broker = broker
        self._worker = worker

    def close(self) -> None:
        """Take nothing more, and give back what was not begun. Call it again for what was on its way meanwhile."""
        self._broker.pause()
        waiting: dict[str, list[MessageProxy]] = defaultdict(list)
        for item in iter_queue(self._worker.work_queue):  # type: ignore[no-untyped-call] # Dramatiq's own
            waiting[item.message.queue_name].append(item.message)
        for queue, messages in waiting.items():
            try:
                self._worker.consumers[queue].requeue_messages(messages)
            except BrokerUnavailable as error:
                log.warning("messages_not_given_back", queue=queue, count=len(messages), reason=str(error))

    def open(self) -> None:
        """Take messages again."""
        self._broker.resume()
