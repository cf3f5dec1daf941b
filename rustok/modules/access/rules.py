"""Holds a tenant's access rules, so that nobody else changes them meanwhile.

Do it before rows are locked, so that nobody waits in a circle.
"""

from dataclasses import replace
from uuid import UUID

from rustok.db.unit_of_work import StaleAuthorization, UnitOfWork
from rustok.kernel.context import Principal
from rustok.modules.access import repository
from rustok.modules.access.credentials import holder_of_key, holder_of_session
from rustok.modules.access.rights import roles_of


async def change_rules(uow: UnitOfWork) -> int:
    """Make every process read the tenant's access rules again, from its next request on; return their version.

    Nobody else changes them until the transaction ends. Raises as `keep_rules` does.
    """
    await keep_rules(uow)
    uow.rules_raised()
    return await repository.raise_rules(uow)


async def keep_rules(uow: UnitOfWork) -> None:
    """Let nobody change the tenant's access rules until the transaction ends.

    Raises:
        StaleAuthorization: somebody has changed them, before they were held, and what the caller may do with them.

    """
    rules = await repository.lock_rules(uow)
    if not uow.is_behind(rules.authz_version):
        return
    if not rules.is_active or not await _has_same_rights(uow):
        raise StaleAuthorization


async def _has_same_rights(uow: UnitOfWork) -> bool:
    """Tell whether the caller's credential allows now just what it did when it was looked up."""
    mine = uow.context.principal
    now = await _read_again(uow, mine)
    return now is not None and replace(now, authz_version=mine.authz_version) == mine


async def _read_again(uow: UnitOfWork, principal: Principal) -> Principal | None:
    if principal.session_id is not None:
        row, holder = await repository.find_session(uow, principal.session_id), holder_of_session
    elif principal.kind == "apikey":
        row, holder = await repository.find_api_key(uow, UUID(principal.id)), holder_of_key
    else:
        return None
    has_expired = row is not None and row.expires_at is not None and row.expires_at <= uow.now
    return None if has_expired else holder(row, roles_of(uow))
