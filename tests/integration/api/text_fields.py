"""Where an operation takes a text: every such place of its JSON Schema, within a body that is good otherwise."""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel

Schema = Mapping[str, Any]
Place = tuple[str | int, ...]

_ID = "019a7c00-0000-7000-8000-000000000001"
_WORDS = ("a-text", "en", "EUR", "alloy.runs.start", "3f2a9c01be44", "example.com")
"""One of them fits each pattern that a field has."""


class TextFields:
    """The texts of one input. *definitions*: what the schema refers to."""

    def __init__(self, schema: Schema, definitions: Mapping[str, Schema]) -> None:
        self._schema = schema
        self._definitions = definitions

    @classmethod
    def of(cls, model: type[BaseModel]) -> "TextFields":
        schema = model.model_json_schema()
        return cls(schema, schema.get("$defs", {}))

    def places(self) -> list[Place]:
        """Return each place of a text, in objects and lists too, and as a name in an object of any names."""
        return list(dict.fromkeys(self._places(self._schema, ())))

    def put(self, body: Mapping[str, Any], place: Place, text: str) -> dict[str, Any]:
        """Return *body* with *text* at *place*; what it takes to get there is made."""
        changed = deepcopy(dict(body))
        schema: Schema = self._schema
        container: Any = changed
        for step, following in zip(place, [*place[1:], None], strict=True):
            schema = self._below(schema, step)
            if following is None:
                _set(container, step, text)
            else:
                if not _has(container, step) or not isinstance(container[step], dict | list):
                    _set(container, step, self._sample(schema))
                container = container[step]
        return changed

    def _resolve(self, schema: Schema) -> Schema:
        """Follow a reference, and take what is not null of a choice."""
        while True:
            if "$ref" in schema:
                schema = self._definitions[schema["$ref"].rpartition("/")[2]]
            elif choices := [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]:
                schema = choices[0]
            elif "oneOf" in schema:
                schema = schema["oneOf"][0]
            else:
                return schema

    def _places(self, schema: Schema, place: Place) -> Iterator[Place]:
        schema = self._resolve(schema)
        if schema.get("type") == "string" and "const" not in schema:
            yield place
        elif schema.get("type") == "array":
            yield from self._places(schema.get("items", {}), (*place, 0))
        elif schema.get("type") == "object":
            for name, below in schema.get("properties", {}).items():
                yield from self._places(below, (*place, name))
            for name, below in self._any_name(schema):
                yield from self._places(below, (*place, name))
        elif not schema.keys() - {"title", "default", "description"}:
            yield place  # any JSON

    def _any_name(self, schema: Schema) -> Iterator[tuple[str, Schema]]:
        """Return a name that an object of any names may have, with the schema of what is there."""
        for pattern, below in schema.get("patternProperties", {}).items():
            yield _word({"pattern": pattern}), below
        below = schema.get("additionalProperties", False)
        if below is not False:
            yield _word(schema.get("propertyNames", {})), {} if below is True else below

    def _below(self, schema: Schema, step: str | int) -> Schema:
        schema = self._resolve(schema)
        if isinstance(step, int):
            items: Schema = schema["items"]
            return items
        if step in schema.get("properties", {}):
            found: Schema = schema["properties"][step]
            return found
        return dict(self._any_name(schema)).get(step, {})

    def _sample(self, schema: Schema) -> Any:
        """Return a value that fits *schema*, a small one."""
        schema = self._resolve(schema)
        if "const" in schema:
            return schema["const"]
        kind = schema.get("type", "")
        if kind == "object":
            return {name: self._sample(schema["properties"][name]) for name in schema.get("required", ())}
        if kind == "array":
            return [self._sample(schema["items"])]
        if kind == "string":
            return schema.get("enum", [_word(schema)])[0]
        return {"integer": schema.get("minimum", 1), "boolean": True}.get(kind, {})


def _word(schema: Schema) -> str:
    pattern, form = schema.get("pattern", ""), schema.get("format")
    return _ID if form == "uuid" else next(word for word in _WORDS if re.search(pattern, word))


def _has(container: Any, step: str | int) -> bool:
    return step in container if isinstance(container, dict) else isinstance(step, int) and step < len(container)


def _set(container: Any, step: str | int, value: Any) -> None:
    if isinstance(container, list) and not container:
        container.append(value)
    else:
        container[step] = value
