"""Every event of the catalog has a JSON Schema that other systems can rely on."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from rustok.catalog import MODULES
from rustok.kernel.registry import build_registry

SCHEMAS = build_registry(MODULES).event_schemas()


def test_every_event_of_the_catalog_has_a_schema() -> None:
    """Keyed `type.vN`."""
    assert set(SCHEMAS) == {f"{event.type}.v{event.version}" for module in MODULES for event in module.events}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_the_schema_is_valid(schema: dict[str, Any]) -> None:
    """JSON Schema, draft 2020-12, as it says of itself."""
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]

    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_the_example_fits_the_schema(schema: dict[str, Any]) -> None:
    """The example is the documentation."""
    [example] = schema["examples"]

    checker = Draft202012Validator.FORMAT_CHECKER
    assert [e.message for e in Draft202012Validator(schema, format_checker=checker).iter_errors(example)] == []


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_the_schema_refuses_what_the_event_does_not_declare(schema: dict[str, Any]) -> None:
    """A field that appears in a payload without appearing in the schema would be a silent breach."""
    [example] = schema["examples"]

    assert not Draft202012Validator(schema).is_valid({**example, "something_else": 1})
