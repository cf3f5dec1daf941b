"""The pages for people, `/docs` and `/docs/errors`: whole, safe, and of use without a network."""

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

from api.batches import batch_commands
from api.docs_page import docs_page
from api.openapi import build_document
from rustok.catalog import MODULES
from rustok.kernel.registry import build_registry
from tests.integration.api.refresh_openapi import document
from tests.integration.api.support import ApiUnderTest
from tests.unit.modules_by_hand import a_command, a_query, lamps

REGISTRY = build_registry(MODULES)
PAGES = ("/docs", "/docs/errors")
HOSTILE = "</pre><script>alert('x')</script>&\"'"


async def shown(api: ApiUnderTest, path: str) -> Element:
    """Return a page as everybody gets it, which is well-formed XML below its doctype."""
    answer = await api.client.get(path, headers={"Authorization": ""})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return parsed(answer.text)


def parsed(text: str) -> Element:
    doctype, _, html = text.partition("\n")
    assert doctype == "<!doctype html>"
    return fromstring(html)  # noqa: S314 - our own page


def ids(page: Element) -> list[str]:
    return [element.attrib["id"] for element in page.iter() if "id" in element.attrib]


def links(page: Element) -> Iterator[str]:
    return (element.attrib["href"] for element in page.iter("a"))


async def test_every_operation_is_on_the_page(shared_api: ApiUnderTest) -> None:
    """By the id that it has in the OpenAPI document, batches too; each once."""
    found = ids(await shown(shared_api, "/docs"))

    commands = {name for name, command in REGISTRY.commands.items() if command.route is not None}
    batches = {f"{module.name}.batch" for module in REGISTRY.modules if batch_commands(REGISTRY, module)}
    assert set(found) >= commands | batches | REGISTRY.queries.keys()
    assert len(set(found)) == len(found)


async def test_every_link_leads_somewhere(shared_api: ApiUnderTest) -> None:
    """To a place on the page, to a code on the page of errors, or to a document of this API."""
    page, errors = [await shown(shared_api, path) for path in PAGES]
    targets = {f"#{name}" for name in ids(page)} | {f"/docs/errors#{code}" for code in ids(errors)}
    documents = {link for link in links(page) if "#" not in link}

    assert documents == {"/api/openapi.json", "/api/v1/events/types", "/docs/errors"}
    assert set(links(page)) - documents <= targets
    for path in documents:
        assert (await shared_api.client.get(path, headers={"Authorization": ""})).status_code == 200


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_takes_nothing_from_elsewhere_and_runs_nothing(shared_api: ApiUnderTest, path: str) -> None:
    """Its policy lets in the style that it has itself, and nothing else."""
    answer = await shared_api.client.get(path)
    page = parsed(answer.text)

    style = "".join(element.text or "" for element in page.iter("style"))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert answer.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert "://" not in answer.text
    assert "url(" not in style
    assert not {"script", "link", "img", "iframe", "form", "object"} & {element.tag for element in page.iter()}
    assert not [
        name for element in page.iter() for name in element.attrib if name in ("src", "style") or name[:2] == "on"
    ]


def examples() -> dict[str, list[str]]:
    """Return the words of each request on the page, as a shell sees them."""
    page = parsed(docs_page(document()))
    return {
        article.attrib["id"]: shlex.split((article.findtext("pre") or "").replace("\\\n", " "))
        for article in page.iter("article")
    }


EXAMPLES = examples()
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, methods in document()["paths"].items()
    for method, operation in methods.items()
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_example_is_a_request_that_a_shell_takes(name: str) -> None:
    """With the body of the document, unharmed by quotes, and what it must have in its headers."""
    method, path, operation = OPERATIONS[name]
    curl, *words = EXAMPLES[name]

    assert curl == "curl"
    assert (words[words.index("-X") + 1] if "-X" in words else "GET") == method
    [url] = [word for word in words if word.startswith("$RUSTOK_URL")]
    pattern = re.sub(r"\\{[a-z_]+\\}", "[^/{}]+", re.escape(path))
    assert re.fullmatch(pattern, url.removeprefix("$RUSTOK_URL").partition("?")[0])
    assert "Authorization: Bearer $RUSTOK_TOKEN" in words
    required = [p["name"] for p in operation["parameters"] if p.get("in") == "header" and p.get("required")]
    assert all(any(word.startswith(f"{header}: ") for word in words) for header in required)
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    assert (json.loads(words[words.index("-d") + 1]) if "-d" in words else None) == (body and body["example"])


async def test_an_operation_tells_its_fields_and_their_limits(shared_api: ApiUnderTest) -> None:
    """Also those below others."""
    page = await shown(shared_api, "/docs")
    [article] = [a for a in page.iter("article") if a.attrib["id"] == "commerce.products.create"]

    rows = {
        cells[0]: cells[1:] for tr in article.iter("tr") if len(cells := ["".join(td.itertext()) for td in tr]) == 4
    }

    assert rows["tags"] == ["array of string", "", "at most 250 items"]
    assert rows["translations"][:2] == ["object", "yes"]
    assert rows["translations.*.title"][:2] == ["string", "yes"]
    assert rows["variants[].prices.*.amount"] == ["integer", "yes", "at least 0; at most 9007199254740991"]
    assert rows["status"] == ["string", "", "one of draft, active; default draft"]


def test_what_a_module_says_is_text() -> None:
    """Not markup: neither its summaries nor its examples."""
    commands = (a_command(summary=HOSTILE, input=hostile_input()),)
    made = build_document(
        build_registry([lamps(summary=HOSTILE, commands=commands, queries=(a_query(summary=HOSTILE),))])
    )

    page = parsed(docs_page(made))

    texts = "".join(page.itertext())
    assert texts.count(HOSTILE) >= 4
    assert "script" not in {element.tag for element in page.iter()}


def hostile_input() -> Any:
    light = a_command().input
    example: Mapping[str, str] = {"lamp_id": "hall-1", "note": HOSTILE}
    return type("Hostile", (light,), {"__module__": __name__, "__annotations__": {"note": str}, "example": example})
