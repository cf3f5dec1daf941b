"""JSON Schemas of inputs and results, as OpenAPI's components and parameters."""

import json
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core.core_schema import DictSchema

from api.entrances import Entrance
from rustok.kernel.module import Command, Input, Query, QueryInput

_PREFIX = "#/components/schemas/"
_REFERENCE = re.compile(re.escape(_PREFIX) + r'([^"]+)')

Schema = dict[str, Any]


class Schemas:
    """Keeps the definitions of all models, and gives out those that something refers to."""

    def __init__(self, operations: Sequence[Command | Query | Entrance]) -> None:
        inputs = [(operation.input, "validation") for operation in operations]
        results = [(operation.result, "serialization") for operation in operations]
        models: Any = list(dict.fromkeys([*inputs, *results]))
        self._references, definitions = models_json_schema(
            models, ref_template=_PREFIX + "{model}", schema_generator=_Closed
        )
        self._definitions: dict[str, Schema] = definitions["$defs"]
        self._roots: set[str] = set()

    def result(self, model: type[BaseModel]) -> Schema:
        """Return a reference to a result's schema."""
        return self._reference(self._name(model, "serialization"))

    def body(self, model: type[BaseModel], without: Collection[str]) -> Schema | None:
        """Return a reference to the schema of an input less the fields of the path; None when none is left."""
        name = self._name(model, "validation")
        if not without:
            return self._reference(name)
        schema = self._definitions[name]
        properties = {key: value for key, value in schema["properties"].items() if key not in without}
        if not properties:
            return None
        required = [key for key in schema.get("required", ()) if key not in without]
        body = {**schema, "title": f"{name}Body", "properties": properties, "required": required}
        self._definitions[f"{name}Body"] = body if required else _less(body, "required")
        return self._reference(f"{name}Body")

    def parameters(
        self, model: type[Input | QueryInput], names: Iterable[str], where: Literal["path", "query"]
    ) -> list[dict[str, Any]]:
        """Return fields of an input as parameters."""
        schema = self._definitions[self._name(model, "validation")]
        return [
            {
                "name": name,
                "in": where,
                "required": where == "path" or name in schema.get("required", ()),
                "schema": _without_null(schema["properties"][name]),
                **({"example": model.example[name]} if name in model.example else {}),
            }
            for name in names
        ]

    def components(self) -> dict[str, Schema]:
        """Return the definitions that something refers to, by name."""
        wanted, reached = set(self._roots), set[str]()
        while wanted:
            reached |= wanted
            texts = (json.dumps(self._definitions[name]) for name in wanted)
            wanted = {name for text in texts for name in _REFERENCE.findall(text)} - reached
        return {name: self._definitions[name] for name in sorted(reached)}

    def _name(self, model: type[BaseModel], mode: Literal["validation", "serialization"]) -> str:
        reference: str = self._references[model, mode]["$ref"]
        return reference.removeprefix(_PREFIX)

    def _reference(self, name: str) -> Schema:
        self._roots.add(name)
        return {"$ref": _PREFIX + name}


class _Closed(GenerateJsonSchema):
    """Says of an object whose names have a pattern that it takes no others."""

    def dict_schema(self, schema: DictSchema) -> Schema:
        found = super().dict_schema(schema)
        return {**found, "additionalProperties": False} if "patternProperties" in found else found


def _without_null(schema: Schema) -> Schema:
    """Return the schema of a parameter: a URL has no null, it leaves the parameter out."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return {**_less(schema, "anyOf", "default"), **choices[0]}
    return schema


def _less(schema: Schema, *keys: str) -> Schema:
    return {key: value for key, value in schema.items() if key not in keys}
