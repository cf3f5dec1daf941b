"""The escape corpus, read from its data: each case is a hook that tries something, and what must come of it."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CORPUS = Path(__file__).with_name("corpus")
HARMLESS = "harmless"
"""What comes of a run without a fault: it ended, and gained nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    category: str
    name: str
    source: str
    cve: str | None = None
    full: frozenset[str]
    """Codes of the fault, or `harmless`: first the policy, then the cage."""
    off: frozenset[str] = frozenset()
    """The same where the policy is switched off; nothing where the policy lets the case through anyhow."""
    line: int | None = None
    """The line that the author is told."""
    result: Any = None
    limits: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.category}: {self.name}"


def corpus() -> list[Case]:
    """Return every case of every category."""
    return [case for path in sorted(_CORPUS.glob("*.toml")) for case in _category(path)]


def prelude() -> str:
    """Return the statements that raw bodies begin with."""
    return str(tomllib.loads((_CORPUS / "raw.toml").read_text())["prelude"])


def _category(path: Path) -> Iterator[Case]:
    data = tomllib.loads(path.read_text())
    for fields in data["case"]:
        yield Case(
            category=path.stem,
            name=fields.pop("name"),
            full=_codes(fields.pop("full", "forbidden_syntax")),
            off=_codes(fields.pop("off", ())),
            source=_source(fields, data.get("prelude", "")),
            **fields,
        )


def _codes(value: str | list[str] | tuple[()]) -> frozenset[str]:
    return frozenset([value] if isinstance(value, str) else value)


def _source(fields: dict[str, Any], prelude: str) -> str:
    """A whole source; or parts, each with how often it comes; or what stands before `handle` and what is in it."""
    if "source" in fields:
        return str(fields.pop("source"))
    if "parts" in fields:
        return "".join(text * times for text, times in fields.pop("parts"))
    before, body = fields.pop("before", ""), (prelude + fields.pop("body", "pass")).strip("\n")
    head = f"{before.strip()}\n" if before else ""
    indented = "\n".join(f"    {line}" if line else "" for line in body.splitlines())
    return f"{head}async def handle(event, ctx):\n{indented}\n"
