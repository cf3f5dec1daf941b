"""How a run is shown to the author of its hook: log, error, effects, result, and what it used of its limits."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from typing import Any

import typer

from rustok.cli.output import printable, to_json
from rustok.modules.alloy import RunLimits

_MIB = 1 << 20
_NAMES = ("effect", "method", "kind", "name", "id", "key", "url")
"""What names an effect, in the order of a sentence."""
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def log_lines(logs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for line in logs:
        fields = "".join(f" {name}={to_json(value)}" for name, value in line["fields"].items())
        yield f"{line['level']:<7} {line['message']}{fields}"


def error_lines(error: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield the error with its line in the hook and, where there is one, what to do about it."""
    if error is None:
        return
    place = f" (line {error['line']})" if error.get("line") else ""
    yield f"{error['code']}: {error['message']}{place}"
    if error.get("hint"):
        yield f"hint: {error['hint']}"


def effect_lines(effects: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for place, effect in enumerate(effects, 1):
        yield f"{place}. {_effect(effect)}"


def usage_line(usage: Mapping[str, float], limits: RunLimits) -> str:
    """Return used/limit of each thing that is limited."""
    return ", ".join(
        (
            f"cpu {usage['cpu_ms']:.0f}/{limits.cpu_ms} ms",
            f"wall {usage['wall_ms']:.0f}/{limits.wall_ms} ms",
            f"memory {usage['peak_bytes'] / _MIB:.1f}/{limits.memory_bytes / _MIB:.1f} MiB",
            f"host calls {usage['host_calls']:.0f}/{limits.host_calls}",
            f"output {usage['output_bytes']:.0f}/{limits.output_bytes} bytes",
            f"log {usage['log_bytes']:.0f}/{limits.log_bytes} bytes",
        )
    )


def print_parts(**parts: Sequence[str]) -> None:
    """Print each part that has lines under its name."""
    for name, lines in parts.items():
        for place, line in enumerate(lines):
            typer.echo(f"  {name if place == 0 else '':<8} {printable(line)}")


def print_diff(lines: Sequence[str], indent: str = "") -> None:
    for line in lines:
        typer.echo(indent + typer.style(printable(line), fg=_COLOURS.get(line[:1])))


def text_diff(before: str, after: str, name_before: str, name_after: str) -> list[str]:
    """Return a unified diff without line ends; empty where nothing differs."""
    return list(unified_diff(before.splitlines(), after.splitlines(), name_before, name_after, lineterm=""))


def json_diff(before: Any, after: Any, name_before: str, name_after: str) -> list[str]:
    return text_diff(_pretty(before), _pretty(after), name_before, name_after)


def _effect(effect: Mapping[str, Any]) -> str:
    named = [str(effect[name]) for name in _NAMES if name in effect]
    rest = {name: value for name, value in effect.items() if name not in _NAMES and value is not None}
    return " ".join([*named, to_json(rest)] if rest else named)


def _pretty(value: Any) -> str:
    return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False, default=str, sort_keys=True)
