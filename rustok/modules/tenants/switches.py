"""Which modules a tenant has. One that is off keeps its data: it answers nobody, hears nothing and begins no work."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import Transaction
from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.event import LoggedEvent
from rustok.kernel.module import Module
from rustok.modules.tenants import repository
from rustok.modules.tenants.errors import ModuleAlwaysOn, ModuleDependsOnOthers, ModuleInUse, ModuleNotFound
from rustok.modules.tenants.events import ModuleDisabled, ModuleEnabled
from rustok.modules.tenants.schemas import ListModules, SwitchModule, TenantModule, TenantModules


async def list_modules(uow: UnitOfWork, _data: ListModules) -> TenantModules:
    """Return all modules, and which of them the tenant has."""
    row = await repository.read_modules_off(uow)
    return _told(uow.registry.modules, row.modules_off, row.version)


async def switch_module(uow: UnitOfWork, data: SwitchModule) -> TenantModules:
    """Switch a module on or off from now on; what is so already stays as it is.

    What workers have begun goes on. What waits begins when the module is on again.
    """
    module = next((each for each in uow.registry.modules if each.name == data.module), None)
    if module is None:
        raise ModuleNotFound("The platform has no such module: GET /api/v1/tenants/modules lists them.")
    await repository.lock_tenant(uow)
    row = await repository.read_modules_off(uow)  # what was switched while it was waited for is seen
    off = frozenset(row.modules_off)
    if data.is_enabled == (module.name not in off):
        return _told(uow.registry.modules, off, row.version)
    if data.is_enabled:
        _refuse_without_others(module, off)
        event: ModuleEnabled | ModuleDisabled = ModuleEnabled(module=module.name)
        uow.jobs_made()  # what has waited may begin
    else:
        _refuse_in_use(module, uow.registry.modules, off)
        event = ModuleDisabled(module=module.name)
    version = uow.emit(event, uow.tenant_id)
    await repository.set_rules_version(uow, version)
    if module.on_switch is not None:
        await module.on_switch(uow, data.is_enabled)
    if data.is_enabled:  # last, for it takes the time of the moment
        await repository.end_absence(uow, module.name)
    else:
        await repository.begin_absence(uow, module.name, [kind.name for kind in module.jobs if kind.runs_while_off])
    return _told(uow.registry.modules, off ^ {module.name}, version)


async def modules_off(engine: AsyncEngine, tenant_id: UUID) -> frozenset[str]:
    """Return the modules that a tenant has switched off. *engine* connects as the role system."""
    return await repository.find_modules_off(engine, tenant_id)


async def without_absences(
    transaction: Transaction, module: str, events: Sequence[LoggedEvent]
) -> Sequence[LoggedEvent]:
    """Return *events* but for those that happened while *module* was off for their tenant.

    Whether it is off by now does not matter: an event has the same consequences whenever, and however often, it is
    read. *transaction* is one of the role system.
    """
    tenant_ids = {event.envelope.tenant_id for event in events}
    absences = await repository.find_absences(transaction, module, tenant_ids)
    return (
        [event for event in events if not any(_covers(absence, event) for absence in absences)] if absences else events
    )


def _covers(absence: Any, event: LoggedEvent) -> bool:
    envelope = event.envelope
    return (
        absence.tenant_id == envelope.tenant_id
        and absence.off_at <= envelope.occurred_at
        and (absence.on_at is None or envelope.occurred_at < absence.on_at)
    )


def _refuse_without_others(module: Module, off: Collection[str]) -> None:
    if missing := [name for name in module.depends_on if name in off]:
        raise ModuleDependsOnOthers(f"{module.name} depends on {', '.join(missing)}: enable that first.")


def _refuse_in_use(module: Module, modules: Sequence[Module], off: Collection[str]) -> None:
    if not module.kind.may_be_off:
        raise ModuleAlwaysOn(f"{module.name} is a part that the others need: it cannot be disabled.")
    if users := [each.name for each in modules if module.name in each.depends_on and each.name not in off]:
        raise ModuleInUse(f"{', '.join(users)} depends on {module.name}: disable that first.")


def _told(modules: Sequence[Module], off: Collection[str], version: int) -> TenantModules:
    return TenantModules(
        data=[
            TenantModule(
                name=module.name,
                kind=module.kind,
                summary=module.summary,
                depends_on=module.depends_on,
                may_be_disabled=module.kind.may_be_off,
                is_enabled=module.name not in off,
            )
            for module in modules
        ],
        version=version,
    )
