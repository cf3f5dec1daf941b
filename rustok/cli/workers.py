"""`rustok workers`: the processes that were heard of lately, and what they are told to do."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from rustok.cli.output import err, print_rows
from rustok.cli.session import open_session
from rustok.cli.tenant import Json
from rustok.db.failures import translated_failures
from rustok.jobs.heartbeat import Wish, Worker, list_workers
from rustok.jobs.wishes import Whom, direct
from rustok.kernel.errors import NotFound

app = typer.Typer(no_args_is_help=True)
_COLUMNS = ("id", "host", "pid", "release", "state", "jobs", "cage", "rss_mib", "cpu_percent", "started_at", "silent_s")

WorkerId = Annotated[UUID | None, typer.Argument(metavar="[ID]", help="One worker, as `workers list` names it.")]
Host = Annotated[str | None, typer.Option(help="The workers of a host.")]
Everybody = Annotated[bool, typer.Option("--all", help="All workers that live now.")]


class WorkerNotFound(NotFound):
    """No living worker is meant."""

    code = "worker_not_found"


@app.callback()
def workers() -> None:
    """See which workers live, and direct them."""


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List the worker processes of all hosts: what they do, are, use, and protect scripts with; for how long silent."""
    asyncio.run(_list(as_json=as_json))


@app.command()
def quiet(worker: WorkerId = None, host: Host = None, *, everybody: Everybody = False) -> None:
    """Let workers begin nothing more and finish what is in hand; the processes stay, until `resume` or `stop`."""
    _direct("quiet", _whom(worker, host, everybody=everybody))


@app.command()
def stop(worker: WorkerId = None, host: Host = None, *, everybody: Everybody = False) -> None:
    """Let workers finish what is in hand, then end. `rustok worker`, or another supervisor, starts others."""
    _direct("stop", _whom(worker, host, everybody=everybody))


@app.command()
def resume(worker: WorkerId = None, host: Host = None, *, everybody: Everybody = False) -> None:
    """Let workers that are quiet, or were to stop and have not yet, take work again."""
    _direct(None, _whom(worker, host, everybody=everybody))


def _whom(worker: UUID | None, host: str | None, *, everybody: bool) -> Whom:
    if sum((worker is not None, host is not None, everybody)) != 1:
        raise typer.BadParameter("Name one worker by its id, or a host with --host, or all of them with --all.")
    return Whom(id=worker, host=host)


def _direct(wish: Wish | None, whom: Whom) -> None:
    count = asyncio.run(_told(wish, whom))
    what = {"quiet": "take no more work", "stop": "finish and end", None: "take work again"}[wish]
    err.print(f"{count} workers are told: within two seconds they {what}")


async def _told(wish: Wish | None, whom: Whom) -> int:
    async with open_session() as session:
        with translated_failures():
            count = await direct(session.system_engine, whom, wish)
    if not count:
        raise WorkerNotFound("No such worker lives: `rustok workers list` has those that do.")
    return count


async def _list(*, as_json: bool) -> None:
    async with open_session() as session:
        with translated_failures():
            found = await list_workers(session.system_engine)
    print_rows([_row(worker) for worker in found], _COLUMNS, as_json=as_json)


def _row(worker: Worker) -> dict[str, object]:
    return {
        "id": worker.id,
        "host": worker.host,
        "pid": worker.pid,
        "release": worker.release,
        "state": worker.state,
        "wish": worker.wish,
        "jobs": worker.jobs_in_hand,
        "cage": worker.sandbox.get("level"),
        "rss_mib": round(worker.rss_bytes / (1 << 20), 1),
        "cpu_percent": round(100 * worker.cpu_share, 1),
        "cpu_s": round(worker.cpu_s, 1),
        "started_at": worker.started_at,
        "silent_s": round(worker.silent_s, 1),
    }
