"""`rustok import products`: what is good gets in once, what is bad is named, nothing stops the rest."""

import gzip
import json
from pathlib import Path
from typing import Any

from rustok.testing import PlatformUnderTest
from tests.integration.cli.conftest import Cli


def a_line(number: int, **fields: Any) -> str:
    product = {
        "status": "active",
        "translations": {"en": {"title": f"Product {number}"}},
        "variants": [{"sku": f"SKU-{number}"}],
        **fields,
    }
    return json.dumps(product)


def write(file: Path, lines: list[str]) -> Path:
    file.write_text("\n".join(lines) + "\n")
    return file


async def test_bad_lines_are_named_and_skipped(rustok: PlatformUnderTest, cli: Cli, tmp_path: Path) -> None:
    """Each bad line is reported with its number and code; every good line of the file is imported."""
    tenant = await rustok.create_tenant("acme")
    file = write(
        tmp_path / "products.jsonl",
        [
            a_line(1),
            "{not json",
            a_line(3, colour="red"),
            "[]",
            a_line(1, translations={"en": {"title": "Another"}}),
            a_line(6, translations={"en": {"title": "nul \0"}}),
            a_line(7),
        ],
    )

    finished = await cli("import", "products", str(file), "--tenant", "acme", "--json")

    assert finished.code == 0
    assert json.loads(finished.out)[0] | {"source": ""} == {
        "source": "",
        "next_line": 8,
        "imported": 2,
        "rejected": 5,
    }
    reported = [line for line in finished.err.splitlines() if " skipped: " in line]
    assert [line.partition(" skipped")[0] for line in reported] == [f"line {n}" for n in (2, 3, 4, 6, 5)]
    assert [line.rpartition("(")[2] for line in reported] == [
        "malformed_json)",
        *["invalid_input)"] * 3,
        "duplicate_sku)",
    ]
    titles = {p.translations["en"].title for p in (await rustok.query("commerce.products.list", tenant)).data}
    assert titles == {"Product 1", "Product 7"}


async def test_a_line_is_read_as_strictly_as_a_request(rustok: PlatformUnderTest, cli: Cli, tmp_path: Path) -> None:
    """What the API refuses as a body is refused as a line: a file gets nothing in that a request could not."""
    await rustok.create_tenant("acme")
    seo = '"translations": {"en": {"title": "Kettle"}}, "seo"'
    odd = {
        f'{{{seo}: {{"a": 1, "a": 2}}}}': "/seo: must not hold a name twice",
        f'{{{seo}: {{"a": {"[" * 40}{"]" * 40}}}}}': "must not be nested deeper than 32",
        f'{{{seo}: {{"a": 9223372036854775808}}}}': "/seo/a: integers must fit 64 bits",
        f'{{{seo}: {{"a": NaN}}}}': "NaN and Infinity are no JSON numbers",
    }
    file = write(tmp_path / "products.jsonl", list(odd))

    finished = await cli("import", "products", str(file), "-t", "acme", "--json")

    [progress] = json.loads(finished.out)
    assert (progress["imported"], progress["rejected"]) == (0, 4)
    reported = [line for line in finished.err.splitlines() if " skipped: " in line]
    assert [line.partition(" skipped")[0] for line in reported] == [f"line {n}" for n in (1, 2, 3, 4)]
    for line, reason in zip(reported, odd.values(), strict=True):
        assert reason in line


async def test_an_import_is_taken_up_where_it_stopped(rustok: PlatformUnderTest, cli: Cli, tmp_path: Path) -> None:
    """The progress commits with the products: repeating a finished import changes nothing."""
    tenant = await rustok.create_tenant("acme")
    file = tmp_path / "products.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(a_line(n) for n in range(450)).encode()))
    first = await cli("import", "products", str(file), "-t", "acme", "--json")

    second = await cli("import", "products", str(file), "-t", "acme", "--json")

    assert first.out == second.out
    assert "going on at line 451" in second.err
    async with rustok.system_engine.connect() as connection:
        rows = await connection.exec_driver_sql(f"SELECT count(*) FROM products WHERE tenant_id = '{tenant}'")
        assert rows.scalar_one() == 450


async def test_a_debian_record_becomes_a_product_in_each_of_its_languages(
    rustok: PlatformUnderTest, cli: Cli, tmp_path: Path
) -> None:
    """Handles that would collide are numbered; the price is derived from the size."""
    tenant = await rustok.create_tenant("acme")
    records = [
        {
            "sku": sku,
            "vendor": "Somebody",
            "section": "games",
            "size_bytes": 50_000,
            "homepage": None,
            "tags": ["role::program"],
            "translations": {"en": {"title": "Game", "description": ""}, "ru": {"title": "Игра", "description": ""}},
        }
        for sku in ("g++", "g-plus-plus", "g.plus.plus")
    ]
    file = write(tmp_path / "packages.jsonl", [json.dumps(record) for record in records])

    finished = await cli("import", "products", str(file), "-t", "acme", "--shape", "debian")
    assert finished.code == 0, finished.err
    await rustok.settle()

    russian = await rustok.query("index.products.search", tenant, locale="ru", q="игры", sort="title")
    assert [hit.handle for hit in russian.data] == ["g-plus-plus", "g-plus-plus-2", "g-plus-plus-3"]
    assert {hit.price_min for hit in russian.data} == {100 + 50_000 % 49_900}


async def test_a_damaged_file_gives_what_it_has(rustok: PlatformUnderTest, cli: Cli, tmp_path: Path) -> None:
    """Lines before the damage are imported; the rest is one coded line."""
    tenant = await rustok.create_tenant("acme")
    whole = gzip.compress("\n".join(a_line(n) for n in range(5_000)).encode())
    file = tmp_path / "products.jsonl.gz"
    file.write_bytes(whole[: len(whole) // 2])

    finished = await cli("import", "products", str(file), "-t", "acme")

    assert finished.code == 1
    assert "The compressed file is damaged" in finished.err
    assert (await rustok.query("commerce.products.list", tenant, limit="1")).data != []


async def test_odd_lines_never_stop_the_rest(rustok: PlatformUnderTest, cli: Cli, tmp_path: Path) -> None:
    """Records of another shape, endless lines, values that no index can hold: each is one rejected line."""
    tenant = await rustok.create_tenant("acme")
    good = {"sku": "good", "size_bytes": 1, "translations": {"en": {"title": "Good", "description": ""}}}
    lines = [
        json.dumps({**good, "translations": {"en": "text"}}),
        json.dumps({**good, "translations": ["en"]}),
        json.dumps({**good, "size_bytes": "many"}),
        json.dumps({**good, "vendor": "x" * 2_000_000}),
        json.dumps(good),
    ]

    file = str(write(tmp_path / "odd.jsonl", lines))
    finished = await cli("import", "products", file, "-t", "acme", "--shape", "debian", "--json")

    [progress] = json.loads(finished.out)
    assert (progress["imported"], progress["rejected"]) == (1, 4)
    assert [p.variants[0].sku for p in (await rustok.query("commerce.products.list", tenant)).data] == ["good"]


async def test_the_wrong_shape_does_not_use_a_file_up(rustok: PlatformUnderTest, cli: Cli, tmp_path: Path) -> None:
    """Progress belongs to a file in a shape: the same file in its true shape starts at its first line."""
    await rustok.create_tenant("acme")
    record = {"sku": "good", "size_bytes": 1, "translations": {"en": {"title": "Good", "description": ""}}}
    file = str(write(tmp_path / "packages.jsonl", [json.dumps(record)]))
    await cli("import", "products", file, "-t", "acme")

    finished = await cli("import", "products", file, "-t", "acme", "--shape", "debian", "--json")

    assert json.loads(finished.out)[0]["imported"] == 1


async def test_an_import_for_an_unknown_tenant_changes_nothing(cli: Cli, tmp_path: Path) -> None:
    """A wrong tenant is one clear line with its code."""
    file = write(tmp_path / "products.jsonl", [a_line(1)])

    finished = await cli("import", "products", str(file), "--tenant", "nobody")

    assert finished.code == 1
    assert "There is no tenant 'nobody'" in finished.err
    assert "(tenant_not_found)" in finished.err
