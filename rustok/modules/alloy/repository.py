"""The SQL of scripts and their versions."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from rustok.db.engine import to_json
from rustok.db.pages import Listing, Page
from rustok.db.unit_of_work import UnitOfWork

_COLUMNS = """id, version, name, description, status, status_reason, triggers, grants, hosts, secrets, owner,
    latest_version, active_version, canary_version, canary_percent, failures, created_at, updated_at"""
_VERSION_INFO = "script_id, number, sha256, author, message, state, faults, created_at"

_INSERT = text(
    """
    INSERT INTO scripts (tenant_id, id, version, name, description, status, triggers, grants, hosts, secrets, owner,
                         created_at, updated_at)
    VALUES (:tenant_id, :id, :version, :name, :description, 'draft', CAST(:triggers AS jsonb), :grants, :hosts,
            :secrets, :owner, :now, :now)
    """
)
_COUNT = text("SELECT count(*) FROM scripts WHERE tenant_id = :tenant_id")
_FIND = text(f"SELECT {_COLUMNS} FROM scripts WHERE tenant_id = :tenant_id AND id = :id")
_LOCK = text(f"SELECT {_COLUMNS} FROM scripts WHERE tenant_id = :tenant_id AND id = :id FOR UPDATE")
_LIST = Listing(
    "alloy.scripts",
    f"""
    SELECT {_COLUMNS} FROM scripts
     WHERE tenant_id = :tenant_id AND (CAST(:name AS text) IS NULL OR name = :name)
       AND (CAST(:status AS text) IS NULL OR status = :status)
    """,
    key="name",
    key_type="text",
)
_UPDATE = text(
    """
    UPDATE scripts SET version = :version, name = :name, description = :description,
                       triggers = CAST(:triggers AS jsonb), grants = :grants, hosts = :hosts, secrets = :secrets,
                       owner = :owner, updated_at = :now
     WHERE tenant_id = :tenant_id AND id = :id
    """
)
_SET_STATE = text(
    """
    UPDATE scripts SET version = :version, status = :status, status_reason = :status_reason,
                       active_version = :active_version, canary_version = :canary_version,
                       canary_percent = :canary_percent, latest_version = :latest_version, failures = :failures,
                       active_since = CASE WHEN :status <> 'active' THEN NULL
                                           WHEN status = 'active' THEN active_since ELSE :now END,
                       updated_at = :now
     WHERE tenant_id = :tenant_id AND id = :id
    """
)
_DELETE = text("DELETE FROM scripts WHERE tenant_id = :tenant_id AND id = :id")
_INSERT_VERSION = text(
    """
    INSERT INTO script_versions (tenant_id, script_id, number, code, sha256, author, message, state, created_at)
    VALUES (:tenant_id, :script_id, :number, :code, :sha256, :author, :message, 'checking', :now)
    """
)
_FIND_VERSION = text(
    f"""
    SELECT {_VERSION_INFO}, code FROM script_versions
     WHERE tenant_id = :tenant_id AND script_id = :script_id AND number = :number
    """
)
_LIST_VERSIONS = Listing(
    "alloy.versions",
    f"SELECT {_VERSION_INFO} FROM script_versions WHERE tenant_id = :tenant_id AND script_id = :script_id",
    key="number",
    key_type="integer",
    descending=True,
)
_LATEST_READY = text(
    """
    SELECT max(number) FROM script_versions
     WHERE tenant_id = :tenant_id AND script_id = :script_id AND state = 'ready'
    """
)
_SET_VERSION_STATE = text(
    """
    UPDATE script_versions SET state = :state, faults = CAST(:faults AS jsonb)
     WHERE tenant_id = :tenant_id AND script_id = :script_id AND number = :number
    """
)
_COUNT_FAILURE = text(
    f"""
    UPDATE scripts SET failures = failures + 1 WHERE tenant_id = :tenant_id AND id = :id RETURNING {_COLUMNS}
    """
)


async def insert_script(uow: UnitOfWork, values: Mapping[str, Any]) -> None:
    await uow.execute(_INSERT, {**values, "tenant_id": uow.tenant_id, "now": uow.now, **_json(values)})


async def count_scripts(uow: UnitOfWork) -> int:
    return int((await uow.execute(_COUNT, {"tenant_id": uow.tenant_id})).scalar_one())


async def find_script(uow: UnitOfWork, script_id: UUID) -> Row[Any] | None:
    return (await uow.execute(_FIND, {"tenant_id": uow.tenant_id, "id": script_id})).one_or_none()


async def lock_script(uow: UnitOfWork, script_id: UUID) -> Row[Any] | None:
    """Hold the script's row: it is the root of the aggregate."""
    row = (await uow.execute(_LOCK, {"tenant_id": uow.tenant_id, "id": script_id})).one_or_none()
    if row is not None:
        uow.hold("script", row.id, row.version)
    return row


async def list_scripts(uow: UnitOfWork, name: str | None, status: str | None, cursor: str | None, limit: int) -> Page:
    return await _LIST.page(uow, {"name": name, "status": status}, cursor, limit)


async def update_script(uow: UnitOfWork, values: Mapping[str, Any]) -> None:
    await uow.execute(_UPDATE, {**values, "tenant_id": uow.tenant_id, "now": uow.now, **_json(values)})


async def set_state(uow: UnitOfWork, values: Mapping[str, Any]) -> None:
    await uow.execute(_SET_STATE, {**values, "tenant_id": uow.tenant_id, "now": uow.now})


async def delete_script(uow: UnitOfWork, script_id: UUID) -> None:
    await uow.execute(_DELETE, {"tenant_id": uow.tenant_id, "id": script_id})


async def insert_version(uow: UnitOfWork, values: Mapping[str, Any]) -> None:
    await uow.execute(_INSERT_VERSION, {**values, "tenant_id": uow.tenant_id, "now": uow.now})


async def find_version(uow: UnitOfWork, script_id: UUID, number: int) -> Row[Any] | None:
    values = {"tenant_id": uow.tenant_id, "script_id": script_id, "number": number}
    return (await uow.execute(_FIND_VERSION, values)).one_or_none()


async def list_versions(uow: UnitOfWork, script_id: UUID, cursor: str | None, limit: int) -> Page:
    return await _LIST_VERSIONS.page(uow, {"script_id": script_id}, cursor, limit)


async def latest_ready(uow: UnitOfWork, script_id: UUID) -> int | None:
    """Return the highest number of a version that passed its check."""
    found = (await uow.execute(_LATEST_READY, {"tenant_id": uow.tenant_id, "script_id": script_id})).scalar_one()
    return None if found is None else int(found)


async def set_version_state(
    uow: UnitOfWork, script_id: UUID, number: int, state: str, faults: Sequence[Mapping[str, Any]]
) -> None:
    values = {"script_id": script_id, "number": number, "state": state, "faults": to_json(faults)}
    await uow.execute(_SET_VERSION_STATE, {"tenant_id": uow.tenant_id, **values})


async def count_failure(uow: UnitOfWork, script_id: UUID) -> Row[Any] | None:
    """Count one more failed attempt in a row and hold the script's row."""
    row = (await uow.execute(_COUNT_FAILURE, {"tenant_id": uow.tenant_id, "id": script_id})).one_or_none()
    if row is not None:
        uow.hold("script", row.id, row.version)
    return row


def _json(values: Mapping[str, Any]) -> dict[str, str]:
    return {"triggers": to_json(values["triggers"])}
