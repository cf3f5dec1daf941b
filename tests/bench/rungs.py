"""A ladder of applications, each with one layer of the write path more: `uvicorn --factory
tests.bench.rungs:create_app`.

RUSTOK_BENCH_RUNG names the rung. The upper ones are the real application; what it does not reach yet is left out of
its transactions, so that the code that runs is the code that is measured.
"""

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
from sqlalchemy import TextClause
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp, Receive, Scope, Send

from api.app import create_app as create_real_app
from rustok.db import unit_of_work
from rustok.db.transaction import Rows, Transaction


class Rung(NamedTuple):
    """`leaves_out`: pieces of the statements that are not run; None: no transaction is opened at all."""

    name: str
    adds: str
    leaves_out: Sequence[str] | None = ()
    commits: bool = True


_LOCK, _FIND = "pg_try_advisory_xact_lock", "FROM idempotency_keys"
_KEEP, _ROWS, _OUTBOX = "INTO idempotency_keys", "INTO products", "INTO outbox"

RUNGS = (
    Rung("no-op", "uvicorn, the request's body, an answer of the same size"),
    Rung("http", "routing, key, headers, strict JSON, validation, the product, its JSON, access log", None),
    Rung(
        "begin",
        "a connection of the pool, BEGIN with tenant and rights, empty COMMIT",
        (_LOCK, _FIND, _KEEP, _ROWS, _OUTBOX),
    ),
    Rung("key", "look up the Idempotency-Key", (_KEEP, _ROWS, _OUTBOX)),
    Rung("rows", "insert the product's rows, ROLLBACK", (_KEEP, _OUTBOX), commits=False),
    Rung("outbox", "insert the outbox row, ROLLBACK", (_KEEP,), commits=False),
    Rung("keep", "keep the answer, ROLLBACK", (), commits=False),
    Rung("all", "COMMIT, flushed to disk"),
)
_ANSWER_BYTES = 1200


_ALL = ("",)
_AT_THE_START = "pg_roles"
"""In the statement that every process asks before it serves."""


def create_app() -> ASGIApp:
    """Return the application of the rung that the environment names."""
    [rung] = [rung for rung in RUNGS if rung.name == os.environ["RUSTOK_BENCH_RUNG"]]
    if rung.name == "no-op":
        return _no_op
    if rung.leaves_out is None:
        unit_of_work.begin = _begin_nothing  # type: ignore[assignment,attr-defined] # of this process, which is thrown away
    _leave_out(_ALL if rung.leaves_out is None else rung.leaves_out)
    if not rung.commits:
        _roll_back_instead()
    return create_real_app()


@asynccontextmanager
async def _begin_nothing(_engine: AsyncEngine, _script: str) -> AsyncIterator[tuple[Transaction, int]]:
    yield Transaction(None, {}), 0


def _leave_out(pieces: Sequence[str]) -> None:
    execute = Transaction.execute

    async def execute_some(
        self: Transaction, statement: TextClause, parameters: Mapping[str, Any] | None = None
    ) -> Rows:
        if _AT_THE_START not in statement.text and any(piece in statement.text for piece in pieces):
            return _answer(statement, parameters or {})
        return await execute(self, statement, parameters)

    Transaction.execute = execute_some  # type: ignore[method-assign] # of this process, which is thrown away


def _answer(statement: TextClause, parameters: Mapping[str, Any]) -> Rows:
    """Return what a statement that was not run would have returned: the keys are ours, nobody used them before."""
    locks = parameters["locks"] if _LOCK in statement.text else ()
    rows = Rows(SimpleResultMetaData(["lock", "is_held"]), iter([(lock, True) for lock in locks]))
    rows.rowcount = 1
    return rows


def _roll_back_instead() -> None:
    execute = asyncpg.Connection.execute

    async def execute_but_commit(self: asyncpg.Connection, query: str, *args: Any, **options: Any) -> Any:
        if query != "COMMIT":
            return await execute(self, query, *args, **options)
        await execute(self, "ROLLBACK")
        return query

    asyncpg.Connection.execute = execute_but_commit


async def _no_op(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % _ANSWER_BYTES)]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": b" " * _ANSWER_BYTES})


async def _live(receive: Receive, send: Send) -> None:
    for _ in range(2):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
