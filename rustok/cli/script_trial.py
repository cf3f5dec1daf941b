"""A trial of a script: a run with real reads whose effects are applied, looked at, and rolled back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from rustok.bootstrap import Platform
from rustok.cli.script_show import json_diff
from rustok.cli.tenancy import rolled_back
from rustok.db.unit_of_work import UnitOfWork
from rustok.dispatch import validate
from rustok.events.memory import MemoryTransport
from rustok.kernel.context import Context
from rustok.kernel.errors import Conflict, InvalidInput, NotFound
from rustok.kernel.event import Envelope
from rustok.kernel.module import Command, Query
from rustok.kernel.registry import Registry, placeholders
from rustok.kernel.transport import Transaction
from rustok.modules.access import rights_of
from rustok.modules.alloy import EffectRefused, Host, apply_effects
from rustok.modules.alloy.effects import Apply
from rustok.sandbox.cage import Cage
from rustok.sandbox.contract import Outcome
from rustok.scripting import ScriptRun, commands_of, script_principal

_VALUE = "alloy.kv.get"
_VALUE_EFFECTS = ("kv.set", "kv.delete")


@dataclass(frozen=True, slots=True)
class Change:
    """A thing before and after; None: it was not, or is not any more."""

    what: str
    before: Any
    after: Any

    @property
    def diff(self) -> list[str]:
        return json_diff(self.before, self.after, f"{self.what} before", "after")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of a run, without the secrets that the hook has seen."""

    outcome: Outcome
    refused: str | None = None
    """Why the effects could not have been applied."""
    changes: Sequence[Change] = ()
    events: Sequence[Mapping[str, Any]] = ()
    """What would have been published: type, aggregate_id, payload."""


async def try_run(platform: Platform, cage: Cage, run: ScriptRun, bytecode: bytes, context: Context) -> Trial:
    """Run a hook under its script's own rights; *context* is that of whoever tries it. Nothing is written.

    Raises:
        SandboxUnavailable: as `Cage.run` does.
        RustokError: a server failed, or what the hook read was changed meanwhile.

    """
    own = await _own_context(platform, run, context)
    host = run.host(platform, own)
    outcome = await run.caged(cage, bytecode, host)
    if outcome.fault is not None:
        return Trial(outcome=_masked(outcome, host))
    return await _applied(platform, run, outcome, host, own)


async def _own_context(platform: Platform, run: ScriptRun, context: Context) -> Context:
    async with platform.units.begin(context, read_only=True) as uow:
        rights = await rights_of(uow, run.script.owner, platform.registry.permissions.values())
    principal = script_principal(run.script.id, run.script.grants, rights)
    return Context(tenant_id=run.tenant_id, principal=principal, causation_id=run.id)


async def _applied(platform: Platform, run: ScriptRun, outcome: Outcome, host: Host, context: Context) -> Trial:
    shown, heard = _masked(outcome, host), _Heard()
    try:
        async with rolled_back(platform.units, context) as uow:
            watch = _Watch(uow, platform.registry)
            for effect in outcome.effects:
                if effect["effect"] in _VALUE_EFFECTS:
                    key = {"script_id": str(run.script.id), "key": effect["key"]}
                    await watch.see(_VALUE, key, f"kv {effect['key']}")
            apply = watch.watching(commands_of(platform.dispatcher))
            await apply_effects(uow, outcome.effects, run.effects(host.seen), platform.registry, apply)
            await uow.flush(heard)  # what waits for the commit may still be refused
            changes = await watch.changes()
    except (EffectRefused, Conflict) as error:
        return Trial(outcome=shown, refused=host.masked(str(error)))
    return Trial(
        outcome=shown,
        changes=[Change(c.what, host.masked(c.before), host.masked(c.after)) for c in changes],
        events=[
            {"type": e.type, "aggregate_id": str(e.aggregate_id), "payload": host.masked(e.payload)}
            for e in heard.events
        ],
    )


class _Seen(NamedTuple):
    query: Query
    arguments: Mapping[str, Any]
    what: str
    before: Any


class _Watch:
    """Reads things through their queries before they are touched, and again at the end."""

    def __init__(self, uow: UnitOfWork, registry: Registry) -> None:
        self._uow = uow
        self._registry = registry
        self._seen: dict[str, _Seen] = {}

    def watching(self, apply: Apply) -> Apply:
        """Return *apply*, which now looks at what a command is about before it runs, or at what it has made."""

        async def watched(uow: UnitOfWork, command: Command, fields: Mapping[str, Any], expected: int | None) -> object:
            query = self._reader(command)
            if query is None:
                return await apply(uow, command, fields, expected)
            [name] = placeholders(query.route)
            if name in fields:
                what = f"{query.name.removesuffix('.get')} {fields[name]}"
                await self.see(query.name, {name: str(fields[name])}, what)
                return await apply(uow, command, fields, expected)
            made = await apply(uow, command, fields, expected)
            if new_id := getattr(made, "id", None):
                what = f"{query.name.removesuffix('.get')} {new_id}"
                self._seen.setdefault(what, _Seen(query, {name: str(new_id)}, what, None))
            return made

        return watched

    async def see(self, query_name: str, arguments: Mapping[str, Any], what: str) -> None:
        if what not in self._seen:
            query = self._registry.queries[query_name]
            self._seen[what] = _Seen(query, arguments, what, await self._read(query, arguments))

    async def changes(self) -> list[Change]:
        """Return what differs now."""
        found = [Change(s.what, s.before, await self._read(s.query, s.arguments)) for s in self._seen.values()]
        return [change for change in found if change.before != change.after]

    def _reader(self, command: Command) -> Query | None:
        """Return the query that reads what *command* is about: that of its kind, or of what its route begins with."""
        kind, module = command.name.rpartition(".")[0], command.name.partition(".")[0]
        own = self._registry.queries.get(f"{kind}.get")
        if own is not None and len(placeholders(own.route)) == 1:
            return own
        root = placeholders(command.route or "")[:1]
        for name, query in self._registry.queries.items():
            if root and name.startswith(f"{module}.") and name.endswith(".get") and placeholders(query.route) == root:
                return query
        return None

    async def _read(self, query: Query, arguments: Mapping[str, Any]) -> Any:
        try:
            data = validate(query.input, arguments, strict=False)
            return (await query.handler(self._uow, data)).model_dump(mode="json")
        except (InvalidInput, NotFound):
            return None


class _Heard(MemoryTransport):
    """Listens to what a transaction publishes, though it will not commit."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Envelope] = []

    async def publish(self, _transaction: Transaction, events: Sequence[Envelope]) -> None:
        self.events += events


def _masked(outcome: Outcome, host: Host) -> Outcome:
    fault = outcome.fault
    return replace(
        outcome,
        result=host.masked(outcome.result),
        effects=host.masked(outcome.effects),
        logs=host.masked(outcome.logs),
        fault=replace(fault, message=host.masked(fault.message)) if fault else None,
    )
