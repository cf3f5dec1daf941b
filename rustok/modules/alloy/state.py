"""The rules of what scripts keep, of secrets and of limits."""

import secrets
from uuid import UUID

from rustok.db.unit_of_work import ABSENT, UnitOfWork
from rustok.kernel.errors import VersionMismatch
from rustok.modules.alloy import cipher, errors, repository, schemas, state_repository
from rustok.modules.alloy.limits import ScriptLimits, SetLimits
from rustok.modules.alloy.schemas import Value

USE_SECRETS = "alloy.secrets.use"
"""What the owner of a script needs for its secrets, and whoever decides about such a script."""

_KEY_BYTES = 32
_KEK = "script-secrets"


async def get_value(uow: UnitOfWork, data: schemas.GetValue) -> Value:
    """Return what a script keeps under a key."""
    row = await state_repository.find_value(uow, data.script_id, data.key)
    if row is None:
        raise _no_value()
    return Value(**row._mapping)


async def list_values(uow: UnitOfWork, data: schemas.ListValues) -> schemas.ValuePage:
    """Return what a script keeps, by key."""
    page = await state_repository.list_values(uow, data.script_id, data.after, data.limit)
    return schemas.ValuePage(data=[Value(**row._mapping) for row in page.rows], page=page.links)


async def set_value(uow: UnitOfWork, data: schemas.SetValue) -> Value:
    """Write a value.

    Raises:
        VersionMismatch: it is not at the expected version, or not absent any more (expected 0).
        QuotaExceeded: the script keeps too many values, or the value is too large.

    """
    if await repository.find_script(uow, data.script_id) is None:
        raise errors.ScriptNotFound("There is no such script.")
    limits = await limits_of(uow)
    if len(data.model_dump_json(include={"value"}).encode()) > limits.value_bytes:
        raise errors.QuotaExceeded(f"A value has at most {limits.value_bytes} bytes as JSON.")
    stored = await state_repository.lock_value(uow, data.script_id, data.key)
    uow.compare(stored, "value")
    if data.expected_version is not None and stored != data.expected_version:
        raise _changed(f"value {data.key}")
    if not stored and await state_repository.count_values(uow, data.script_id) >= limits.values_a_script:
        raise errors.QuotaExceeded(f"The script keeps {limits.values_a_script} values: delete some, or set a ttl_s.")
    is_new = uow.expects_absence or data.expected_version == ABSENT
    row = await state_repository.set_value(uow, data.script_id, data.key, data.value, data.ttl_s, is_new=is_new)
    if row is None:
        raise _changed(f"value {data.key}")
    return Value(**row._mapping)


async def delete_value(uow: UnitOfWork, data: schemas.ValueReference) -> schemas.DeletedValue:
    """Forget a value."""
    stored = await state_repository.lock_value(uow, data.script_id, data.key)
    if not stored:
        raise _no_value()
    uow.compare(stored, "value")
    await state_repository.delete_value(uow, data.script_id, data.key)
    return schemas.DeletedValue(key=data.key)


async def drop_value(uow: UnitOfWork, script_id: UUID, key: str, expected_version: int | None) -> None:
    """Forget a value, if there is one. Raises VersionMismatch when it is not at the expected version."""
    if expected_version is not None and await state_repository.lock_value(uow, script_id, key) != expected_version:
        raise _changed(f"value {key}")
    await state_repository.delete_value(uow, script_id, key)


async def set_secret(uow: UnitOfWork, data: schemas.SetSecret) -> schemas.Secret:
    """Keep a secret, encrypted; nobody but scripts that name it will see it again."""
    data_key = await _readable_data_key(uow)
    uow.compare(await state_repository.lock_secret(uow, data.name), "secret")
    version = await state_repository.next_version(uow)
    sealed = cipher.seal(data_key, uow.tenant_id, data.name, version, data.value)
    values = {"name": data.name, "sealed": sealed, "version": version}
    if not await state_repository.set_secret(uow, values, is_new=uow.expects_absence):
        raise _changed(f"secret {data.name}")
    return schemas.Secret(name=data.name, version=version, updated_at=uow.now)


async def list_secrets(uow: UnitOfWork, data: schemas.ListSecrets) -> schemas.SecretPage:
    """Return the names of the tenant's secrets."""
    page = await state_repository.list_secrets(uow, data.after, data.limit)
    return schemas.SecretPage(data=[schemas.Secret(**row._mapping) for row in page.rows], page=page.links)


async def delete_secret(uow: UnitOfWork, data: schemas.SecretReference) -> schemas.DeletedSecret:
    """Forget a secret for good."""
    stored = await state_repository.lock_secret(uow, data.name)
    if not stored:
        raise errors.SecretNotFound("There is no such secret.")
    uow.compare(stored, "secret")
    await state_repository.delete_secret(uow, data.name)
    return schemas.DeletedSecret(name=data.name)


async def open_secret(uow: UnitOfWork, name: str) -> str:
    """Return the text of a secret, for a script's run.

    Raises:
        SecretNotFound: there is none of this name, or it cannot be deciphered with this platform's secret.

    """
    row = await state_repository.find_secret(uow, name)
    if row is None:
        raise errors.SecretNotFound(f"The tenant has no secret {name}.")
    try:
        data_key = await _data_key(uow)
        return cipher.open_sealed(data_key or b"", uow.tenant_id, name, row.version, bytes(row.sealed))
    except cipher.Undecipherable as error:
        raise errors.SecretNotFound(f"The secret {name} was kept with another RUSTOK_SECRET: set it again.") from error


async def get_limits(uow: UnitOfWork, _data: schemas.GetLimits) -> ScriptLimits:
    """Return what the scripts of the tenant may use."""
    return await limits_of(uow)


async def set_limits(uow: UnitOfWork, data: SetLimits) -> ScriptLimits:
    """Set what the scripts of the tenant may use, less or more than by default."""
    await state_repository.set_limits(uow, data.model_dump(exclude_unset=True))
    return await limits_of(uow)


async def limits_of(uow: UnitOfWork) -> ScriptLimits:
    return ScriptLimits(**(await state_repository.find_limits(uow) or {}))


async def _data_key(uow: UnitOfWork) -> bytes | None:
    wrapped = await state_repository.find_data_key(uow)
    return None if wrapped is None else cipher.unwrap_key(_kek(uow), uow.tenant_id, wrapped)


async def _readable_data_key(uow: UnitOfWork) -> bytes:
    """Return the tenant's data key. It is made by the first who needs it, and made anew when RUSTOK_SECRET was changed:
    what was kept with the old one is lost by then.
    """
    fresh = cipher.wrap_key(_kek(uow), uow.tenant_id, secrets.token_bytes(_KEY_BYTES))
    await state_repository.insert_data_key(uow, fresh)
    try:
        data_key = await _data_key(uow)
    except cipher.Undecipherable:
        await state_repository.replace_data_key(uow, fresh)
        data_key = await _data_key(uow)
    return data_key or b""


def _kek(uow: UnitOfWork) -> bytes:
    """Return the key that wraps data keys: a new RUSTOK_SECRET makes what is kept unreadable."""
    return uow.secrets.keyed_hash(_KEK, b"")


def _changed(what: str) -> VersionMismatch:
    return VersionMismatch(f"The {what} was changed meanwhile: read it again.")


def _no_value() -> errors.ValueNotFound:
    return errors.ValueNotFound("The script keeps nothing under this key.")
