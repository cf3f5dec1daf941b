"""Seeded bugs: one change each to what PostgreSQL is asked, or has, which a machine must not let pass."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from tests.connections import connections_chosen


@dataclass(frozen=True, slots=True)
class Bug:
    """`statement`: a pattern and what takes its place, in each statement that an engine sends. `script`: what is done
    to the database beforehand.
    """

    name: str
    statement: tuple[str, str] | None = None
    script: str = ""

    def __str__(self) -> str:
        return self.name


def _in_function(function: str, right: str, wrong: str) -> str:
    """Return a script that defines *function* anew, with *wrong* in the place of *right*."""
    return f"""
        DO $do$
        DECLARE
            definition text := pg_get_functiondef('{function}'::regproc);
        BEGIN
            ASSERT position($right${right}$right$ IN definition) > 0, 'the function reads differently by now';
            EXECUTE replace(definition, $right${right}$right$, $wrong${wrong}$wrong$);
        END $do$
    """


LEDGER_BUGS = (
    Bug("whoever had a job may finish it", (r" AND jobs.lease_token = e.token", "")),
    Bug("whoever had a job may fail it or hand it back", (r"AND lease_token = (\$\d+)", r"AND \1::uuid IS NOT NULL")),
    Bug("a rescue takes jobs whose lease has not run out", (r"AND lease_expires_at < now\(\)", "")),
    Bug(
        "a rescued job always has another attempt",
        (r"CASE WHEN attempts >= max_attempts THEN 'dead' ELSE 'ready' END", "'ready'"),
    ),
    Bug("a grant locks nothing", (r"FOR UPDATE SKIP LOCKED(?=\) AS ids)", "")),
    Bug("a grant counts twice", (r"attempts = attempts \+ 1", "attempts = attempts + 2")),
    Bug("a grant takes what is not due", (r"state = 'ready' AND due_at <= now\(\)", "state = 'ready'")),
    Bug(
        "a grant takes what is paused",
        script=_in_function("held_jobs", "FROM job_pauses AS p", "FROM job_pauses AS p WHERE false"),
    ),
    Bug("what is handed back has cost an attempt", (r"attempts = attempts - 1", "attempts = attempts")),
    Bug("a job that has ended is made again", (r"WHERE \(SELECT f\.id FROM finished_jobs.*\) IS NULL", "WHERE true")),
    Bug("two jobs have one key", script="DROP INDEX jobs_dedup_key"),
    Bug("a grant does not ask limits how much room there is", (r"num_nonnulls\(max_running, starts\) > 0", "false")),
    Bug(
        "a limit counts nobody who runs",
        script=_in_function("limit_rooms", "l.max_running - (SELECT", "l.max_running - 0 * (SELECT"),
    ),
    Bug("a discard takes what was not given up", (r"state = 'dead' AND id", "true AND id")),
    Bug("what was discarded is forgotten", (r"(FROM discarded)", r"\1 WHERE false")),
    Bug("a purge takes what somebody has leased", (r"AND state = 'ready' AND created_at", "AND created_at")),
    Bug(
        "a job of an unknown kind is ready at once", (r"state = 'needs_version', attempts", "state = 'ready', attempts")
    ),
    Bug("a newer release takes up what is not parked", (r"state = 'needs_version' AND kind", "kind")),
    Bug("a cancelled job is forgotten", (r"(state <> 'leased' RETURNING \*[\s\S]*FROM ended)", r"\1 WHERE false")),
)

DELIVERY_BUGS = (
    Bug(
        "the floor passes who still writes",
        script=_in_function("outbox_writers", "WHERE locktype", "WHERE false AND locktype"),
    ),
    Bug(
        "the log is in another order",
        script=_in_function("sequence_outbox", "OVER (ORDER BY id)", "OVER (ORDER BY id DESC)"),
    ),
    Bug(
        "relays do not exclude each other", script=_in_function("sequence_outbox", "NOT pg_try", "false AND NOT pg_try")
    ),
    Bug("a batch leaves a gap", script=_in_function("sequence_outbox", "SELECT head + row", "SELECT head + 1 + row")),
    Bug(
        "a checkpoint passes an event",
        script=_in_function(
            "move_checkpoints", "RETURNING c.shard, read.after,", "RETURNING c.shard, read.after + 1 AS after,"
        ),
    ),
    Bug("effects do not wait for the checkpoint", (r"^BEGIN; (?=SET LOCAL synchronous_commit)", "")),
    Bug("workers share a shard", script=_in_function("claim_checkpoints", "FOR UPDATE OF c SKIP LOCKED", "")),
    Bug("events overtake what is parked", (r"IS NOT NULL AS is_parked", "IS NOT NULL AND false AS is_parked")),
    Bug("a retry begins behind its place", (r"position BETWEEN (?=\$)", "position BETWEEN 1 + ")),
    Bug("a redrive passes an event", (r"SET (?=state = 'retrying')", "SET position = position + 1, ")),
)


@contextmanager
def seeded(bug: Bug | None) -> Iterator[None]:
    """Have every engine that connects meanwhile send its statements with *bug*; one of them has to fit its pattern."""
    if bug is None or bug.statement is None:
        yield
        return
    pattern, wrong = bug.statement
    queries: list[str] = []

    def misread(query: str) -> str:
        queries.append(query)
        return re.sub(pattern, wrong, query)

    with _statements_read(misread):
        yield
    assert any(re.search(pattern, query) for query in queries), f"no statement reads like {pattern} by now"


@contextmanager
def all_seen() -> Iterator[set[str]]:
    """Write down every statement that engines which connect meanwhile send."""
    queries: set[str] = set()

    def note(query: str) -> str:
        queries.add(query)
        return query

    with _statements_read(note):
        yield queries


def _statements_read(read: Callable[[str], str]) -> AbstractContextManager[None]:
    """Have every engine that connects meanwhile send what *read* makes of its statements."""

    class ReadingConnection(asyncpg.Connection):  # type: ignore[misc] # asyncpg ships no types
        async def prepare(self, query: str, **options: Any) -> PreparedStatement:
            return await super().prepare(read(query), **options)

        async def execute(self, query: str, *arguments: Any, **options: Any) -> str:
            status: str = await super().execute(read(query), *arguments, **options)
            return status

    return connections_chosen(lambda _parameters: ReadingConnection)
