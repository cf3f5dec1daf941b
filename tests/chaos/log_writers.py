"""Writers that commit out of order, roll back and stay open, and beside them a poller that must lose events."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from uuid import UUID

import asyncpg
from sqlalchemy import text

from rustok.db.transaction import run_alone
from tests.chaos.evidence import Hits
from tests.chaos.opening import SEED, Plan, Servers, open_stage
from tests.chaos.report import Result
from tests.chaos.stage import PATIENCE_S, Stage
from tests.chaos.verdict import conclude
from tests.integration.events.log import Log, connected, create_clocks_table, open_log, wind
from tests.integration.events.log import stage as stage_event

_PAUSE_S = 0.05
_ROLLBACKS = 0.05
_CLOCKS = 200
_OPEN_FOR = 10_000
"""Events that others commit while a transaction stays open, for longer than any of the platform's may."""
_LEFT_OPEN = 0
"""Number of the transactions that stay open; `stage_event` gives it."""

# What a naive outbox would be: a table with an id, written by the same transactions.
_NAIVE = """
    CREATE TABLE naive_outbox (id bigserial PRIMARY KEY, event_id uuid NOT NULL);
    CREATE FUNCTION also_naively() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        INSERT INTO naive_outbox (event_id) VALUES (NEW.event_id);
        RETURN NULL;
    END $$;
    CREATE TRIGGER also_naively AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION also_naively();
"""
_POLL = "SELECT id FROM naive_outbox WHERE id > $1 ORDER BY id"
_LOGGED = text(
    """
    SELECT CAST(payload ->> 'transaction' AS bigint) AS number, count(*) AS events
      FROM event_log WHERE type = 'clocks.clock.wound' GROUP BY number
    """
)


class Refused(Exception):
    """A rule of a service says no."""


@dataclass(slots=True)
class Writers:
    """`committed` and `rolled_back` are numbers of transactions, each of them with as many events as it has counted."""

    log: Log
    clocks: Sequence[UUID]
    committed: Counter[int] = field(default_factory=Counter)
    events: int = 0
    """All that are committed: the sum of that counter takes its time."""
    rolled_back: set[int] = field(default_factory=set)

    async def run(self, *, at_once: int, events: int) -> None:
        """Write until this many *events* are committed."""
        await asyncio.gather(*(self._write(writer, events) for writer in range(at_once)))

    async def stay_open(self, here: asyncpg.Connection, elsewhere: asyncpg.Connection, *, events: int) -> None:
        """Stage an event and stay open while others commit, again and again, beside a transaction *elsewhere*."""
        while (before := self.events) < events:
            async with here.transaction(), elsewhere.transaction():
                await elsewhere.execute("SELECT pg_current_xact_id()")
                await stage_event(here)
                while self.events < min(events, before + _OPEN_FOR):  # noqa: ASYNC110 - now and then is enough
                    await asyncio.sleep(_PAUSE_S)
            self._commit(_LEFT_OPEN, 1)

    async def _write(self, writer: int, events: int) -> None:
        chance, number = random.Random(SEED + writer), writer * 10_000_000
        while self.events < events:
            number += 1
            times, fails = chance.randint(1, 3), chance.random() < _ROLLBACKS
            with suppress(Refused):
                async with self.log.begin() as uow:
                    await wind(uow, chance.choice(self.clocks), times=times, transaction=number)
                    await uow.flush(self.log.transport)
                    await asyncio.sleep(chance.random() * _PAUSE_S)
                    if fails:
                        self.rolled_back.add(number)
                        raise Refused
                self._commit(number, times)

    def _commit(self, number: int, times: int) -> None:
        self.committed[number] += times
        self.events += times


def write_out_of_order(servers: Servers, *, writers: int, events: int) -> Result:
    """Writers with pauses and rollbacks, one that stays open, beside a transaction in another database that does."""
    with open_stage(servers, Plan(tenants=1, hook=None)) as stage:
        writing = stage.begin(_write(stage, writers, events))
        stage.until(writing.done, within_s=max(PATIENCE_S, events / 50))
        written, naively_lost = writing.result()
        stage.settle()
        rows = stage.loop.run(run_alone(stage.platform.system_engine, _LOGGED))
        logged = Counter({row.number: row.events for row in rows})
        result = conclude(
            stage,
            {
                "writers": writers,
                "committed": written.events,
                "stayed_open": written.committed[_LEFT_OPEN],
                "rolled_back": len(written.rolled_back),
                "naively_lost": naively_lost,
            },
            controls={"events that a naive poller lost": Hits(naively_lost, events / 100)},
        )
    figures = {
        **result.figures,
        "doubled": None,  # there are no products, and nobody consumes what happens to clocks
        "checksums_equal": None,
        "lost": (written.committed - logged).total(),
        "ghosts": sum(logged[number] for number in written.rolled_back),
    }
    faults = {
        **result.faults,
        "log": [f"{name}: {figures[name]}" for name in ("lost", "ghosts") if figures[name]],
    }
    return replace(result, figures=figures, faults=faults)


async def _write(stage: Stage, writers: int, events: int) -> tuple[Writers, int]:
    """Return what was written, and how many events the naive poller did not see."""
    database = stage.platform.database
    await create_clocks_table(database)
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(open_log(database, writers))
        here = await stack.enter_async_context(connected(database.admin_url))
        elsewhere = await stack.enter_async_context(connected(stage.postgres.admin_url))
        await here.execute(_NAIVE)
        written = Writers(log, await log.create_clocks(_CLOCKS))
        are_done = asyncio.Event()
        poller = asyncio.create_task(_poll(database.admin_url, are_done))
        staying = written.stay_open(here, elsewhere, events=events)
        await asyncio.gather(written.run(at_once=writers, events=events), staying)
        are_done.set()
        return written, await poller


async def _poll(url: str, are_done: asyncio.Event) -> int:
    """Read what lies after the last id that was seen, again and again; return how much was never seen."""
    seen = last = 0
    poller: asyncpg.Connection
    async with connected(url) as poller:
        while not are_done.is_set():
            ids = [row["id"] for row in await poller.fetch(_POLL, last)]
            seen, last = seen + len(ids), max([last, *ids])
            await asyncio.sleep(0.005)
        left = len(await poller.fetch(_POLL, last))
        return int(await poller.fetchval("SELECT count(*) FROM naive_outbox")) - seen - left
