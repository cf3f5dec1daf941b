"""One tenant at the command line: commands and queries by name, as the operator."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any
from uuid import UUID

import typer

from rustok.cli.output import printable
from rustok.cli.session import Session, open_session
from rustok.db.failures import translated_failures
from rustok.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from rustok.dispatch import Call
from rustok.kernel.context import Context, Principal
from rustok.kernel.errors import InvalidInput, Misconfigured
from rustok.modules.alloy.errors import ScriptNotFound
from rustok.modules.alloy.schemas import Script
from rustok.modules.tenants import list_tenants

TenantOption = Annotated[
    str | None,
    typer.Option("--tenant", "-t", envvar="RUSTOK_TENANT", help="Slug or id; the only tenant, where there is one."),
]
ScriptArgument = Annotated[str, typer.Argument(metavar="SCRIPT", help="Name or id of the script.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")]


@dataclass(frozen=True, slots=True)
class TenantSession:
    session: Session
    tenant_id: UUID
    principal: Principal

    @property
    def context(self) -> Context:
        """Circumstances of one command or query: each is a cause of its own."""
        return Context(tenant_id=self.tenant_id, principal=self.principal)

    async def run(self, command: str, /, *, seen: int | None = None, **fields: Any) -> Any:
        """Run a command; *seen* is the expected version."""
        call = Call(self.session.platform.registry.commands[command], _texts(fields), seen)
        return (await self.session.platform.dispatcher.run(call, self.context)).result

    async def would(self, command: str, /, **fields: Any) -> Any:
        """Return what a command would answer, and roll it back."""
        call = Call(self.session.platform.registry.commands[command], _texts(fields))
        async with rolled_back(self.session.platform.units, self.context) as uow:
            return await self.session.platform.dispatcher.run_within(uow, call)

    async def query(self, name: str, /, **arguments: Any) -> Any:
        query = self.session.platform.registry.queries[name]
        return await self.session.platform.dispatcher.query(query, _texts(arguments), self.context)

    async def all(self, name: str, /, **arguments: Any) -> list[Any]:
        """Return what a query lists, on all its pages."""
        found: list[Any] = []
        after: str | None = None
        while True:
            page = await self.query(name, **arguments, limit=100, after=after)
            found += page.data
            after = page.page.next
            if after is None:
                return found

    async def script(self, reference: str) -> Script:
        """Return the script with this name or id.

        Raises:
            ScriptNotFound: there is none; the message names those that are called alike.

        """
        if _is_id(reference):
            script: Script = await self.query("alloy.scripts.get", script_id=reference)
            return script
        if found := await self.find_script(reference):
            return found
        names = [script.name for script in await self.all("alloy.scripts.list")]
        near = ", ".join(get_close_matches(reference, names)) or "`rustok scripts list` shows those there are"
        raise ScriptNotFound(f"There is no script {reference!r}: {near}.")

    async def find_script(self, name: str) -> Script | None:
        return next(iter((await self.query("alloy.scripts.list", name=name)).data), None)


@asynccontextmanager
async def open_tenant(reference: str | None) -> AsyncIterator[TenantSession]:
    """Connect for one tenant: the one named, or the only one that there is.

    Raises:
        Misconfigured: a setting, or the module of scripts, is missing.
        TenantNotFound: there is no such tenant.
        InvalidInput: none is named, and there are more or none.

    """
    async with open_session() as session:
        if not has_scripts(session):
            raise Misconfigured("The module alloy is not installed: rustok/catalog.py does not have it.")
        yield await tenant_session(session, await named_tenant(session, reference))


@asynccontextmanager
async def acting_for(reference: str | None) -> AsyncIterator[TenantSession]:
    """Connect for one tenant, whatever modules there are. Raises as `open_tenant` does."""
    async with open_session() as session:
        yield await tenant_session(session, await named_tenant(session, reference))


async def tenant_session(session: Session, tenant_id: UUID) -> TenantSession:
    """Return what acts as the operator, for one tenant."""
    return TenantSession(session, tenant_id, (await session.operator(tenant_id)).principal)


def has_scripts(session: Session) -> bool:
    """Return whether the platform was built with their module."""
    return any(module.name == "alloy" for module in session.platform.registry.modules)


class _RolledBack(Exception):
    pass


@asynccontextmanager
async def rolled_back(units: UnitOfWorkFactory, context: Context) -> AsyncIterator[UnitOfWork]:
    """Open a unit of work whose transaction never commits."""
    with suppress(_RolledBack):
        async with units.begin(context) as uow:
            yield uow
            raise _RolledBack


def confirm(question: str, *, yes: bool) -> None:
    """Ask whether to go on, unless *yes*; a no, or nobody to ask, ends the command with 1."""
    if not yes:
        typer.confirm(printable(question), abort=True, err=True)


async def named_tenant(session: Session, reference: str | None) -> UUID:
    """Return the id of the tenant that is named, or of the only one. Raises as `open_tenant` does."""
    if reference is not None:
        return await session.tenant_id(reference)
    with translated_failures():
        tenants = await list_tenants(session.system_engine)
    if len(tenants) != 1:
        slugs = ", ".join(tenant.slug for tenant in tenants[:10]) or "none"
        raise InvalidInput(f"Name the tenant with --tenant or RUSTOK_TENANT: there are {len(tenants)} ({slugs}).")
    return tenants[0].id


def _texts(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return *fields* with ids as texts: those that come from the driver are of a class of its own."""
    return {name: str(value) if isinstance(value, UUID) else value for name, value in fields.items()}


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
