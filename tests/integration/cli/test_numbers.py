"""No number, however absurd, ends a command in a traceback: it works, or one line says what is wrong with it."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from rustok import cli as command_line
from tests.integration.alloy.workshop import Workshop
from tests.integration.cli.conftest import Cli

ABSURD = ("99999999", "9" * 5000, "nan")
"""Too much for a date, for a column, for `int`; and what every comparison lets through."""
CALLS = {
    "api --port": "api --port {}",
    "worker --processes": "worker --processes {}",
    "apikey create --expires-in-days": "apikey create --role manager --expires-in-days {}",
    "apikey rotate --overlap-h": "apikey rotate KEY --overlap-h {}",
    "audit list --limit": "audit list --limit {}",
    "events tail --limit": "events tail --no-follow --limit {}",
    "events trigger --timeout-s": "events trigger tagger --sample alloy.cron --timeout-s {}",
    "dlq list --older-than-h": "dlq list --older-than-h {}",
    "dlq list --limit": "dlq list --limit {}",
    "dlq redrive --older-than-h": "dlq redrive --yes --older-than-h {}",
    "dlq discard --older-than-h": "dlq discard --yes --older-than-h {}",
    "queue limits set --running": "queue limits set scripts --running {}",
    "queue limits set --burst": "queue limits set scripts --rate 1/s --burst {}",
    "queue limits set --weight": "queue limits set --tenant TENANT --weight {}",
    "jobs list --limit": "jobs list --limit {}",
    "scripts push --timeout-s": "scripts push --timeout-s {} .",
    "scripts rollback NUMBER": "scripts rollback tagger --yes -- {}",
    "scripts canary NUMBER": "scripts canary tagger -- {} 10",
    "scripts canary PERCENT": "scripts canary tagger -- 1 {}",
    "scripts run --timeout-s": "scripts run tagger --timeout-s {}",
    "scripts tail --limit": "scripts tail --no-follow --limit {}",
    "scripts logs --limit": "scripts logs tagger --limit {}",
    "kv put --ttl-s": "kv put tagger key 1 --ttl-s {}",
    "kv put --if-version": "kv put tagger key 1 --if-version {}",
}
"""A call for each number that a command takes."""
INSIDE_A_TEXT = (
    "audit verify --tenant TENANT --anchor {}:5f1d9c",
    "queue limits set scripts --rate {}/s",
    "scripts diff tagger {}",
    "scripts limits --set cpu_ms={}",
    "tenant quota TENANT --requests {}/h",
)


def numbers(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the numbers that *command* and its parts take, as a help page names them."""
    for name in getattr(command, "commands", ()):
        yield from numbers(command.resolve_command(typer.Context(command), [name])[1], (*path, name))
    for parameter in command.params:
        if parameter.type_descriptor.annotation in (int, float):
            is_option = parameter.param_type_name == "option"
            yield " ".join((*path, parameter.opts[0] if is_option else parameter.name.upper()))


def test_there_is_a_call_for_each_number() -> None:
    """A new option is tried, too."""
    assert sorted(numbers(typer.main.get_command(command_line.app))) == sorted(CALLS)


@pytest.mark.parametrize("call", [*CALLS.values(), *INSIDE_A_TEXT])
async def test_an_absurd_number_is_taken_or_refused_by_a_line(workshop: Workshop, cli: Cli, call: str) -> None:
    """What is too much for a date, a column or the arithmetic is told by whoever takes it."""
    await workshop.script("pass", name="tagger")
    key = await workshop.run("access.api_keys.create", name="Till", role="manager")
    arguments = call.replace("TENANT", str(workshop.tenant_id)).replace("KEY", key.key_id).split()

    ends = {number: await cli(*(part.format(number) for part in arguments)) for number in ABSURD}

    assert {number: end.err for number, end in ends.items() if end.code not in (0, 1, 2)} == {}
    assert {number: end.err for number, end in ends.items() if "Traceback" in end.err} == {}
