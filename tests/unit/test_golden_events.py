"""What was written once is read for ever: the golden corpus of events, and what keeps it as it was."""

import json

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from rustok.catalog import MODULES
from rustok.kernel.event import Envelope
from rustok.kernel.registry import build_registry
from tests.golden_events import event_of, first_broken, missing, read_lines, seal
from tests.unit.modules_by_hand import lamps

REGISTRY = build_registry(MODULES)
SCHEMAS = REGISTRY.event_schemas()
LINES = read_lines()
EVENTS = [event_of(line) for line in LINES]


def test_every_event_in_every_version_is_in_the_corpus() -> None:
    """A new one is added by `python -m tests.golden_events`."""
    assert missing(REGISTRY, LINES) == []


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.schema)
def test_an_event_fits_the_version_that_it_was_written_in(event: Envelope) -> None:
    """A class and a schema that refuse it have changed: that is for another version."""
    REGISTRY.validate_event(event.type, event.schema_version, event.payload)

    Draft202012Validator(SCHEMAS[event.schema]).validate(dict(event.payload))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.schema)
def test_an_event_is_read_in_the_newest_version(event: Envelope) -> None:
    """And fits that one."""
    read = REGISTRY.upcast(event)

    newest = REGISTRY.newest(event.type)
    assert read.schema_version == newest.version
    newest.model_validate(read.payload)


def test_the_corpus_is_as_it_was_sealed() -> None:
    """No line is changed, moved or taken out: lines are added at the end."""
    assert first_broken(LINES) is None


def test_a_new_event_is_missed() -> None:
    """Or a new version."""
    assert [event.type for event in missing(build_registry([lamps()]), LINES)] == ["lamps.lamp.lit"]


@pytest.mark.parametrize(
    ("tampered", "first"),
    [
        ([*LINES[:3], LINES[3].replace('"aggregate_version": 1', '"aggregate_version": 2'), *LINES[4:]], 4),
        ([*LINES[:3], *LINES[4:]], 4),
        ([LINES[1], LINES[0], *LINES[2:]], 1),
        ([*LINES[:5], LINES[2], *LINES[5:]], 6),
        ([*LINES[:-1], LINES[-1].replace('"seal": "', '"seal": "0')], len(LINES)),
    ],
    ids=["changed", "taken out", "moved", "put in between", "sealed by hand"],
)
def test_what_was_done_to_the_corpus_shows(tampered: list[str], first: int) -> None:
    """In the first line that is not as it was."""
    assert first_broken(tampered) == first


def test_a_corpus_that_is_sealed_anew_differs_in_every_line_from_there_on() -> None:
    """So nobody rewrites the past in a change of one line."""
    events = [json.loads(line)["event"] for line in LINES]
    events[3]["aggregate_version"] = 2

    anew = seal(events)

    assert first_broken(anew) is None
    assert [n for n, (a, b) in enumerate(zip(LINES, anew, strict=True)) if a != b] == list(range(3, len(LINES)))
