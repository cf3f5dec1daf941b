"""JSON Schemas as people read them: a line for each field, with its place, its type and its limits."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Schema = Mapping[str, Any]

_DEPTH = 4
_LIMITS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} fields",
    "maxProperties": "at most {} fields",
    "pattern": "pattern `{}`",
}


class Field(NamedTuple):
    """`place` is such as `translations.*.title`, or `variants[].sku`."""

    place: str
    kind: str
    is_required: bool
    remarks: str


def fields(document: Schema, schema: Schema, place: str = "", depth: int = 0) -> Iterator[Field]:
    """Yield the fields of an object, each followed by those below it."""
    for choice in _choices(document, schema):
        for name, inner in choice.get("properties", {}).items():
            at = f"{place}.{name}" if place else name
            is_required = name in choice.get("required", ())
            yield Field(at, kind(document, inner), is_required, remarks(document, inner))
            if depth < _DEPTH:
                yield from _below(document, inner, at, depth + 1)


def kind(document: Schema, schema: Schema) -> str:
    """Return the type in words, such as `array of string`, or `string or null`."""
    return " or ".join(dict.fromkeys(_kind(document, choice) for choice in _choices(document, schema)))


def remarks(document: Schema, schema: Schema) -> str:
    """Return what else is known of a value: its description, its choices, its limits, its default."""
    found = [schema["description"]] if "description" in schema else []
    for choice in _choices(document, schema):
        if "enum" in choice:
            found.append("one of " + ", ".join(f"`{value}`" for value in choice["enum"]))
        if "const" in choice:
            found.append(f"`{choice['const']}`")
        found += [text.format(choice[name]) for name, text in _LIMITS.items() if name in choice]
    if schema.get("default") not in (None, [], {}, ""):
        found.append(f"default `{schema['default']}`")
    return "; ".join(found)


def resolve(document: Schema, schema: Schema) -> Schema:
    """Return what *schema* is, or refers to."""
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def _choices(document: Schema, schema: Schema) -> list[Schema]:
    resolved = resolve(document, schema)
    choices = resolved.get("anyOf", resolved.get("oneOf"))
    return [resolve(document, choice) for choice in choices] if choices else [resolved]


def _kind(document: Schema, schema: Schema) -> str:
    name = schema.get("type", "any")
    if isinstance(name, list):
        return " or ".join(name)
    if name == "array":
        return f"array of {kind(document, schema.get('items', {}))}"
    return f"{name} ({schema['format']})" if "format" in schema else str(name)


def _below(document: Schema, schema: Schema, place: str, depth: int) -> Iterator[Field]:
    yield from fields(document, schema, place, depth)
    for choice in _choices(document, schema):
        if "items" in choice:
            yield from fields(document, choice["items"], f"{place}[]", depth)
        named = [*choice.get("patternProperties", {}).values(), choice.get("additionalProperties")]
        for inner in named:
            if isinstance(inner, Mapping):
                yield from fields(document, inner, f"{place}.*", depth)
