"""Operators see which modules a tenant has, and switch them."""

import json

import pytest

from rustok.testing import PlatformUnderTest
from tests.integration.cli.conftest import Cli


@pytest.fixture(autouse=True)
async def acme(rustok: PlatformUnderTest) -> None:
    await rustok.create_tenant("acme")


async def disabled(cli: Cli) -> list[str]:
    rows = json.loads((await cli("module", "list", "--tenant", "acme", "--json")).out)
    return [row["name"] for row in rows if not row["is_enabled"]]


async def test_a_module_is_disabled_and_enabled(cli: Cli) -> None:
    """Each time the list says what is on now."""
    off = await cli("module", "disable", "blog", "--tenant", "acme", "--json")
    assert [row["name"] for row in json.loads(off.out) if not row["is_enabled"]] == ["blog"]
    assert await disabled(cli) == ["blog"]

    await cli("module", "enable", "blog", "--tenant", "acme")
    assert await disabled(cli) == []


async def test_what_depends_on_it_is_named(cli: Cli) -> None:
    """One line, and exit code 1."""
    refused = await cli("module", "disable", "content", "--tenant", "acme")

    assert (refused.code, "(module_in_use)" in refused.err) == (1, True)
    assert "blog depends on content: disable that first." in refused.err


async def test_the_operator_is_bound_by_it_too(cli: Cli) -> None:
    """One door for everybody: what is off is off at the command line as well."""
    await cli("module", "disable", "alloy", "--tenant", "acme")

    refused = await cli("scripts", "list", "--tenant", "acme")

    assert (refused.code, "(module_off)" in refused.err) == (1, True)
