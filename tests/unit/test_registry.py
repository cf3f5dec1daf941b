"""The registry refuses, at boot, a platform that does not add up, and names each fault with its fix."""

from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ValidationError

from rustok.catalog import MODULES
from rustok.kernel.event import Event
from rustok.kernel.module import Deprecation, ModuleKind
from rustok.kernel.permission import Permission
from rustok.kernel.registry import build_registry, placeholders
from tests.unit.modules_by_hand import LampLit, LightLamp, a_command, a_module, a_projection, a_query, faults_of, lamps


class ForeignEvent(Event):
    type: ClassVar = "chairs.chair.moved"
    aggregate: ClassVar = "chair"
    example: ClassVar = {}


class MisnamedEvent(Event):
    type: ClassVar = "lamps.Lit"
    aggregate: ClassVar = "lamp"
    example: ClassVar = {}


class BadlyExplainedEvent(Event):
    type: ClassVar = "lamps.lamp.dimmed"
    aggregate: ClassVar = "lamp"
    example: ClassVar = {"percent": "much"}

    percent: int


class DimLamp(LightLamp):
    percent: int


def test_modules_that_add_up_make_a_registry() -> None:
    """Everything declared is found by its name."""
    registry = build_registry([lamps()])

    assert (set(registry.commands), set(registry.queries)) == ({"lamps.lamps.light"}, {"lamps.lamps.find"})
    assert (set(registry.events), set(registry.projections)) == ({("lamps.lamp.lit", 1)}, {"lamps.index_lamps"})
    assert set(registry.permissions) == {"lamps.lamps.read", "lamps.lamps.write"}


def test_the_catalog_adds_up() -> None:
    """What ships must boot."""
    assert {module.name for module in build_registry(MODULES).modules} == {module.name for module in MODULES}


def test_modules_stand_in_the_order_of_their_dependencies() -> None:
    """Whoever depends on a module stands behind it, in whatever order the catalog lists them."""
    top, middle, bottom = (
        a_module("top", depends_on=("middle",)),
        a_module("middle", depends_on=("bottom",)),
        a_module("bottom"),
    )

    assert build_registry([top, bottom, middle]).modules == (bottom, middle, top)


def test_a_name_belongs_to_the_module_it_begins_with() -> None:
    """The first segment is the module."""
    registry = build_registry([a_module("lamp"), lamps()])

    assert registry.module_of("lamps.lamps.light").name == "lamps"


def test_a_circle_of_dependencies_is_shown_whole() -> None:
    """The fix is an event."""
    [fault] = faults_of(a_module("hen", depends_on=("egg",)), a_module("egg", depends_on=("hen",)))

    assert fault in {
        "the modules depend on each other in a circle, hen -> egg -> hen: break it with an event",
        "the modules depend on each other in a circle, egg -> hen -> egg: break it with an event",
    }


def test_a_dependency_must_be_in_the_catalog() -> None:
    """The fix is to add it or to drop the dependency."""
    assert faults_of(a_module("blog", depends_on=("content",))) == [
        "blog depends on content, which is not in the catalog: add it or drop the dependency"
    ]


def test_nobody_depends_on_an_extension() -> None:
    """An extension is removable; the fix is to use its events."""
    assert faults_of(a_module("blog", depends_on=("flex",)), a_module("flex", kind=ModuleKind.EXTENSION)) == [
        "blog depends on flex, an extension, which must stay removable: use its events"
    ]


def test_a_wrapper_owns_no_tables() -> None:
    """Its rows are nodes of the module it wraps."""
    assert faults_of(a_module("blog", kind=ModuleKind.WRAPPER, tables=("posts", "drafts"))) == [
        "blog is a wrapper and may not own tables: posts, drafts"
    ]


@pytest.mark.parametrize(
    "name", ["chairs.chairs.read", "lamps.read", "lamps.lamps.read.all", "lamps.Lamps.read", "lamps.lamps.*", "lamps"]
)
def test_a_permission_has_its_modules_name_an_entity_and_an_action(name: str) -> None:
    """`<module>.<entity>.<action>`, lower case."""
    module = a_module("lamps", permissions=(Permission(name, "…"),))

    assert faults_of(module) == [f"permission {name} of lamps must read lamps.<entity>.<action>"]


def test_a_command_is_named_after_its_module() -> None:
    """A foreign name would take another module's place."""
    assert faults_of(lamps(commands=(a_command(name="chairs.chairs.move"),))) == [
        "chairs.chairs.move must be named lamps.<entity>.<action>"
    ]


def test_a_query_is_named_after_its_module() -> None:
    """The same rule for reads."""
    assert faults_of(lamps(queries=(a_query(name="chairs.chairs.find"),))) == [
        "chairs.chairs.find must be named lamps.<entity>.<action>"
    ]


def test_an_operation_wants_a_permission_of_its_own_module() -> None:
    """One that nobody declares is in no role, so the command could never be run."""
    assert faults_of(lamps(commands=(a_command(permission="chairs.chairs.write"),))) == [
        "lamps.lamps.light wants chairs.chairs.write, which lamps does not declare"
    ]


def test_a_projection_is_named_after_its_module() -> None:
    """Its name is the name of its checkpoints."""
    assert faults_of(lamps(projections=(a_projection(name="index_lamps"),))) == [
        "projection index_lamps must be named lamps.<what>"
    ]


@pytest.mark.parametrize("pattern", ["lamps.lamp.broken", "chairs.*", "lamps.lamp"])
def test_a_subscription_has_a_publisher(pattern: str) -> None:
    """A mistyped pattern would wait for ever."""
    assert faults_of(lamps(projections=(a_projection(subscribes=(pattern,)),))) == [
        f"projection lamps.index_lamps subscribes to {pattern}, which no module publishes"
    ]


@pytest.mark.parametrize("event", [ForeignEvent, MisnamedEvent])
def test_an_event_is_named_after_its_module(event: type[Event]) -> None:
    """`<module>.<entity>.<past participle>`."""
    assert faults_of(a_module("lamps", events=(event,))) == [
        f"event {event.type} must read lamps.<entity>.<past participle>"
    ]


def test_the_example_of_an_event_validates() -> None:
    """The example is the documentation, so it must be true."""
    [fault] = faults_of(a_module("lamps", events=(BadlyExplainedEvent,)))

    assert fault.startswith("the example of event lamps.lamp.dimmed does not validate: ")


def test_an_operation_with_a_route_has_an_example_of_its_input() -> None:
    """The OpenAPI document and whoever tries it out take it from there."""
    assert faults_of(lamps(commands=(a_command(input=DimLamp),))) == [
        "the example of DimLamp, for lamps.lamps.light, does not validate: percent: Field required"
    ]


def test_a_query_reads_a_table_that_a_projection_writes() -> None:
    """Of another it would be told that it is fresh, always."""
    assert faults_of(lamps(queries=(a_query(reads="index_lamp"),))) == [
        "lamps.lamps.find reads index_lamp, which no projection writes"
    ]


@pytest.mark.parametrize("route", ["/lamps", "FETCH /lamps", "GET lamps", "GET  /lamps", "GET /lamps now", "GET ", ""])
def test_a_route_is_a_method_and_a_path(route: str) -> None:
    """`METHOD /path`, with one space, or `METHOD` alone for the path of the module itself."""
    assert faults_of(lamps(commands=(a_command(route=route),))) == [
        f"lamps.lamps.light has the route {route!r}, which must read `METHOD /path`, or `METHOD` alone"
    ]


@pytest.mark.parametrize(
    ("deprecation", "fault"),
    [
        (
            Deprecation(since=date(2027, 7, 1), sunset=date(2027, 6, 30)),
            "lamps.lamps.light has its sunset on 2027-06-30, but is deprecated since 2027-07-01",
        ),
        (
            Deprecation(since=date(2027, 7, 1), use="lamps.lamps.lighten"),
            "lamps.lamps.light is replaced by lamps.lamps.lighten, which is no operation, or is deprecated itself",
        ),
        (
            Deprecation(since=date(2027, 7, 1), use="lamps.lamps.light"),
            "lamps.lamps.light is replaced by lamps.lamps.light, which is no operation, or is deprecated itself",
        ),
    ],
)
def test_what_is_deprecated_goes_later_and_leads_to_what_stays(deprecation: Deprecation, fault: str) -> None:
    """RFC 9745, section 4: no sunset before the deprecation."""
    assert faults_of(lamps(commands=(a_command(deprecation=deprecation),))) == [fault]


def test_what_is_deprecated_may_go_on_the_same_day() -> None:
    """And lead to a query."""
    day = date(2027, 7, 1)
    deprecation = Deprecation(since=day, sunset=day, use="lamps.lamps.find")

    assert build_registry([lamps(commands=(a_command(deprecation=deprecation),))])


def test_a_placeholder_of_a_route_is_a_field_of_the_input() -> None:
    """Otherwise the value in the path would go nowhere."""
    assert faults_of(lamps(commands=(a_command(route="POST /lamps/{number}/light"),))) == [
        "lamps.lamps.light has {number} in its route, but no such field in its input"
    ]


def test_two_operations_do_not_share_a_route() -> None:
    """The names of placeholders make no difference: a server cannot tell such paths apart."""
    twin = a_query(name="lamps.lamps.find_again", route="GET /rooms/{room}/lamps")

    assert faults_of(lamps(queries=(a_query(), twin))) == ["two routes are called GET /lamps/rooms/{}/lamps"]


def test_modules_that_share_a_path_do_not_share_a_route() -> None:
    """A module's path is the first segment of its routes, and two may choose the same."""
    lights = Permission("lights.lights.read", "See lights")
    other = a_module(
        "lights",
        path="lamps",
        permissions=(lights,),
        queries=(a_query(name="lights.lights.find", permission=lights.name),),
    )

    assert faults_of(lamps(), other) == ["two routes are called GET /lamps/rooms/{}/lamps"]


def test_names_are_unique() -> None:
    """The same module twice repeats everything it declares."""
    assert faults_of(lamps(), lamps()) == [
        "two modules are called lamps",
        "two commands or queries are called lamps.lamps.light",
        "two commands or queries are called lamps.lamps.find",
        "two events are called lamps.lamp.lit v1",
        "two projections or subscriptions are called lamps.index_lamps",
        "two permissions are called lamps.lamps.read",
        "two permissions are called lamps.lamps.write",
        "two tables are called lamps",
        "two routes are called POST /lamps/lamps/{}/light",
        "two routes are called GET /lamps/rooms/{}/lamps",
    ]


def test_a_permission_is_declared_once() -> None:
    """The second of a name would decide alone whether the right is the platform's own."""
    own = Permission("lamps.lamps.sell", "Sell lamps", of_platform=True)
    again = Permission("lamps.lamps.sell", "Sell lamps")

    assert faults_of(a_module("lamps", permissions=(own, again))) == ["two permissions are called lamps.lamps.sell"]


def test_moments_that_callers_name_have_a_zone() -> None:
    """Else they could be compared with no other moment, which shows only when that is tried."""
    registry = build_registry(MODULES)
    commands = {name for name, it in registry.commands.items() if _takes_local_time(it.input)}
    queries = {name for name, it in registry.queries.items() if _takes_local_time(it.input)}

    assert commands | queries == set()


def _takes_local_time(model: type[BaseModel]) -> bool:
    return "datetime" in _without_zone(model.__pydantic_core_schema__)


def _without_zone(schema: Any) -> set[str]:
    """Return the types in a core schema of pydantic, without the datetimes that ask for a zone."""
    if isinstance(schema, Mapping):
        own = {str(schema.get("type"))} if schema.get("tz_constraint") != "aware" else set()
        return own.union(*map(_without_zone, schema.values()))
    if isinstance(schema, list | tuple):
        return set[str]().union(*map(_without_zone, schema))
    return set()


def test_all_faults_are_listed_at_once() -> None:
    """Nobody wants to start the process once a fault."""
    faults = faults_of(a_module("blog", kind=ModuleKind.WRAPPER, depends_on=("content",), tables=("posts",)))

    assert len(faults) == 2


def test_a_payload_of_the_declared_type_becomes_its_event() -> None:
    """Type and version name the class."""
    assert build_registry([lamps()]).validate_event("lamps.lamp.lit", 1, {"watts": 40}) == LampLit(watts=40)


def test_a_payload_that_does_not_fit_is_refused() -> None:
    """Events hold what they declare and nothing else."""
    with pytest.raises(ValidationError):
        build_registry([lamps()]).validate_event("lamps.lamp.lit", 1, {"watts": 40, "colour": "red"})


def test_a_payload_of_an_unknown_type_is_refused() -> None:
    """No module declares it."""
    with pytest.raises(KeyError):
        build_registry([lamps()]).validate_event("lamps.lamp.lit", 2, {"watts": 40})


def test_placeholders_stand_in_the_order_of_the_route() -> None:
    """They fill the input from the path."""
    assert placeholders("PUT /products/{product_id}/translations/{locale}") == ("product_id", "locale")
