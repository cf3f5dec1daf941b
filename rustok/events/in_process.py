"""L0: the consumers run inside the process that commits the events, since there is no relay and no worker."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from rustok.db.failures import describe, is_transient
from rustok.events.consumer import Consumer
from rustok.kernel.ports import Wake

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class InProcessConfig:
    poll_s: float = 1.0
    """Without a wake-up: what is parked comes due, and what failed is tried again."""


class InProcessConsumers:
    """Lets every consumer catch up when *wake* says that events were committed."""

    def __init__(self, config: InProcessConfig, consumers: Mapping[str, Consumer], wake: Wake) -> None:
        self._config = config
        self._consumers = consumers
        self._wake = wake

    async def run(self) -> None:
        """Run until cancelled. Call `finish` afterwards."""
        while True:
            await self._wake.wait(self._config.poll_s)
            await self._attempt()

    async def finish(self) -> None:
        """Handle what was committed and not handled yet, once: the log ends with the process."""
        await self._attempt()

    async def run_once(self) -> int:
        """Let the consumers drain, in turns, until none has more; return how many events were read.

        Raises:
            Exception: a server failed; what was not handled is handled by the next call.

        """
        read = 0
        busy = list(self._consumers.values())
        while busy:
            drained = [(consumer, await consumer.drain()) for consumer in busy]
            read += sum(counts.read for _, (counts, _) in drained)
            busy = [consumer for consumer, (_, has_more) in drained if has_more]
        return read

    async def _attempt(self) -> None:
        try:
            await self.run_once()
        except Exception as error:
            log.warning("in_process_consumers_failed", error=describe(error), exc_info=not is_transient(error))
