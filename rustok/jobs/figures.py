"""What operators watch: how much work waits in each queue, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone

_QUEUES = text("SELECT queue, ready, leased, dead, oldest_age_s FROM job_figures()")
_NEEDS_VERSION = text("SELECT what, waiting FROM needs_version_figures()")


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """Counts end at 100,000: past that, age tells."""

    queue: str
    ready: int
    leased: int
    dead: int
    oldest_age_s: float
    """Since the job that waits for the longest time has been due; 0 when none is."""


async def read_queue_figures(engine: AsyncEngine) -> list[QueueFigures]:
    """Return the figures of this moment, over all tenants; the roles app and system may ask."""
    return [QueueFigures(*row) for row in await run_alone(engine, _QUEUES)]


async def read_needs_version(engine: AsyncEngine) -> Mapping[str, int]:
    """Return how many aggregates of a consumer, or jobs of a kind, wait for a release that knows them, by its name."""
    return {row.what: row.waiting for row in await run_alone(engine, _NEEDS_VERSION)}
