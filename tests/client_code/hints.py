"""Python's types for the schemas of the OpenAPI document: one for what is sent, another for what is answered."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

Schema = Mapping[str, Any]

_REF = "#/components/schemas/"
_LONG_NAME = re.compile(r"rustok__modules__([a-z]+)__schemas__(\w+)")
_SCALARS = {"integer": "int", "number": "float", "boolean": "bool", "null": "None"}


class Hints:
    """The types of one view.

    `named` has every schema of an object that was met, each behind those that it refers to; `choices` every
    enumeration of answers.
    """

    text: Mapping[str, str]
    list_of: str

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas
        self.named: list[str] = []
        self.choices: dict[str, str] = {}

    def of(self, schema: Schema, place: str) -> str:
        """Return the type of *schema*; *place* names an enumeration that has no name of its own."""
        if "$ref" in schema:
            return self._of_ref(schema["$ref"].removeprefix(_REF))
        if alternatives := schema.get("anyOf") or schema.get("oneOf"):
            return union(self.of(each, place) for each in alternatives)
        if choices := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
            return self._of_choices(choices, place)
        return self._of_kind(schema, place)

    def _of_kind(self, schema: Schema, place: str) -> str:
        kind = schema.get("type")
        if kind == "string":
            return self.text.get(schema.get("format", ""), "str")
        if kind == "array":
            return self.list_of.format(self.of(schema["items"], place))
        if kind == "object":
            return f"Mapping[str, {self._of_members(schema, place)}]"
        return "Any" if kind is None else _SCALARS[kind]

    def _of_ref(self, name: str) -> str:
        target = self._schemas[name]
        if "properties" not in target:
            return self.of(target, short(name))
        if name not in self.named:
            self.members(name)
            self.named.append(name)
        return short(name)

    def members(self, name: str) -> dict[str, str]:
        """Return the types of the fields of the schema with this name, in their order."""
        schema = self._schemas[name]
        return {
            field: self.of(member, f"{short(name)}{pascal(field)}") for field, member in schema["properties"].items()
        }

    def _of_members(self, schema: Schema, place: str) -> str:
        members = [*schema.get("patternProperties", {}).values()]
        others = schema.get("additionalProperties")
        members += [others] if isinstance(others, Mapping) else []
        return union(self.of(member, place) for member in members) if members else "Any"

    def _of_choices(self, values: list[Any], place: str) -> str:
        raise NotImplementedError


class Sent(Hints):
    """Inputs: what is convenient to give."""

    text = {"uuid": "UUID | str", "date-time": "datetime"}
    list_of = "Sequence[{}]"

    def _of_choices(self, values: list[Any], place: str) -> str:
        del place
        return f"Literal{values!r}"


class Answered(Hints):
    """Results: immutable, and enumerations have a name, as a later version may add to them."""

    text = {"uuid": "UUID", "date-time": "datetime"}
    list_of = "tuple[{}, ...]"

    def _of_choices(self, values: list[Any], place: str) -> str:
        self.choices[place] = f"Literal{values!r}"
        return place


def union(types: Iterable[str]) -> str:
    """Return the union of *types*, each once, None at the end; whatever else there is beside Any, it is Any."""
    found = dict.fromkeys(part for each in types for part in each.split(" | "))
    return "Any" if "Any" in found else " | ".join(sorted(found, key=lambda part: part == "None"))


def short(name: str) -> str:
    """Return the name of a class for a schema: those that two modules have begin with the module's."""
    long = _LONG_NAME.fullmatch(name)
    return f"{long[1].title()}{long[2]}" if long else name


def pascal(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))
