"""An event whose form has changed has a version for each form, and old ones are read in the newest."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from rustok.kernel.event import Event
from rustok.kernel.registry import build_registry
from rustok.testing import an_envelope
from tests.unit.modules_by_hand import LampLit, faults_of, lamps


class Lit2(Event):
    """A lamp was lit, and how bright it is."""

    type: ClassVar = LampLit.type
    version: ClassVar = 2
    aggregate: ClassVar = "lamp"
    example: ClassVar = {"lumens": 700}

    lumens: int

    @classmethod
    def upcast(cls, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"lumens": 100 * payload["watts"]}


class Lit3(Event):
    """A lamp was lit, in a colour."""

    type: ClassVar = LampLit.type
    version: ClassVar = 3
    aggregate: ClassVar = "lamp"
    example: ClassVar = {"lumens": 700, "colour": "red"}

    lumens: int
    colour: str | None

    @classmethod
    def upcast(cls, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**payload, "colour": None}


REGISTRY = build_registry([lamps(events=(LampLit, Lit2, Lit3))])


def test_versions_of_an_event_stand_side_by_side() -> None:
    """All of them are known, and have their schemas."""
    assert REGISTRY.known_events() == {"lamps.lamp.lit.v1", "lamps.lamp.lit.v2", "lamps.lamp.lit.v3"}
    assert set(REGISTRY.event_schemas()) == REGISTRY.known_events()


def test_an_old_event_goes_through_every_version_up_to_the_newest() -> None:
    """Its circumstances stay as they were."""
    written = an_envelope(LampLit, watts=6)

    read = REGISTRY.upcast(written)

    assert (read.schema_version, read.payload) == (3, {"lumens": 600, "colour": None})
    assert (read.event_id, read.occurred_at, read.actor) == (written.event_id, written.occurred_at, written.actor)


def test_the_newest_version_stays_as_it_is() -> None:
    """Also one that is newer than this release, and a type that it does not know."""
    newest, newer = an_envelope(Lit3), build_registry([lamps()])

    assert REGISTRY.upcast(newest) is newest
    assert newer.upcast(newest) is newest
    assert build_registry([]).upcast(newest) is newest


def test_a_version_between_must_not_be_left_out() -> None:
    """Events of the first one could not be read any more."""
    assert faults_of(lamps(events=(LampLit, Lit3))) == [
        "event lamps.lamp.lit has a version 3, but no 2: keep the classes of all"
    ]


def test_the_class_of_the_first_version_must_not_go() -> None:
    """The log holds such events."""
    assert faults_of(lamps(events=(Lit3,))) == [
        "event lamps.lamp.lit has a version 3, but no 1, 2: keep the classes of all"
    ]


def spoilt(upcast: Any, **changes: Any) -> type[Event]:
    """Return the second version with another `upcast`, and these attributes."""
    body = {"__module__": __name__, "__doc__": "Spoilt.", **({"upcast": staticmethod(upcast)} if upcast else {})}
    return type("Spoilt", (Lit2,), {**body, **changes})


def _forgets(_payload: Any) -> Any:
    return {}


def _changes_its_argument(payload: Any) -> Any:
    return {"lumens": 100 * payload.pop("watts")}


async def _waits(payload: Any) -> Any:
    return payload


_count = iter(range(10))

NO_PAYLOAD = "what `upcast` of event lamps.lamp.lit.v2 makes of the example of version 1 is no payload: "
NOT_PURE = (
    "`upcast` of event lamps.lamp.lit.v2 is not pure: it changes its argument, or makes something else of it each time"
)
SPOILT = {
    "none": (
        spoilt(None),
        "event lamps.lamp.lit.v2 needs an `upcast`, which turns a payload of version 1 into one of its own",
    ),
    "forgets a field": (spoilt(_forgets), f"{NO_PAYLOAD}lumens: Field required"),
    "asks for one that is not there": (spoilt(lambda payload: payload["volts"]), f"{NO_PAYLOAD}KeyError('volts')"),
    "makes no JSON": (
        spoilt(lambda payload: {"lumens": {payload["watts"]}}),
        f"{NO_PAYLOAD}TypeError('Object of type set is not JSON serializable')",
    ),
    "changes its argument": (spoilt(_changes_its_argument), NOT_PURE),
    "leaves it to chance": (spoilt(lambda _payload: {"lumens": next(_count)}), NOT_PURE),
    "is about something else": (
        spoilt(Lit2.upcast, aggregate="lantern"),
        "event lamps.lamp.lit.v2 is about a lantern, its version 1 about a lamp",
    ),
}


@pytest.mark.parametrize(("event", "fault"), SPOILT.values(), ids=SPOILT)
def test_an_upcast_makes_the_new_of_the_old_and_nothing_else(event: type[Event], fault: str) -> None:
    """The registry tries it on the example of the version before, when a process starts."""
    assert faults_of(lamps(events=(LampLit, event))) == [fault]


def test_an_upcast_waits_for_nothing() -> None:
    """A coroutine is no payload."""
    with pytest.warns(RuntimeWarning, match="never awaited"):
        [fault] = faults_of(lamps(events=(LampLit, spoilt(_waits))))

    assert fault.startswith(f"{NO_PAYLOAD}TypeError('Object of type coroutine")
