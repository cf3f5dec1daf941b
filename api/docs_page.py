"""`/docs`: the OpenAPI document as a page for people, with a request to copy for each operation."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api import event_types, openapi
from api.deprecation import DOCS_PATH
from api.docs_fields import fields, kind, remarks, resolve
from api.errors import DOCS_PATH as ERRORS_PATH
from api.errors import MEDIA_TYPE
from api.html import Html, answer, element, join, page, prose, row, table
from rustok.kernel.registry import Registry

_SENT = {"If-Match": '"1"', "Idempotency-Key": "6f1f7b1e-0c1c-4a57-8f0e-0d3c5a0f1a11"}
"""What the examples have in headers."""

Json = Mapping[str, Any]


class _Operation(NamedTuple):
    method: str
    path: str
    described: Json


def docs_route(registry: Registry) -> Route:
    """Return the route of the page, which is made when it is first asked for."""
    made: list[Html] = []

    async def show(_request: Request) -> Response:
        if not made:
            made.append(docs_page(openapi.build_document(registry)))
        return answer(made[0])

    return Route(DOCS_PATH, show)


def docs_page(document: Json) -> Html:
    """Return the page of an OpenAPI document."""
    operations = [
        _Operation(method.upper(), path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    by_tag = {name: [each for each in operations if name in each.described["tags"]] for name in tags}
    sections = [
        element(
            "section",
            element("h2", name, id=name),
            element("p", prose(tags[name])),
            *(_article(document, each) for each in of_tag),
        )
        for name, of_tag in by_tag.items()
    ]
    return page("The RusToK API", _introduction(), _contents(by_tag), *sections)


def _introduction() -> Html:
    return element(
        "p",
        "Every operation, made from what the modules declare. The same for programs: ",
        element("a", "OpenAPI 3.1", href=openapi.PATH),
        ". What an error means: ",
        element("a", "error codes", href=ERRORS_PATH),
        ". What happens, for whoever follows it: ",
        element("a", "types of events", href=event_types.PATH),
        prose(". In the examples `RUSTOK_URL` is the address of this API and `RUSTOK_TOKEN` an API key."),
    )


def _contents(by_tag: Mapping[str, Sequence[_Operation]]) -> Html:
    return element(
        "nav",
        *(
            element("details", element("summary", f"{name} ({len(of_tag)})"), element("ul", *map(_link, of_tag)))
            for name, of_tag in by_tag.items()
        ),
    )


def _link(operation: _Operation) -> Html:
    described = operation.described
    return element("li", element("a", described["summary"], href=f"#{described['operationId']}"))


def _article(document: Json, operation: _Operation) -> Html:
    described = operation.described
    parameters = [resolve(document, parameter) for parameter in described["parameters"]]
    body = described.get("requestBody", {}).get("content", {}).get("application/json")
    return element(
        "article",
        element("h3", element("span", operation.method, class_="method"), " ", element("code", operation.path)),
        element("p", described["summary"]),
        *_about(described),
        *_part("Parameters", ("Name", "In", "Type", "Required", "Remarks"), _parameters(document, parameters)),
        *_part("Body", ("Field", "Type", "Required", "Remarks"), _body(document, body)),
        element("h4", "Example"),
        element("pre", _curl(operation, parameters, body)),
        *_part("Answers", ("Status", "What"), _answers(document, described["responses"])),
        id=described["operationId"],
    )


def _about(described: Json) -> Iterator[Html]:
    if "description" in described:
        attributes = {"class_": "warning"} if described.get("deprecated") else {}
        yield element("p", prose(described["description"]), **attributes)
    told = f"`{described['operationId']}`"
    if "x-permission" in described:
        told += f", permission `{described['x-permission']}`"
    yield element("p", prose(told), class_="soft")


def _part(title: str, heads: Sequence[str], rows: Sequence[Html]) -> Sequence[Html]:
    return [element("h4", title), table(heads, rows)] if rows else []


def _parameters(document: Json, parameters: Sequence[Json]) -> Sequence[Html]:
    return [
        row(
            element("code", each["name"]),
            each["in"],
            kind(document, each["schema"]),
            _yes(is_true=each.get("required", False)),
            prose("; ".join(filter(None, [each.get("description"), remarks(document, each["schema"])]))),
        )
        for each in parameters
    ]


def _body(document: Json, body: Json | None) -> Sequence[Html]:
    found = fields(document, body["schema"]) if body else ()
    return [row(element("code", f.place), f.kind, _yes(is_true=f.is_required), prose(f.remarks)) for f in found]


def _yes(*, is_true: bool) -> str:
    return "yes" if is_true else ""


def _answers(document: Json, responses: Json) -> Sequence[Html]:
    return [row(status, _answer(document, resolve(document, each))) for status, each in responses.items()]


def _answer(document: Json, described: Json) -> Html:
    content = described.get("content", {})
    if MEDIA_TYPE in content:
        codes = content[MEDIA_TYPE]["examples"]
        return join(*(join(element("a", code, href=f"{ERRORS_PATH}#{code}"), " ") for code in codes))
    found = [field for each in content.values() for field in fields(document, each["schema"])]
    if not found:
        return join(described["description"])
    rows = [row(element("code", field.place), field.kind, prose(field.remarks)) for field in found]
    return element("details", element("summary", described["description"]), table(("Field", "Type", "Remarks"), rows))


def _curl(operation: _Operation, parameters: Sequence[Json], body: Json | None) -> str:
    """Return a request that a shell takes, made of the document's examples."""
    examples = {each["name"]: each["example"] for each in parameters if "example" in each}
    in_query = [each["name"] for each in parameters if each["in"] == "query" and "example" in each]
    query = urlencode({name: examples[name] for name in in_query}, doseq=True)
    url = operation.path.format_map(examples) + (f"?{query}" if query else "")
    method = "" if operation.method == "GET" else f"-X {operation.method} "
    lines = [
        f'curl {method}"$RUSTOK_URL"{shlex.quote(url)}',
        '-H "Authorization: Bearer $RUSTOK_TOKEN"',
        *(f"-H {shlex.quote(f'{name}: {_SENT[name]}')}" for name in _shown_headers(parameters)),
    ]
    if body:
        example = json.dumps(body["example"], ensure_ascii=False)
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(example)}"]
    return " \\\n  ".join(lines)


def _shown_headers(parameters: Sequence[Json]) -> Iterator[str]:
    for each in parameters:
        if each["name"] == "Idempotency-Key" or (each["in"] == "header" and each.get("required")):
            yield each["name"]
