"""What becomes of schemas and operations that the present document does not have, in the typed client."""

from typing import Any

import pytest

from tests.client_code.hints import Answered, Sent
from tests.client_code.models import models_file
from tests.client_code.modules import modules_files

ANSWERS = {"$ref": "#/components/responses/404.module_off.brand_not_found"}


def document(result: str = "Brand", **described: Any) -> dict[str, Any]:
    """Return a document with one operation, which answers a *result*."""
    operation = {
        "operationId": "brands.brands.get",
        "summary": "Read a brand",
        "x-permission": "brands.brands.read",
        "parameters": [{"in": "path", "name": "brand_id", "schema": {"type": "string", "format": "uuid"}}],
        "responses": {
            "200": {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{result}"}}}},
            "404": ANSWERS,
        },
        **described,
    }
    schema = {
        "properties": {"name": {"type": "string"}, "parent": {"anyOf": [{"type": "null"}, {"type": "string"}]}},
        "required": ["name"],
    }
    return {
        "tags": [{"name": "brands", "description": "Brands."}],
        "paths": {"/api/v1/brands/brands/{brand_id}": {"get": operation}},
        "components": {"schemas": {result: schema}},
    }


def made(document: dict[str, Any]) -> str:
    """Return the module and the models of *document*."""
    schemas = document["components"]["schemas"]
    sent, answered = Sent(schemas), Answered(schemas)
    return modules_files(document, sent, answered)["brands.py"] + models_file(schemas, sent, answered)


def test_an_operation_is_a_method_that_is_told_by_its_docstring() -> None:
    """What it does, which permission it takes, and what may speak against it of its own."""
    code = made(document())

    assert "async def get(self, brand_id: UUID | str) -> Brand:" in code
    assert "Takes the permission `brands.brands.read`.\n        Problems: `brand_not_found`." in code
    assert "class Brand(Struct, frozen=True, kw_only=True):" in code
    assert "    name: str\n    parent: str | None = None\n" in code


def test_an_operation_that_is_to_go_says_so() -> None:
    """In an editor, before anybody has called it."""
    code = made(document(deprecated=True, description="Use brands.marks.get."))

    assert "Deprecated: Use brands.marks.get." in code


@pytest.mark.parametrize("name", ["Command", "Brands", "UUID"])
def test_a_schema_whose_name_the_client_has_for_something_else_is_refused(name: str) -> None:
    """The one would hide the other, and the method would promise the wrong thing."""
    with pytest.raises(ValueError, match=rf"rename these schemas.*\['{name}'\]"):
        made(document(name))
