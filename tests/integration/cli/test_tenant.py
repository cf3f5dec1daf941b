"""`rustok tenant`: what an operator does about a tenant."""

import json
import zipfile
from pathlib import Path
from uuid import UUID

import pytest

from rustok.testing import PlatformUnderTest
from tests.integration.cli.conftest import Cli


@pytest.fixture
async def acme(rustok: PlatformUnderTest) -> UUID:
    return await rustok.create_tenant("acme")


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_tenant_is_switched_off_and_on(rustok: PlatformUnderTest, cli: Cli) -> None:
    """By slug or by id; whoever lists or shows it sees which."""
    tenant = await rustok.create_tenant("acme")

    disabled = await cli("tenant", "disable", "acme", "--json")
    shown = await cli("tenant", "show", str(tenant), "--json")
    listed = await cli("tenant", "list", "--json")
    enabled = await cli("tenant", "enable", str(tenant), "--json")

    states = [json.loads(finished.out)[0]["is_active"] for finished in (disabled, shown, listed, enabled)]
    assert states == [False, False, False, True]


@pytest.mark.parametrize("verb", ["show", "disable", "enable"])
async def test_a_tenant_that_there_is_not_is_named(rustok: PlatformUnderTest, cli: Cli, verb: str) -> None:  # noqa: ARG001
    """By the code that HTTP has for it."""
    finished = await cli("tenant", verb, "acme")

    assert finished.code == 1
    assert "There is no tenant 'acme'" in finished.err
    assert "(tenant_not_found)" in finished.err


async def test_a_tenant_is_exported_to_a_file(rustok: PlatformUnderTest, cli: Cli, tmp_path: Path) -> None:
    """Also while it is switched off. The file is for whoever has asked for it alone."""
    tenant = await rustok.create_tenant("acme")
    await rustok.run("commerce.products.create", tenant, translations={"en": {"title": "Kettle"}})
    await cli("tenant", "disable", "acme")
    target = tmp_path / "acme.zip"

    exported = await cli("tenant", "export", "acme", "--to", str(target), "--json")
    again = await cli("tenant", "export", "acme", "--to", str(target))

    assert {row["table"]: row["rows"] for row in json.loads(exported.out)}["products"] == 1
    with zipfile.ZipFile(target) as archive:
        assert b"Kettle" in archive.read("product_translations.jsonl")
    assert target.stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == ["acme.zip"]
    assert (again.code, "exists: name another file" in again.err) == (2, True)


@pytest.mark.parametrize(
    ("slug", "target", "complaint"),
    [
        ("globex", "acme.zip", "There is no tenant 'globex'"),
        ("acme", "nowhere/acme.zip", "cannot be made: No such file or directory"),
        ("acme", ".", "is a directory"),
    ],
)
@pytest.mark.usefixtures("acme")
async def test_an_export_that_cannot_be_written_leaves_nothing(
    cli: Cli, tmp_path: Path, slug: str, target: str, complaint: str
) -> None:
    """And says why."""
    finished = await cli("tenant", "export", slug, "--to", str(tmp_path / target))

    assert finished.code > 0
    assert complaint in " ".join(finished.err.replace("│", " ").split())
    assert names_in(tmp_path) == []


async def test_a_tenant_is_erased_by_its_slug(rustok: PlatformUnderTest, cli: Cli) -> None:
    """What is left of it is that it was there, who has erased it, and how much that was."""
    tenant = await rustok.create_tenant("acme")
    await rustok.run("commerce.products.create", tenant, translations={"en": {"title": "Kettle"}})
    await cli("tenant", "disable", "acme")

    erased = await cli("tenant", "erase", "acme", "--yes-erase", "acme", "--json", USER="jane")
    listed = await cli("tenant", "erasures", "--json")
    gone = await cli("tenant", "show", "acme")

    [record] = json.loads(erased.out)
    assert (record["id"], record["requested_by"], record["rows"]["products"]) == (str(tenant), "operator:jane", 1)
    assert json.loads(listed.out) == [record]
    assert (gone.code, "(tenant_not_found)" in gone.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (("acme",), 2, "All that acme has is deleted for good: say --yes-erase acme"),
        (("acme", "--yes-erase", "globex"), 2, "say --yes-erase acme"),
        (("acme", "--yes-erase", "acme"), 1, "Switch the tenant off first"),
        (("globex", "--yes-erase", "globex"), 1, "There is no tenant 'globex'"),
    ],
)
async def test_nothing_is_erased_by_mistake(
    rustok: PlatformUnderTest, cli: Cli, words: tuple[str, ...], code: int, complaint: str
) -> None:
    """Its slug has to be said once more, and it has to be switched off."""
    await rustok.create_tenant("acme")

    finished = await cli("tenant", "erase", *words)

    assert finished.code == code
    assert complaint in " ".join(finished.err.replace("│", " ").split())
    assert json.loads((await cli("tenant", "list", "--json")).out)[0]["is_being_erased"] is False


async def test_domains_are_added_listed_and_removed(rustok: PlatformUnderTest, cli: Cli) -> None:
    """In the form that requests have."""
    await rustok.create_tenant("acme")

    added = await cli("tenant", "domain", "add", "acme", "Bücher.example", "--json")
    listed = await cli("tenant", "domain", "list", "acme", "--json")
    removed = await cli("tenant", "domain", "remove", "acme", "bücher.example", "--json")

    assert json.loads(listed.out) == [{"domain": "xn--bcher-kva.example"}]
    domains = [json.loads(finished.out)[0]["domains"] for finished in (added, removed)]
    assert domains == [["xn--bcher-kva.example"], []]


async def test_a_storefront_is_opened_and_closed(rustok: PlatformUnderTest, cli: Cli) -> None:
    """It is closed unless somebody opens it."""
    await rustok.create_tenant("acme")

    finished = [
        await cli("tenant", *words, "acme", "--json")
        for words in (("show",), ("storefront", "open"), ("storefront", "close"))
    ]

    assert [json.loads(each.out)[0]["has_storefront"] for each in finished] == [False, True, False]


@pytest.mark.parametrize(
    ("domain", "complaint"),
    [
        ("globex.example", "Another tenant has this domain"),
        ("http://shop.example", "is no name of a domain"),
        ("acme.shops.example", "Below shops.example, RUSTOK_TENANT_BASE_DOMAIN"),
    ],
)
async def test_a_domain_that_cannot_be_the_tenants_is_refused(
    rustok: PlatformUnderTest, cli: Cli, domain: str, complaint: str
) -> None:
    """And why, in one line."""
    await rustok.create_tenant("acme")
    await rustok.run("tenants.domains.add", await rustok.create_tenant("globex"), domain="globex.example")

    finished = await cli("tenant", "domain", "add", "acme", domain, RUSTOK_TENANT_BASE_DOMAIN="Shops.example")

    assert finished.code == 1
    assert complaint in finished.err
