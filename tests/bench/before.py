"""A write through the whole HTTP face beside the same write at an earlier commit (`--since`)."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import asyncpg

from rustok.db.roles import create_database
from rustok.embedded.process import free_port
from rustok.testing import Database
from tests.bench.figures import median
from tests.bench.stage import ROOT, Processes, Shop, Stage, analyze, environment
from tests.bench.table import Finding, Report, Target
from tests.bench.write_path import CLIENTS, post

_NOT_15_PERCENT_SLOWER = Target(">=", 1 / 1.15)
_METHOD = (
    "POST of a draft product with API key and Idempotency-Key, as in write_path: one API process of the code as it is "
    "and one of commit {commit}, with the same packages, each on a database that its own migrations have made, on one "
    "server. Rounds of {seconds:g} s in the order ABBA, medians."
)
_LOCK = "requirements.lock"
_NOBODY = UUID(int=0)


class _Side(NamedTuple):
    """The API of one commit."""

    shop: Shop
    port: int


def run(stage: Stage) -> Report:
    """Measure many clients, then one.

    Raises:
        SystemExit: no commit was given, there is none such, or its dependencies are others.

    """
    if stage.since is None:
        sys.exit("before compares with a commit: add --since COMMIT.")
    seconds = stage.seconds(2)
    with _checked_out(stage, stage.since) as earlier, ExitStack() as stack:
        sides = [
            stack.enter_context(_serving(stage, name, root)) for name, root in (("now", ROOT), ("before", earlier))
        ]
        for side in sides:
            post(side.shop, side.port, "warm", 1)
            asyncio.run(analyze(side.shop))
        findings = [_finding(stage, sides, clients, seconds) for clients in (CLIENTS, 1)]
    return Report("before", _METHOD.format(commit=stage.since, seconds=seconds), findings)


def _finding(stage: Stage, sides: list[_Side], clients: int, seconds: float) -> Finding:
    rates: dict[_Side, list[float]] = {side: [] for side in sides}
    for number in range(2 * stage.rounds(8)):
        for side in sides if number % 2 == 0 else reversed(sides):
            rates[side].append(post(side.shop, side.port, f"{clients}-{number}", seconds, clients).a_second)
    now, before = (median(rates[side]) for side in sides)
    return Finding(f"POST, {clients} clients", now, "/s", before, f"/s at {stage.since}", _NOT_15_PERCENT_SLOWER)


@contextmanager
def _checked_out(stage: Stage, commit: str) -> Iterator[Path]:
    """Yield a work tree of *commit*, whose dependencies are those of this environment."""
    tree = stage.directory / "before"
    _git("worktree", "add", "--detach", str(tree), commit)
    try:
        if _packages(tree) != _packages(ROOT):
            sys.exit(f"{commit} has other dependencies: it would have to be measured in an environment of its own.")
        yield tree
    finally:
        _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> None:
    finished = subprocess.run(["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True)  # noqa: S603, S607 - our own command
    if finished.returncode:
        sys.exit(finished.stderr)


@contextmanager
def _serving(stage: Stage, name: str, root: Path) -> Iterator[_Side]:
    """Serve with the code below *root*, on a database that it has made itself."""
    database = stage.server.database(f"bench_{name}")
    asyncio.run(_create(stage, database))
    shop = Shop(database, _NOBODY, "")
    settings = environment(stage, shop) | {"RUSTOK_OWNER_DATABASE_URL": database.owner_url}
    _rustok(root, settings, "db", "migrate")
    [tenant] = json.loads(_rustok(root, settings, "tenant", "create", "bench", "--json"))
    [key] = json.loads(_rustok(root, settings, "apikey", "create", "--tenant", "bench", "--role", "owner", "--json"))
    shop = Shop(database, UUID(tenant["id"]), key["token"])
    with Processes(stage, shop, root) as processes:
        port = free_port()
        processes.start_api(port)
        yield _Side(shop, port)


async def _create(stage: Stage, database: Database) -> None:
    admin = await asyncpg.connect(stage.server.database("postgres").admin_url)
    try:
        await create_database(admin, database.name)
    finally:
        await admin.close()


def _rustok(root: Path, settings: Mapping[str, str], *arguments: str) -> str:
    """Run the command `rustok` of the code below *root*; return what it prints."""
    command = [sys.executable, "-c", "from rustok.cli import main; main()", *arguments]
    finished = subprocess.run(command, cwd=root, env=settings, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    return finished.stdout


def _packages(root: Path) -> list[str]:
    """Return what is pinned, without who wants it."""
    return [line for line in (root / _LOCK).read_text().splitlines() if not line.lstrip().startswith("#")]
