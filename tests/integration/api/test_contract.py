"""A change of the API that breaks its clients is found; one that does not is let be."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.integration.api.contract import Contract, broken, promised
from tests.integration.api.refresh_openapi import document

DOCUMENT = document()
PRODUCTS = "/api/v1/commerce/products"

Change = Callable[[dict[str, Any]], object]


def schemas(openapi: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = openapi["components"]["schemas"]
    return found


def answers(openapi: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = openapi["paths"][PRODUCTS]["post"]["responses"]
    return found


BREAKING: dict[str, tuple[Change, str]] = {
    "a route goes": (lambda d: d["paths"].pop(PRODUCTS), f"no longer accepts POST {PRODUCTS}"),
    "a method goes": (lambda d: d["paths"][PRODUCTS].pop("post"), f"no longer accepts POST {PRODUCTS}"),
    "a field is not taken": (
        lambda d: schemas(d)["CreateProduct"]["properties"].pop("vendor"),
        f"no longer accepts POST {PRODUCTS} body /vendor string",
    ),
    "a field is demanded": (
        lambda d: schemas(d)["CreateProduct"]["required"].append("vendor"),
        f"now requires POST {PRODUCTS} body /vendor",
    ),
    "a field below is demanded": (
        lambda d: schemas(d)["PriceInput"]["required"].append("compare_at"),
        f"now requires POST {PRODUCTS} body /variants/-/prices/*/compare_at",
    ),
    "a value is not taken": (
        lambda d: schemas(d)["CreateProduct"]["properties"]["status"]["enum"].remove("draft"),
        f"no longer accepts POST {PRODUCTS} body /status = draft",
    ),
    "a limit is lower": (
        lambda d: schemas(d)["CreateProduct"]["properties"]["tags"].update(maxItems=10),
        f"now requires POST {PRODUCTS} body /tags maxItems 10",
    ),
    "a type is another": (
        lambda d: schemas(d)["PriceInput"]["properties"]["amount"].update(type="string"),
        f"no longer accepts POST {PRODUCTS} body /variants/-/prices/*/amount integer",
    ),
    "a parameter goes": (
        lambda d: d["paths"][PRODUCTS]["get"].update(parameters=[]),
        f"no longer accepts GET {PRODUCTS} query limit integer",
    ),
    "a field is not answered": (
        lambda d: schemas(d)["Product"]["properties"].pop("vendor"),
        f"no longer answers POST {PRODUCTS} 201 /vendor string",
    ),
    "a field may be null": (
        lambda d: schemas(d)["Product"]["properties"].update(status={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        f"now answers POST {PRODUCTS} 201 /status null",
    ),
    "a field may be missing": (
        lambda d: schemas(d)["Product"]["required"].remove("status"),
        f"no longer answers POST {PRODUCTS} 201 /status always",
    ),
    "a header is not answered": (
        lambda d: d["paths"][PRODUCTS]["post"]["responses"]["201"]["headers"].pop("Location"),
        f"no longer answers POST {PRODUCTS} 201 header Location",
    ),
    "a success has another status": (
        lambda d: answers(d).update({"200": answers(d).pop("201")}),
        f"no longer answers POST {PRODUCTS} 201",
    ),
}

HARMLESS: dict[str, Change] = {
    "a new field may be sent": lambda d: schemas(d)["CreateProduct"]["properties"].update(colour={"type": "string"}),
    "a new field has a limit": lambda d: schemas(d)["CreateProduct"]["properties"].update(
        colour={"type": "string", "maxLength": 7}
    ),
    "a new object has a member that it needs": lambda d: schemas(d)["CreateProduct"]["properties"].update(
        size={"type": "object", "required": ["mm"], "properties": {"mm": {"type": "integer"}}}
    ),
    "a new header is answered": lambda d: answers(d)["201"]["headers"].update(Link={"schema": {"type": "string"}}),
    "a new field is answered": lambda d: schemas(d)["Product"]["properties"].update(colour={"type": "string"}),
    "a new value is taken": lambda d: schemas(d)["CreateProduct"]["properties"]["status"]["enum"].append("hidden"),
    "a limit is higher": lambda d: schemas(d)["CreateProduct"]["properties"]["tags"].update(maxItems=1000),
    "a new route": lambda d: d["paths"].update({"/api/v1/forum": d["paths"][PRODUCTS]}),
    "a field need not be sent": lambda d: schemas(d)["CreateProduct"].pop("required"),
    "an error is not made any more": lambda d: d["paths"][PRODUCTS]["post"]["responses"].pop("409"),
    "other words": lambda d: schemas(d)["Product"].update(description="Something to sell."),
}


def test_the_api_keeps_its_promise() -> None:
    """What it promised once holds in this version; `python -m tests.integration.api.contract` adds to the promise."""
    assert promised()
    assert broken(promised(), Contract(DOCUMENT).lines()) == []


@pytest.mark.parametrize(("change", "fault"), BREAKING.values(), ids=BREAKING)
def test_what_breaks_clients_is_named(change: Change, fault: str) -> None:
    """With its place."""
    changed = deepcopy(DOCUMENT)
    change(changed)

    assert fault in broken(Contract(DOCUMENT).lines(), Contract(changed).lines())


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_breaks_no_client_is_let_be(change: Change) -> None:
    """Clients ignore what they do not know."""
    changed = deepcopy(DOCUMENT)
    change(changed)

    assert broken(Contract(DOCUMENT).lines(), Contract(changed).lines()) == []
