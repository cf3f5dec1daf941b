"""The reference pages, made from the code: `python -m tests.reference` writes docs/reference."""

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from types import ModuleType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from prometheus_client.metrics import MetricWrapperBase
from pydantic import SecretStr

import rustok
from api.errors import status_of, title_of
from api.faults import BadRequest
from api.operation_errors import WITHOUT_ROUTE, errors_of
from api.routes import method_and_path
from rustok.catalog import MODULES
from rustok.db.migrate import script_directory
from rustok.embedded import EmbeddedServerError
from rustok.kernel.errors import RustokError
from rustok.kernel.event import matches
from rustok.kernel.module import Command, Module, Query
from rustok.kernel.permission import Permission
from rustok.kernel.registry import Registry, build_registry
from rustok.modules.access.roles import BUILT_IN_ROLES, Roles
from rustok.settings import Settings
from rustok.telemetry import metrics
from tests.markdown import attribute_docstrings, class_in, codes, table
from tests.script_reference import host_api, limits

ROOT = Path(__file__).parents[1]
DIRECTORY = ROOT / "docs" / "reference"
COMMAND = "make docs"
_NOTICE = f"<!-- Made from the code. Do not edit: `{COMMAND}` writes this page. -->"


def pages() -> dict[str, str]:
    """Return each page's text by its file name."""
    registry = build_registry(MODULES)
    makers: Mapping[str, Callable[[Registry], str]] = {
        "commands": _commands,
        "events": _events,
        "permissions": _permissions,
        "settings": _settings,
        "metrics": _metrics,
        "errors": _errors,
        "migrations": _migrations,
        "host-api": host_api,
        "limits": limits,
    }
    return {f"{name}.md": f"{_NOTICE}\n\n{make(registry).rstrip()}\n" for name, make in makers.items()}


def _commands(registry: Registry) -> str:
    text = dedent("""\
        # Commands and queries

        A command writes, a query reads. Fields and answers of each are in `GET /api/openapi.json` of a running API.
        Without a route: the command line only. *If-Match*: the request states the version it has seen.
        *Critical*: taken however late events are delivered, when other writes are answered 429 or 503.
        """)
    for module in _with_any(registry, "commands", "queries"):
        operations: list[Command | Query] = [*module.commands, *module.queries]
        text += f"\n## {module.name}\n\n{module.summary}\n\n"
        rows = [_operation_row(registry, operation) for operation in operations]
        text += table(("name", "route", "permission", "If-Match", "critical", "what it does"), rows)
    return text


def _operation_row(registry: Registry, operation: Command | Query) -> tuple[str, ...]:
    route = f"`{' '.join(method_and_path(registry, operation))}`" if operation.route else "-"
    wants_version = "yes" if isinstance(operation, Command) and operation.checks_version else ""
    is_critical = "yes" if isinstance(operation, Command) and operation.is_critical else ""
    return f"`{operation.name}`", route, f"`{operation.permission}`", wants_version, is_critical, _purpose(operation)


def _purpose(operation: Command | Query) -> str:
    return operation.summary if operation.deprecation is None else f"{operation.summary}. {operation.deprecation}"


def _events(registry: Registry) -> str:
    text = dedent("""\
        # Events

        Facts that modules publish. Events of one aggregate are in order, and each raises its version by one.
        A running API lists them, each with its JSON Schema: `GET /api/v1/events/types`.
        *Read by* names the projections that look at the aggregate again.
        """)
    for module in _with_any(registry, "events"):
        text += f"\n## {module.name}\n\n"
        rows = []
        for event in module.events:
            readers = [
                p.name for p in registry.projections.values() if any(matches(s, event.type) for s in p.subscribes)
            ]
            example = f"`{json.dumps(event.example)}`"
            rows.append(
                (f"`{event.type}`", str(event.version), event.aggregate, _first_line(event), example, codes(readers))
            )
        text += table(("type", "version", "aggregate", "meaning", "example of the payload", "read by"), rows)
    return text


def _permissions(registry: Registry) -> str:
    roles = Roles(registry.permissions.values())
    granted = {
        role: roles.built_in(role) | (roles.everybody if role != "visitor" else frozenset()) for role in BUILT_IN_ROLES
    }
    rows = [
        (f"`{p.name}`", p.summary, *_held_by(p, granted))
        for module in _with_any(registry, "permissions")
        for p in module.permissions
    ]
    text = dedent("""\
        # Permissions and roles

        These roles are built in; a tenant makes others of its own, with `POST /api/v1/access/roles` or `rustok role`.
        A permission of the platform is in no role: it belongs to the operator's command line. *own*: it can be granted
        for what one has made oneself alone.

        """)
    return text + table(("permission", "allows to", "", *BUILT_IN_ROLES), rows)


def _held_by(permission: Permission, granted: Mapping[str, frozenset[str]]) -> list[str]:
    if permission.of_platform:
        return ["", "platform", *("" for _ in list(granted)[1:])]
    own = "own" if permission.may_be_own else ""
    return [own, *("yes" if permission.name in permissions else "" for permissions in granted.values())]


def _settings(_registry: Registry) -> str:
    meanings = attribute_docstrings(class_in(inspect.getsource(Settings), "Settings"))
    rows = [
        (f"`RUSTOK_{name.upper()}`", _type_name(field.annotation), _default(field.default), meanings.get(name, ""))
        for name, field in Settings.model_fields.items()
    ]
    text = dedent("""\
        # Settings

        Environment variables, read once when a process starts. An unknown value of a setting ends the process with
        a line that names the variable and the valid values. `rustok` commands on a machine where `rustok dev` runs
        take what the environment lacks from its `dev.env`.

        """)
    return text + table(("variable", "type", "default", "meaning"), rows)


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if get_origin(annotation) is Annotated:
        return _type_name(get_args(annotation)[0])
    if get_origin(annotation) in (UnionType, Union):
        return " or ".join(_type_name(part) for part in get_args(annotation) if part is not type(None))
    return {SecretStr: "text, secret", Path: "path", str: "text", int: "integer", float: "number"}[annotation]


def _default(value: object) -> str:
    return "not set" if value is None else f"`{value}`"


def _metrics(_registry: Registry) -> str:
    declared = [metric for metric in vars(metrics).values() if isinstance(metric, MetricWrapperBase)]
    rows = []
    for metric in declared:
        [family] = metric.describe()
        # The exposition format ends a counter's name in _total (OpenMetrics 1.0, section 5.1).
        name = f"{family.name}_total" if family.type == "counter" else family.name
        rows.append((f"`{name}`", family.type, codes(metric._labelnames), f"{family.documentation}."))  # no public face
    text = dedent("""\
        # Metrics

        In Prometheus' text format, seconds and counts, never with a tenant as a label. Which process serves which is
        in [the operator's page](../operator.md#metrics).

        """)
    return text + table(("name", "type", "labels", "meaning"), rows)


def _errors(registry: Registry) -> str:
    operations: list[Command | Query] = [*registry.commands.values(), *registry.queries.values()]
    over_http: set[type[RustokError]] = {
        BadRequest,
        *WITHOUT_ROUTE,
        *(kind for o in operations if o.route is not None for kind in errors_of(registry, o)),
    }
    _import_everything(rustok)
    http = sorted(over_http, key=lambda kind: (kind.code, status_of(kind), kind.__module__))
    other = {*_leaves(RustokError), *_leaves(EmbeddedServerError)} - over_http
    text = dedent("""\
        # Error codes

        A code never changes its meaning. How an error looks over HTTP is in [the client's page](../write-client.md).

        ## Over HTTP

        *Retry*: the same request, unchanged, may succeed later.

        """)
    text += table(
        ("code", "status", "retry", "meaning", "declared in"),
        [
            (f"`{k.code}`", str(status_of(k)), "yes" if k.retryable else "", title_of(k), f"`{k.__module__}`")
            for k in http
        ],
    )
    text += dedent("""\

        ## On the command line

        These, and those above, end a command with one line and exit code 1.

        """)
    rows = {(f"`{kind.code}`", _first_line(kind), f"`{kind.__module__}`") for kind in other}
    return text + table(("code", "meaning", "declared in"), sorted(rows))


def _migrations(_registry: Registry) -> str:
    rows = [
        (str(number), f"`{Path(revision.path).name}`", (inspect.getdoc(revision.module) or "").split("\n\n", 1)[0])
        for number, revision in enumerate(reversed(list(script_directory().walk_revisions())), 1)
    ]
    text = dedent("""\
        # Migrations

        In the order in which `rustok db migrate` applies them. There is no way back: see
        [the decision](../decisions/0004-alembic-forward-only.md).

        """)
    return text + table(("", "file", "what it does"), rows)


def _with_any(registry: Registry, *attributes: str) -> Iterator[Module]:
    """Yield the modules, by name, that declare something of this sort."""
    for module in sorted(registry.modules, key=lambda module: module.name):
        if any(getattr(module, attribute) for attribute in attributes):
            yield module


def _import_everything(package: ModuleType) -> None:
    """Import every module of *package*: a class exists only once its module was imported."""
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(found.name)


def _leaves(kind: Any) -> Iterator[Any]:
    """Yield the classes below *kind* that are no kinds themselves; classes of the tests in this process not counted."""
    ours = [c for c in kind.__subclasses__() if c.__module__.partition(".")[0] in ("rustok", "api")]
    for subclass in ours:
        yield from _leaves(subclass)
    if not ours and kind.__module__.startswith("rustok."):
        yield kind


def _first_line(kind: type) -> str:
    return (vars(kind).get("__doc__") or "").strip().split("\n\n", 1)[0].replace("\n    ", " ")


def main() -> None:
    """Write every page."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
