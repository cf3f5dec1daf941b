"""What the commands about jobs have in common: which jobs are meant."""

import os
from typing import Annotated

import typer

from rustok.cli.session import Session
from rustok.jobs.pauses import Scope

Queue = Annotated[str | None, typer.Option("--queue", "-q", help="Only of this queue.")]
QueueName = Annotated[str | None, typer.Argument(help="A queue; without it, all of them.", show_default=False)]
Kind = Annotated[str | None, typer.Option("--kind", "-k", help="Only of this kind, such as alloy.run.")]
Tenant = Annotated[str | None, typer.Option("--tenant", "-t", help="Only of this tenant, by slug or id.")]


def operator() -> str:
    """Return who is at this machine, as the actor of what the command does."""
    return f"operator:{os.environ.get('USER', 'unknown')}"


async def scope_of(
    session: Session, queue: str | None, kind: str | None, tenant: str | None, *, may_be_unknown: bool = False
) -> Scope:
    """Return the jobs that are meant; *may_be_unknown*: also those of a queue or kind that another release has.

    Raises:
        BadParameter: no module has such a queue or kind, or such a kind in that queue.
        TenantNotFound: there is no such tenant.

    """
    if not may_be_unknown:
        _check_names(session, queue, kind)
    return Scope(queue=queue, kind=kind, tenant_id=None if tenant is None else await session.tenant_id(tenant))


async def one_scope_of(
    session: Session, queue: str | None, kind: str | None, tenant: str | None, *, may_be_unknown: bool = False
) -> Scope:
    """Return what `scope_of` does. Raises BadParameter, too, where nothing is named."""
    if (queue, kind, tenant) == (None, None, None):
        raise typer.BadParameter("Name a queue, a --kind or a --tenant. How much runs in all is how many workers do.")
    return await scope_of(session, queue, kind, tenant, may_be_unknown=may_be_unknown)


def named(scope: Scope) -> str:
    """Return the fields of *scope* that are given, for people."""
    given = (("queue", scope.queue), ("kind", scope.kind), ("tenant", scope.tenant_id))
    return ", ".join(f"{name} {value}" for name, value in given if value is not None)


def _check_names(session: Session, queue: str | None, kind: str | None) -> None:
    kinds = session.platform.registry.jobs
    _check("queue", queue, {kind.queue for kind in kinds.values()})
    _check("kind", kind, set(kinds))
    if queue is not None and kind is not None and kinds[kind].queue != queue:
        raise typer.BadParameter(f"Jobs of kind {kind} go through the queue {kinds[kind].queue}.")


def _check(what: str, name: str | None, known: set[str]) -> None:
    if name is not None and name not in known:
        raise typer.BadParameter(f"There is no {what} {name!r}: there are {', '.join(sorted(known))}.")
