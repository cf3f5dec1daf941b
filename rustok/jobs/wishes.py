"""What operators want of workers: written into the list of workers, from which each reads it with its next beat."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone
from rustok.jobs.heartbeat import LOST_AFTER_S, Wish

_WISH = text(
    """
    UPDATE workers SET wish = :wish
     WHERE (CAST(:id AS uuid) IS NULL OR id = :id) AND (CAST(:host AS text) IS NULL OR host = :host)
       AND seen_at > now() - make_interval(secs => :lost_after_s)
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whom:
    """One worker, those of a host, or all of them, where neither is given."""

    id: UUID | None = None
    host: str | None = None


async def direct(engine: AsyncEngine, whom: Whom, wish: Wish | None) -> int:
    """Want *wish* of the workers that live now, None: that they work; return how many they are.

    They hear of it within a second, and do it within two. The role system may.
    """
    values = {"id": whom.id, "host": whom.host, "wish": wish, "lost_after_s": LOST_AFTER_S}
    return (await run_alone(engine, _WISH, values)).rowcount
