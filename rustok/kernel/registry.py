"""Checks once, at boot, that the modules add up, and finds what they declare by name."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import ValidationError

from rustok.kernel.errors import Misconfigured
from rustok.kernel.event import Envelope, Event, matches, schema_name, schema_uri
from rustok.kernel.event_faults import event_faults, first_of
from rustok.kernel.module import Command, JobKind, Module, ModuleKind, Projection, Query, Subscription
from rustok.kernel.permission import NAME as PERMISSION_NAME
from rustok.kernel.permission import Permission, module_name

_ROUTE = re.compile(r"(GET|POST|PUT|PATCH|DELETE)( /[^ ]*)?")
_ACCEPTED = 202
_PLACEHOLDER = re.compile(r"{([a-z_]+)}")


@dataclass(frozen=True, slots=True)
class Registry:
    """What a platform of these modules can do. Build it with `build_registry`."""

    modules: tuple[Module, ...]
    commands: Mapping[str, Command]
    queries: Mapping[str, Query]
    events: Mapping[tuple[str, int], type[Event]]
    projections: Mapping[str, Projection]
    subscriptions: Mapping[str, Subscription]
    jobs: Mapping[str, JobKind]
    permissions: Mapping[str, Permission]

    def module_of(self, name: str) -> Module:
        """Return the module that a command, query, event or permission name belongs to."""
        return next(module for module in self.modules if module.name == module_name(name))

    def needed_module(self, operation: Command | Query) -> str:
        """Return the module without which *operation* has no use: the one whose index it reads, or its own."""
        if isinstance(operation, Query) and operation.reads is not None:
            return next(module_name(p.name) for p in self.projections.values() if p.table == operation.reads)
        return module_name(operation.name)

    def consumed(self) -> Mapping[str, tuple[str, ...]]:
        """Return what each consumer, projection or subscription, wants to see, by its name."""
        consumers: list[Projection | Subscription] = [*self.projections.values(), *self.subscriptions.values()]
        return {consumer.name: consumer.subscribes for consumer in consumers}

    def validate_event(self, event_type: str, version: int, payload: Mapping[str, Any]) -> Event:
        """Return the payload as its event class.

        Raises:
            KeyError: no module declares this type and version.
            pydantic.ValidationError: the payload does not fit it.

        """
        return self.events[event_type, version].model_validate(payload)

    def upcast(self, event: Envelope) -> Envelope:
        """Return *event* in the newest version of its type; one that is not declared here stays as it is.

        Raises:
            Exception: an `upcast` cannot make anything of this payload.

        """
        while newer := self.events.get((event.type, event.schema_version + 1)):
            event = replace(event, schema_version=newer.version, payload=newer.upcast(event.payload))
        return event

    def known_events(self) -> frozenset[str]:
        """Return the names of the types and versions that are declared, as `Envelope.schema` has them."""
        return frozenset(schema_name(*key) for key in self.events)

    def newest(self, event_type: str) -> type[Event]:
        """Return the newest version of a type. Raises ValueError where there is no such type."""
        versions = [event for event in self.events.values() if event.type == event_type]
        return max(versions, key=lambda event: event.version)

    def event_schemas(self) -> dict[str, dict[str, Any]]:
        """Return a JSON Schema (2020-12) for each event, keyed `type.vN`."""
        return {
            (name := schema_name(event_type, version)): {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$id": schema_uri(name),
                **event.model_json_schema(),
                "examples": [dict(event.example)],
            }
            for (event_type, version), event in self.events.items()
        }


def build_registry(modules: Sequence[Module]) -> Registry:
    """Return the registry of *modules*, in dependency order.

    Raises:
        Misconfigured: the platform does not add up; the message lists every fault and its fix.

    """
    faults = list(_faults(modules))
    if faults:
        raise Misconfigured("The modules do not add up:\n- " + "\n- ".join(faults))
    by_name = {module.name: module for module in modules}
    order = TopologicalSorter({module.name: module.depends_on for module in modules}).static_order()
    return Registry(
        modules=tuple(by_name[name] for name in order),
        commands={command.name: command for module in modules for command in module.commands},
        queries={query.name: query for module in modules for query in module.queries},
        events={(event.type, event.version): event for module in modules for event in module.events},
        projections={p.name: p for module in modules for p in module.projections},
        subscriptions={s.name: s for module in modules for s in module.subscriptions},
        jobs={kind.name: kind for module in modules for kind in module.jobs},
        permissions={p.name: p for module in modules for p in module.permissions},
    )


def placeholders(route: str) -> tuple[str, ...]:
    """Return the names between braces in a route, in order."""
    return tuple(_PLACEHOLDER.findall(route))


def _faults(modules: Sequence[Module]) -> Iterator[str]:
    names = [module.name for module in modules]
    yield from _duplicates("modules", names)
    yield from _dependency_faults(modules)
    yield from _duplicates("commands or queries", [o.name for m in modules for o in _operations(m)])
    yield from _duplicates("events", [f"{e.type} v{e.version}" for m in modules for e in m.events])
    yield from _duplicates("projections or subscriptions", [c.name for m in modules for c in _consumers(m)])
    yield from _duplicates("job kinds", [kind.name for m in modules for kind in m.jobs])
    yield from _duplicates("permissions", [p.name for m in modules for p in m.permissions])
    yield from _duplicates("tables", [table for m in modules for table in m.tables])
    yield from _duplicates("routes", [r for m in modules for r in _routes(m)])
    published = {event.type for module in modules for event in module.events}
    for module in modules:
        yield from _module_faults(module, published)
    yield from _deprecation_faults([o for m in modules for o in _operations(m)])
    written = {projection.table for module in modules for projection in module.projections}
    for query in (query for module in modules for query in module.queries):
        if query.reads is not None and query.reads not in written:
            yield f"{query.name} reads {query.reads}, which no projection writes"


def _dependency_faults(modules: Sequence[Module]) -> Iterator[str]:
    kinds = {module.name: module.kind for module in modules}
    for module in modules:
        for needed in module.depends_on:
            if needed not in kinds:
                yield f"{module.name} depends on {needed}, which is not in the catalog: add it or drop the dependency"
            elif kinds[needed] is ModuleKind.EXTENSION:
                yield f"{module.name} depends on {needed}, an extension, which must stay removable: use its events"
    try:
        TopologicalSorter({module.name: module.depends_on for module in modules}).prepare()
    except CycleError as error:
        yield f"the modules depend on each other in a circle, {' -> '.join(error.args[1])}: break it with an event"


def _module_faults(module: Module, published: set[str]) -> Iterator[str]:
    own = module.name + "."
    permissions = {p.name for p in module.permissions}
    for name in permissions:
        if not PERMISSION_NAME.fullmatch(name) or not name.startswith(own):
            yield f"permission {name} of {module.name} must read {own}<entity>.<action>"
    yield from event_faults(module.name, module.events)
    for operation in _operations(module):
        if not operation.name.startswith(own):
            yield f"{operation.name} must be named {own}<entity>.<action>"
        if operation.permission not in permissions:
            yield f"{operation.name} wants {operation.permission}, which {module.name} does not declare"
        yield from _route_faults(operation)
    ownable = {p.name for p in module.permissions if p.may_be_own}
    for query in module.queries:
        if query.permission in ownable:
            yield f"{query.name} is a query: {query.permission} may hold for one's own alone, which only commands heed"
    for consumer in _consumers(module):
        yield from _consumer_faults(module, consumer, published)
    yield from _job_faults(module)
    if module.kind is ModuleKind.WRAPPER and module.tables:
        yield f"{module.name} is a wrapper and may not own tables: {', '.join(module.tables)}"


def _consumer_faults(module: Module, consumer: Projection | Subscription, published: set[str]) -> Iterator[str]:
    kind = type(consumer).__name__.lower()
    if not consumer.name.startswith(module.name + "."):
        yield f"{kind} {consumer.name} must be named {module.name}.<what>"
    for pattern in consumer.subscribes:
        if not any(matches(pattern, event_type) for event_type in published):
            yield f"{kind} {consumer.name} subscribes to {pattern}, which no module publishes"


def _job_faults(module: Module) -> Iterator[str]:
    for kind in module.jobs:
        if not kind.name.startswith(module.name + "."):
            yield f"job kind {kind.name} must be named {module.name}.<what>"
    for command in module.commands:
        if command.status == _ACCEPTED and "operation_id" not in command.result.model_fields:
            yield f"{command.name} answers 202, but its result has no operation_id"


def _route_faults(operation: Command | Query) -> Iterator[str]:
    if operation.route is None:
        return
    if not _ROUTE.fullmatch(operation.route):
        yield f"{operation.name} has the route {operation.route!r}, which must read `METHOD /path`, or `METHOD` alone"
    for name in placeholders(operation.route):
        if name not in operation.input.model_fields:
            yield f"{operation.name} has {{{name}}} in its route, but no such field in its input"
    try:
        operation.input.model_validate_json(json.dumps(operation.input.example, default=str))
    except ValidationError as error:
        yield f"the example of {operation.input.__name__}, for {operation.name}, does not validate: {first_of(error)}"


def _deprecation_faults(operations: Sequence[Command | Query]) -> Iterator[str]:
    lasting = {operation.name for operation in operations if operation.deprecation is None}
    for operation in operations:
        deprecation = operation.deprecation
        if deprecation is None:
            continue
        since, sunset = deprecation.since, deprecation.sunset
        if sunset is not None and sunset < since:
            yield f"{operation.name} has its sunset on {sunset}, but is deprecated since {since}"
        if deprecation.use is not None and deprecation.use not in lasting:
            yield f"{operation.name} is replaced by {deprecation.use}, which is no operation, or is deprecated itself"


def _routes(module: Module) -> Iterator[str]:
    for operation in _operations(module):
        if operation.route is not None:
            method, _, path = operation.route.partition(" ")
            yield f"{method} /{module.routes_path}{_PLACEHOLDER.sub('{}', path)}"


def _operations(module: Module) -> tuple[Command | Query, ...]:
    return (*module.commands, *module.queries)


def _consumers(module: Module) -> tuple[Projection | Subscription, ...]:
    return (*module.projections, *module.subscriptions)


def _duplicates(what: str, names: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield f"two {what} are called {name}"
        seen.add(name)
