"""The OpenAPI document: complete, sound, and changed on purpose only."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # ships no types

from api.entrances import ENTRANCES
from rustok.catalog import MODULES
from rustok.kernel.registry import build_registry, placeholders
from tests.integration.api.refresh_openapi import SNAPSHOT, document
from tests.integration.api.support import ApiUnderTest

REGISTRY = build_registry(MODULES)
DOCUMENT = document()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def resolve(reference: str) -> Any:
    found: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def answer_of(operation: dict[str, Any], status: str) -> dict[str, Any]:
    answer: dict[str, Any] = operation["responses"][status]
    return resolve(answer["$ref"]) if "$ref" in answer else answer


def codes_of(operation: dict[str, Any], status: str) -> set[str]:
    return set(answer_of(operation, status)["content"]["application/problem+json"]["examples"])


def references(value: Any) -> Iterator[str]:
    return (match for match in re.findall(r'"\$ref": "([^"]+)"', json.dumps(value)))


def test_the_document_is_the_snapshot() -> None:
    """A change of the public face is seen in review: `python -m tests.integration.api.refresh_openapi`."""
    assert json.loads(SNAPSHOT.read_text()) == DOCUMENT, test_the_document_is_the_snapshot.__doc__


async def test_the_document_is_served(shared_api: ApiUnderTest) -> None:
    """To everybody: it tells nothing of a tenant."""
    response = await shared_api.client.get("/api/openapi.json", headers={"Authorization": ""})

    assert (response.status_code, response.json()) == (200, DOCUMENT)


def test_every_operation_with_a_route_is_described() -> None:
    """By its name, which is the operation's id."""
    commands = {name for name, command in REGISTRY.commands.items() if command.route is not None}
    batches = {f"{name.partition('.')[0]}.batch" for name in commands}

    assert {operation["operationId"] for *_, operation in operations()} == (
        commands | REGISTRY.queries.keys() | batches | {entrance.name for entrance in ENTRANCES}
    )


def test_every_reference_resolves() -> None:
    """And every schema is referred to."""
    found = set(references(DOCUMENT))

    for reference in found:
        resolve(reference)
    assert {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]} <= found


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_every_schema_is_a_json_schema(name: str) -> None:
    """2020-12, the dialect of OpenAPI 3.1."""
    Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_every_operation_has_its_parts() -> None:
    """Permission, parameters of the path, a result, and problems with examples of their codes."""
    for _method, path, operation in operations():
        if operation.get("security") != [{}] and not operation["operationId"].endswith(".batch"):
            assert operation["x-permission"] in REGISTRY.permissions
        in_path = [p["name"] for p in operation["parameters"] if p.get("in") == "path"]
        assert in_path == list(placeholders(path)), path
        for status in operation["responses"]:
            answer = answer_of(operation, status)
            assert "X-Request-Id" in answer["headers"]
            if status >= "400":
                content = answer["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                for code, example in content["examples"].items():
                    value = resolve(example["$ref"])["value"]
                    assert (value["code"], str(value["status"])) == (code, status)


def test_every_example_is_a_problem() -> None:
    """Examples fit the schema that they stand for."""
    validator = Draft202012Validator(DOCUMENT["components"]["schemas"]["Problem"])

    for example in DOCUMENT["components"]["examples"].values():
        validator.validate(example["value"])


def test_every_body_and_every_path_has_an_example() -> None:
    """One that its schema takes, to begin with; the registry has tried the whole of it."""
    for _method, path, operation in operations():
        for parameter in operation["parameters"]:
            if parameter.get("in") == "path":
                assert "example" in parameter, path
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = {**content["schema"], "components": DOCUMENT["components"]}
            Draft202012Validator(schema).validate(content["example"])


def test_a_command_tells_its_body_its_headers_and_its_errors() -> None:
    """Fields of the path are not part of the body."""
    operation = DOCUMENT["paths"]["/api/v1/commerce/products/{product_id}/translations/{locale}"]["put"]

    body = resolve(operation["requestBody"]["content"]["application/json"]["schema"]["$ref"])
    assert body["required"] == ["title"]
    assert set(body["properties"]) == {"title", "handle", "description", "meta_title", "meta_description"}
    assert {p["name"]: p["required"] for p in operation["parameters"] if p.get("in") == "header"} == {"If-Match": True}
    assert operation["responses"].keys() == {
        "200", "400", "401", "403", "404", "408", "409", "412", "413", "415", "422", "428", "429", "500", "503",
    }  # fmt: skip
    assert codes_of(operation, "409") == {"duplicate_handle"}


def test_a_post_tells_of_idempotency() -> None:
    """The key, the replay, and what may go wrong with it."""
    operation = DOCUMENT["paths"]["/api/v1/commerce/products"]["post"]

    assert {"$ref": "#/components/parameters/IdempotencyKey"} in operation["parameters"]
    assert {"ETag", "Location", "Idempotent-Replayed"} <= operation["responses"]["201"]["headers"].keys()
    assert {"request_in_progress", "duplicate_handle"} <= codes_of(operation, "409")


def test_what_reads_the_index_tells_how_to_read_ones_own_writes() -> None:
    """The token that a write answers, the preferences, and what comes of them."""
    write = DOCUMENT["paths"]["/api/v1/commerce/products"]["post"]
    search = DOCUMENT["paths"]["/api/v1/search/products"]["get"]
    listing = DOCUMENT["paths"]["/api/v1/commerce/products"]["get"]

    assert "RusToK-Consistency" in write["responses"]["201"]["headers"]
    for name in ("Consistency", "Prefer"):
        reference = {"$ref": f"#/components/parameters/{name}"}
        assert (reference in search["parameters"], reference in listing["parameters"]) == (True, False)
    assert {"RusToK-Freshness", "Preference-Applied"} <= search["responses"]["200"]["headers"].keys()
    assert "projection_lagging" in codes_of(search, "503")


def test_a_query_tells_its_parameters() -> None:
    """A parameter that may be left out has no null; a list is an array."""
    operation = DOCUMENT["paths"]["/api/v1/search/products"]["get"]

    parameters = {p["name"]: p for p in operation["parameters"] if p.get("in") == "query"}
    assert parameters["locale"]["required"] is True
    assert parameters["tags"]["schema"]["type"] == "array"
    assert parameters["q"]["schema"] == {"title": "Q", "type": "string", "minLength": 1, "maxLength": 200}
    assert "requestBody" not in operation
