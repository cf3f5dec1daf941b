"""The SQL of what scripts keep, of secrets and limits."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from rustok.db.engine import to_json
from rustok.db.pages import Listing, Page
from rustok.db.unit_of_work import UnitOfWork

_VALUE = "key, value, version, expires_at, updated_at"
_ALIVE = "(expires_at IS NULL OR expires_at > :now)"
_OF_SCRIPT = "tenant_id = :tenant_id AND script_id = :script_id"

_FIND_VALUE = text(f"SELECT {_VALUE} FROM script_values WHERE {_OF_SCRIPT} AND key = :key AND {_ALIVE}")
_LIST_VALUES = Listing(
    "alloy.kv", f"SELECT {_VALUE} FROM script_values WHERE {_OF_SCRIPT} AND {_ALIVE}", key="key", key_type="text"
)
_COUNT_VALUES = text(f"SELECT count(*) FROM script_values WHERE {_OF_SCRIPT} AND {_ALIVE}")
_LOCK_VALUE = text(
    f"""
    SELECT CASE WHEN {_ALIVE} THEN version ELSE 0 END AS version FROM script_values
     WHERE {_OF_SCRIPT} AND key = :key FOR UPDATE
    """
)
_SET_VALUE = text(
    f"""
    INSERT INTO script_values (tenant_id, script_id, key, value, version, expires_at, updated_at)
    VALUES (:tenant_id, :script_id, :key, CAST(:value AS jsonb), nextval('script_value_versions'),
            CAST(:now AS timestamptz) + make_interval(secs => CAST(:ttl_s AS integer)), :now)
        ON CONFLICT (tenant_id, script_id, key)
        DO UPDATE SET value = excluded.value, version = excluded.version,
                      expires_at = excluded.expires_at, updated_at = excluded.updated_at
             WHERE CAST(:is_new AS boolean) IS NOT TRUE OR script_values.expires_at <= :now
    RETURNING {_VALUE}
    """
)
_DELETE_VALUE = text(f"DELETE FROM script_values WHERE {_OF_SCRIPT} AND key = :key")
_FIND_DATA_KEY = text("SELECT wrapped_key FROM script_data_keys WHERE tenant_id = :tenant_id")
_INSERT_DATA_KEY = text(
    "INSERT INTO script_data_keys (tenant_id, wrapped_key) VALUES (:tenant_id, :wrapped_key) ON CONFLICT DO NOTHING"
)
_REPLACE_DATA_KEY = text("UPDATE script_data_keys SET wrapped_key = :wrapped_key WHERE tenant_id = :tenant_id")
_LOCK_SECRET = text("SELECT version FROM script_secrets WHERE tenant_id = :tenant_id AND name = :name FOR UPDATE")
_NEXT_VERSION = text("SELECT nextval('script_value_versions')")
_SET_SECRET = text(
    """
    INSERT INTO script_secrets (tenant_id, name, sealed, version, updated_at)
    VALUES (:tenant_id, :name, :sealed, :version, :now)
        ON CONFLICT (tenant_id, name)
        DO UPDATE SET sealed = excluded.sealed, version = excluded.version, updated_at = excluded.updated_at
             WHERE NOT CAST(:is_new AS boolean)
    """
)
_DELETE_SECRET = text("DELETE FROM script_secrets WHERE tenant_id = :tenant_id AND name = :name")
_LIST_SECRETS = Listing(
    "alloy.secrets",
    "SELECT name, version, updated_at FROM script_secrets WHERE tenant_id = :tenant_id",
    key="name",
    key_type="text",
)
_FIND_SECRET = text("SELECT sealed, version FROM script_secrets WHERE tenant_id = :tenant_id AND name = :name")
_FIND_LIMITS = text("SELECT limits FROM script_limits WHERE tenant_id = :tenant_id")
_SET_LIMITS = text(
    """
    INSERT INTO script_limits (tenant_id, limits, booked_until) VALUES (:tenant_id, CAST(:limits AS jsonb), :now)
        ON CONFLICT (tenant_id) DO UPDATE SET limits = excluded.limits
    """
)


async def find_value(uow: UnitOfWork, script_id: UUID, key: str) -> Row[Any] | None:
    return (await uow.execute(_FIND_VALUE, _at(uow, script_id, key=key))).one_or_none()


async def list_values(uow: UnitOfWork, script_id: UUID, cursor: str | None, limit: int) -> Page:
    return await _LIST_VALUES.page(uow, {"script_id": script_id}, cursor, limit)


async def count_values(uow: UnitOfWork, script_id: UUID) -> int:
    return int((await uow.execute(_COUNT_VALUES, _at(uow, script_id))).scalar_one())


async def lock_value(uow: UnitOfWork, script_id: UUID, key: str) -> int:
    """Hold a value and return its version; 0 where there is none, or none any more."""
    row = (await uow.execute(_LOCK_VALUE, _at(uow, script_id, key=key))).one_or_none()
    return 0 if row is None else int(row.version)


async def set_value(
    uow: UnitOfWork, script_id: UUID, key: str, value: Any, ttl_s: int | None, *, is_new: bool
) -> Row[Any] | None:
    """Write a value; None: it was to be a new one, and somebody has written one meanwhile."""
    values = {"key": key, "value": to_json(value), "ttl_s": ttl_s, "is_new": is_new}
    return (await uow.execute(_SET_VALUE, _at(uow, script_id, **values))).one_or_none()


async def delete_value(uow: UnitOfWork, script_id: UUID, key: str) -> bool:
    return (await uow.execute(_DELETE_VALUE, _at(uow, script_id, key=key))).rowcount > 0


async def find_data_key(uow: UnitOfWork) -> bytes | None:
    """Return the tenant's data key as it is stored, wrapped."""
    row = (await uow.execute(_FIND_DATA_KEY, {"tenant_id": uow.tenant_id})).one_or_none()
    return None if row is None else bytes(row.wrapped_key)


async def insert_data_key(uow: UnitOfWork, wrapped_key: bytes) -> None:
    """Keep a data key, unless the tenant has one by now."""
    await uow.execute(_INSERT_DATA_KEY, {"tenant_id": uow.tenant_id, "wrapped_key": wrapped_key})


async def replace_data_key(uow: UnitOfWork, wrapped_key: bytes) -> None:
    """Keep another data key than the tenant's, with which nothing can be read any more."""
    await uow.execute(_REPLACE_DATA_KEY, {"tenant_id": uow.tenant_id, "wrapped_key": wrapped_key})


async def lock_secret(uow: UnitOfWork, name: str) -> int:
    """Hold a secret and return its version; 0 where there is none."""
    row = (await uow.execute(_LOCK_SECRET, {"tenant_id": uow.tenant_id, "name": name})).one_or_none()
    return 0 if row is None else int(row.version)


async def next_version(uow: UnitOfWork) -> int:
    """Return a version that nothing a script keeps has had: what is deleted and made anew has another one."""
    return int((await uow.execute(_NEXT_VERSION)).scalar_one())


async def set_secret(uow: UnitOfWork, values: Mapping[str, Any], *, is_new: bool) -> bool:
    """Keep a secret; False: it was to be a new one, and somebody has set one meanwhile."""
    values = {"tenant_id": uow.tenant_id, "now": uow.now, "is_new": is_new, **values}
    return (await uow.execute(_SET_SECRET, values)).rowcount > 0


async def delete_secret(uow: UnitOfWork, name: str) -> bool:
    return (await uow.execute(_DELETE_SECRET, {"tenant_id": uow.tenant_id, "name": name})).rowcount > 0


async def list_secrets(uow: UnitOfWork, cursor: str | None, limit: int) -> Page:
    return await _LIST_SECRETS.page(uow, {}, cursor, limit)


async def find_secret(uow: UnitOfWork, name: str) -> Row[Any] | None:
    return (await uow.execute(_FIND_SECRET, {"tenant_id": uow.tenant_id, "name": name})).one_or_none()


async def find_limits(uow: UnitOfWork) -> Mapping[str, Any] | None:
    row = (await uow.execute(_FIND_LIMITS, {"tenant_id": uow.tenant_id})).one_or_none()
    return None if row is None else row.limits


async def set_limits(uow: UnitOfWork, limits: Mapping[str, Any]) -> None:
    await uow.execute(_SET_LIMITS, {"tenant_id": uow.tenant_id, "limits": to_json(limits), "now": uow.now})


def _at(uow: UnitOfWork, script_id: UUID, **values: Any) -> dict[str, Any]:
    return {"tenant_id": uow.tenant_id, "script_id": script_id, "now": uow.now, **values}
