"""The page of operators shows commands that work, in this order."""

import re
import shlex
from pathlib import Path

from rustok.testing import PlatformUnderTest
from tests.integration.cli.conftest import Cli

PAGE = Path(__file__).parents[3] / "docs" / "operator.md"


def commands_below(heading: str) -> list[list[str]]:
    """Return the arguments of each `rustok` in the first block below *heading*."""
    [_, section] = PAGE.read_text(encoding="utf-8").split(f"\n{heading}\n")
    [block, *_] = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    calls = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert {call[0] for call in calls} == {"rustok"}
    return [call[1:] for call in calls]


async def test_people_and_roles_are_made_as_the_page_says(rustok: PlatformUnderTest, cli: Cli) -> None:
    """From a tenant without any; whoever is asked for a password answers."""
    await rustok.create_tenant("acme")

    ends = {
        shlex.join(call): await cli(*call, stdin="correct horse battery\n")
        for call in commands_below("### People and roles")
    }

    assert len(ends) > 5
    assert {call: end.err for call, end in ends.items() if end.code} == {}


async def test_a_table_for_a_pipe_has_a_line_for_each_row(rustok: PlatformUnderTest, cli: Cli) -> None:
    """However narrow the terminal is from which it is piped."""
    await rustok.create_tenant("acme")
    await cli("user", "create", "ada@example.com", "--name", "A" * 200)

    listed = await cli("user", "list", COLUMNS="80")

    [_, row] = listed.out.splitlines()
    assert "A" * 200 in row
