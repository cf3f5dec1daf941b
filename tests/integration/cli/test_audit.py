"""`rustok audit`: what an operator reads, keeps and verifies."""

import json
from uuid import UUID

import pytest

from rustok.testing import PlatformUnderTest
from tests.integration.access.auditing import tampering
from tests.integration.cli.conftest import Cli


@pytest.fixture
async def acme(rustok: PlatformUnderTest) -> UUID:
    """A tenant with three rows: itself and two roles."""
    tenant = await rustok.create_tenant("acme")
    for name in ("shop", "till"):
        await rustok.run("access.roles.create", tenant, name=name)
    await rustok.settle()
    return tenant


async def tamper(rustok: PlatformUnderTest, statement: str) -> None:
    async with tampering(rustok.database) as admin:
        await admin.execute(statement)


@pytest.mark.usefixtures("acme")
async def test_it_lists_the_newest_rows_first(cli: Cli) -> None:
    """Of one tenant, by type and by whom."""
    everything = await cli("audit", "list", "-t", "acme", "--json")
    roles = await cli("audit", "list", "-t", "acme", "--type", "access.*", "-n", "1", "--json")
    table = await cli("audit", "list")
    nobody = await cli("audit", "list", "--actor", "operator:nobody", "--json")

    assert [row["number"] for row in json.loads(everything.out)] == [3, 2, 1]
    assert [row["type"] for row in json.loads(roles.out)] == ["access.role.created"]
    assert '"name": "till"' in table.out
    assert json.loads(nobody.out) == []


async def test_it_verifies_every_tenant_or_one(rustok: PlatformUnderTest, acme: UUID, cli: Cli) -> None:
    """It tells how many rows are good; 0 says that all are."""
    await rustok.create_tenant("globex")
    await rustok.settle()

    both = await cli("audit", "verify", "--json")
    one = await cli("audit", "verify", "--tenant", str(acme), "--json")

    good = {"first_bad_row": None, "reason": None}
    assert (both.code, one.code) == (0, 0)
    assert json.loads(one.out) == [{"tenant": "acme", "good_rows": 3, **good}]
    assert json.loads(both.out) == [*json.loads(one.out), {"tenant": "globex", "good_rows": 1, **good}]


@pytest.mark.usefixtures("acme")
async def test_it_names_the_first_bad_row_and_fails(rustok: PlatformUnderTest, cli: Cli) -> None:
    """With what is wrong with it."""
    await tamper(rustok, "UPDATE audit_log SET actor = 'operator:mallory' WHERE number = 2")

    finished = await cli("audit", "verify", "--json")

    assert finished.code == 1
    [verdict] = json.loads(finished.out)
    assert verdict == {
        "tenant": "acme",
        "good_rows": 1,
        "first_bad_row": 2,
        "reason": "changed: its hash is not that of its fields",
    }


@pytest.mark.usefixtures("acme")
async def test_a_head_that_was_kept_shows_what_was_cut_off(rustok: PlatformUnderTest, cli: Cli) -> None:
    """Without it, what is left looks whole."""
    [head] = json.loads((await cli("audit", "head", "--json")).out)
    assert (await cli("audit", "verify", "-t", "acme", "--anchor", head["anchor"])).code == 0
    await tamper(rustok, "DELETE FROM audit_log WHERE number = 3")

    without = await cli("audit", "verify", "-t", "acme")
    anchored = await cli("audit", "verify", "-t", "acme", "--anchor", head["anchor"], "--json")

    assert (without.code, anchored.code) == (0, 1)
    assert [verdict["first_bad_row"] for verdict in json.loads(anchored.out)] == [3]


async def test_the_head_of_a_chain_without_rows_is_told(rustok: PlatformUnderTest, cli: Cli) -> None:
    """It is no anchor yet."""
    await rustok.create_tenant("acme")

    head = await cli("audit", "head", "-t", "acme", "--json")

    assert json.loads(head.out) == [{"tenant": "acme", "anchor": None}]


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("verify", "--anchor", f"3:{'0' * 64}"), 2, "An anchor is of one tenant"),
        (("verify", "-t", "acme", "--anchor", "3"), 2, "An anchor is NUMBER:HASH"),
        (("verify", "-t", "globex"), 1, "There is no tenant 'globex'"),
        (("head", "-t", "globex"), 1, "There is no tenant 'globex'"),
        (("list", "-t", "acme", "--type", "Access"), 1, "/type"),
        (("list", "-t", "acme", "-n", "101"), 2, "Invalid value for"),
    ],
)
async def test_a_wrong_call_is_told(cli: Cli, arguments: tuple[str, ...], code: int, complaint: str) -> None:
    """And what was wrong."""
    finished = await cli("audit", *arguments)

    assert finished.code == code
    assert complaint in " ".join(finished.err.replace("│", " ").split())
