"""How late events are delivered: the one figure by which writes are admitted."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone

_AGE = text("SELECT undelivered_age_s(CAST(:consumers AS text[])) AS age_s")
_COUNT_CAUGHT_UP = text("SELECT count_caught_up()")


async def undelivered_age_s(engine: AsyncEngine, consumers: Iterable[str]) -> float:
    """Return for how many seconds the oldest undelivered event has waited: for its place in the log since it
    occurred, or for one of *consumers* since it has that place; 0 when none waits. The roles app and system may ask.

    Consumers that others have are nobody's concern, and those that never caught up are not waited for.
    """
    return float((await run_alone(engine, _AGE, {"consumers": list(consumers)})).scalar_one())


async def count_caught_up(engine: AsyncEngine) -> int:
    """Let checkpoints that have caught up for the first time count from now on; return how many they are."""
    return int((await run_alone(engine, _COUNT_CAUGHT_UP)).scalar_one())
