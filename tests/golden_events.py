"""The golden corpus: an event of each type and version as it was written when that version was new.

A log may hold such events for as long as there is one. `python -m tests.golden_events` adds a line for each version
that has none. Nothing is ever changed: the seal of a line covers all lines before it, so that one which is changed,
moved or taken out breaks the seals from there on. A corpus that is sealed anew changes old lines, for a review to see.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rustok.catalog import MODULES
from rustok.kernel.event import Envelope, Event
from rustok.kernel.registry import Registry, build_registry
from rustok.testing import an_envelope

CORPUS = Path(__file__).parent / "corpora" / "golden_events.jsonl"

_ENVELOPE = TypeAdapter(Envelope)


def read_lines() -> list[str]:
    return CORPUS.read_text().splitlines()


def event_of(line: str) -> Envelope:
    """Return the event of a line of the corpus, as the log gives it out."""
    return _ENVELOPE.validate_python(json.loads(line)["event"])


def missing(registry: Registry, lines: Iterable[str]) -> list[type[Event]]:
    """Return the declared events that have no entry in any of their versions."""
    there = {(event.type, event.schema_version) for event in map(event_of, lines)}
    return [event for key, event in sorted(registry.events.items(), key=lambda item: item[0]) if key not in there]


def first_broken(lines: Sequence[str]) -> int | None:
    """Return the number, from 1, of the first line that is not as it was sealed; None: all are."""
    sealed = seal(json.loads(line)["event"] for line in lines)
    return next((n for n, (a, b) in enumerate(zip_longest(lines, sealed), 1) if a != b), None)


def seal(events: Iterable[Any]) -> list[str]:
    """Return *events*, JSON, as lines of the corpus."""
    lines, last = [], ""
    for event in events:
        last = hashlib.sha256((last + _json(event)).encode()).hexdigest()
        lines.append(_json({"event": event, "seal": last}))
    return lines


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def main() -> None:
    lines = read_lines() if CORPUS.exists() else []
    if (number := first_broken(lines)) is not None:
        raise SystemExit(f"{CORPUS}:{number} is not as it was sealed: take back whatever has changed it.")
    new = [asdict(an_envelope(event)) for event in missing(build_registry(MODULES), lines)]
    CORPUS.write_text("\n".join(seal([*(json.loads(line)["event"] for line in lines), *new])) + "\n")


if __name__ == "__main__":
    main()
