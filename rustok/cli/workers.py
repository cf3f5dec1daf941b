"""`rustok workers`: the processes that were heard of lately."""

import asyncio
from datetime import UTC, datetime

import typer

from rustok.cli.output import print_rows
from rustok.cli.session import open_session
from rustok.cli.tenant import Json
from rustok.db.failures import translated_failures
from rustok.jobs.heartbeat import Worker, living_workers

app = typer.Typer(no_args_is_help=True)
_COLUMNS = ("host", "pid", "release", "cage", "rss_mib", "cpu_s", "started_at", "silent_s")


@app.callback()
def workers() -> None:
    """See which workers live."""


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List the worker processes of all hosts: what they are, use, and protect scripts with; for how long silent."""
    asyncio.run(_list(as_json=as_json))


async def _list(*, as_json: bool) -> None:
    async with open_session() as session:
        with translated_failures():
            found = await living_workers(session.system_engine)
    print_rows([_row(worker) for worker in found], _COLUMNS, as_json=as_json)


def _row(worker: Worker) -> dict[str, object]:
    return {
        "id": worker.id,
        "host": worker.host,
        "pid": worker.pid,
        "release": worker.release,
        "cage": worker.sandbox.get("level"),
        "rss_mib": round(worker.rss_bytes / (1 << 20), 1),
        "cpu_s": round(worker.cpu_s, 1),
        "started_at": worker.started_at,
        "silent_s": round((datetime.now(UTC) - worker.seen_at).total_seconds(), 1),
    }
