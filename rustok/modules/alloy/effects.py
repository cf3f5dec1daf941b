"""What a run wanted done becomes commands, values, calls and events, all of them or none, under the script's rights."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from rustok.db.unit_of_work import UnitOfWork
from rustok.egress import METHODS
from rustok.jobs import NewJob, enqueue
from rustok.kernel.errors import InvalidInput, RustokError, VersionMismatch
from rustok.kernel.module import Command
from rustok.kernel.registry import Registry, placeholders
from rustok.modules.alloy import schemas, state
from rustok.modules.alloy.events import RunEmitted
from rustok.modules.alloy.host import Seen
from rustok.modules.alloy.kinds import CALL
from rustok.modules.alloy.limits import ScriptLimits


class EffectRefused(Exception):
    """One of the effects may not or cannot be, by the error *code*; so none of them is. `place` counts from 1."""

    def __init__(self, place: int, what: str, code: str, message: str) -> None:
        super().__init__(f"Effect {place}, {what}: {code}: {message}")
        self.code = code


Apply = Callable[[UnitOfWork, Command, Mapping[str, Any], int | None], Awaitable[object]]
"""Runs a command, with these fields and this expected version, in the transaction of a unit of work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectsOf:
    """The run whose effects they are."""

    run_id: UUID
    script_id: UUID
    seen: Seen
    secrets: frozenset[str]
    limits: ScriptLimits
    is_requested: bool
    """Somebody asked for the run: that was the first event of its aggregate."""


async def apply_effects(
    uow: UnitOfWork, effects: Sequence[Mapping[str, Any]], run: EffectsOf, registry: Registry, apply: Apply
) -> Sequence[Mapping[str, Any]]:
    """Do what the run wanted, in the transaction of *uow*, which has to be rolled back when this raises.

    Returns the effects, those that will be sent with their `operation_id`.

    Raises:
        VersionMismatch: what the run has read was changed meanwhile; it should run again.
        EffectRefused: an effect is not one, or the script may not do this, or the platform refuses it.

    """
    work = _Effects(uow, run, registry, apply)
    done = []
    for place, effect in enumerate(effects, 1):
        what = str(effect.get("name") or effect.get("kind") or effect.get("effect"))
        try:
            done.append({**effect, **await work.do(effect)})
        except VersionMismatch:
            raise
        except InvalidInput as error:
            faults = "; ".join(f"{v.pointer}: {v.detail}" for v in error.violations)
            raise EffectRefused(place, what, error.code, f"{error} {faults}".strip()) from error
        except RustokError as error:
            if error.retryable:
                raise
            raise EffectRefused(place, what, error.code, str(error)) from error
        except (ValidationError, TypeError, KeyError, ValueError, AttributeError) as error:
            raise EffectRefused(place, what, "invalid_effect", "it is not of the shape that ctx makes") from error
    return done


class _Effects:
    def __init__(self, uow: UnitOfWork, run: EffectsOf, registry: Registry, apply: Apply) -> None:
        self._uow = uow
        self._run = run
        self._registry = registry
        self._apply = apply
        # A copy: effects may be applied again. What follows a write in the same run builds on it, not on what was read.
        self._seen = dict(run.seen.values)
        self._calls = 0
        self._is_held = False

    async def do(self, effect: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do one effect and return what is to be told of it besides."""
        kind, fields = effect["effect"], {name: value for name, value in effect.items() if name != "effect"}
        doing: Mapping[str, Callable[..., Awaitable[Mapping[str, Any] | None]]] = {
            "command": self._command,
            "create": self._create,
            "update": self._update,
            "delete": self._delete,
            "emit": self._emit,
            "kv.set": self._set_value,
            "kv.delete": self._delete_value,
            "http": self._call,
        }
        if kind not in doing:
            raise InvalidInput(f"There is no effect {kind!r}.")
        return await doing[kind](**fields) or {}

    async def _command(self, name: str, input: Mapping[str, Any]) -> None:  # noqa: A002 - the hook's word
        command = self._find(name)
        names = placeholders(command.route or "")
        root = str(input.get(names[0])) if names else ""
        await self._apply(self._uow, command, input, self._run.seen.versions.get(root))
        await self._uow.insert_staged()  # a conflict is this effect's, not that of whatever comes next

    async def _create(self, kind: str, fields: Mapping[str, Any]) -> None:
        await self._command(f"{kind}.create", fields)

    async def _update(self, kind: str, id: str, changes: Mapping[str, Any]) -> None:  # noqa: A002
        await self._command(f"{kind}.update", {**changes, self._id_field(f"{kind}.update"): id})

    async def _delete(self, kind: str, id: str) -> None:  # noqa: A002
        await self._command(f"{kind}.delete", {self._id_field(f"{kind}.delete"): id})

    async def _emit(self, name: str, data: Mapping[str, Any]) -> None:
        if not self._is_held:
            self._uow.hold("run", self._run.run_id, version=int(self._run.is_requested))
            self._is_held = True
        event = RunEmitted(script_id=self._run.script_id, name=name, data=dict(data))
        self._uow.emit(event, self._run.run_id)

    async def _set_value(self, key: str, value: Any, ttl_s: int | None) -> None:
        seen = self._seen.pop(key, None)
        data = schemas.SetValue(script_id=self._run.script_id, key=key, value=value, ttl_s=ttl_s, expected_version=seen)
        await state.set_value(self._uow, data)

    async def _delete_value(self, key: str) -> None:
        seen = self._seen.pop(key, None)
        await state.drop_value(self._uow, self._run.script_id, key, seen)

    async def _call(self, method: str, url: str, headers: Any, json: Any, secret_headers: Any) -> Mapping[str, Any]:
        self._calls += 1
        if self._calls > self._run.limits.calls_a_run:
            raise InvalidInput(f"A run sends at most {self._run.limits.calls_a_run} requests.")
        if method not in METHODS:
            raise InvalidInput(f"The method is one of {', '.join(sorted(METHODS))}.")
        secrets = _texts(secret_headers, "secret_headers")
        unknown = sorted(set(secrets.values()) - self._run.secrets)
        if unknown:
            raise InvalidInput(f"The script does not name {', '.join(unknown)} among its secrets.")
        args = {
            "script_id": self._run.script_id,
            "run_id": self._run.run_id,
            "method": method,
            "url": str(url),
            "headers": _texts(headers, "headers"),
            "json": json,
            "secret_headers": secrets,
        }
        job = NewJob(kind=CALL, args=args)
        await enqueue(self._uow, [job])
        return {"operation_id": str(job.id)}

    def _find(self, name: str) -> Command:
        command = self._registry.commands.get(name)
        if command is None:
            raise InvalidInput(f"There is no command {name}.")
        if command.is_secret:
            raise InvalidInput(
                f"{name} takes or tells a secret, and what a script does is kept: it is not for scripts."
            )
        return command

    def _id_field(self, name: str) -> str:
        names = placeholders(self._find(name).route or "")
        if not names:
            raise InvalidInput(f"{name} does not name its object by an id: use ctx.command.")
        return names[0]


def _texts(mapping: Any, what: str) -> dict[str, str]:
    if mapping is None:
        return {}
    if not isinstance(mapping, Mapping) or not all(isinstance(v, str) for v in mapping.values()):
        raise InvalidInput(f"{what} maps texts to texts.")
    return dict(mapping)
