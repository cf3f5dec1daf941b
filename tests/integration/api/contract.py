"""What an OpenAPI document promises, as lines; which of them may go, and which may come, without breaking a client.

`python -m tests.integration.api.contract` adds what is new to the promise. It takes nothing back.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.integration.api.refresh_openapi import document

PROMISE = Path(__file__).with_name("contract.txt")

Schema = Mapping[str, Any]

_NUMERIC = (
    *("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum"),
    *("minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum"),
)
_LIMITS = (*_NUMERIC, "pattern", "format")
_DEPTH = 12
_ALWAYS = "always"


class Contract:
    """The lines of one document: what a client may send (`accepts`), must send (`requires`), and finds (`answers`)."""

    def __init__(self, openapi: Schema) -> None:
        self._openapi = openapi

    def lines(self) -> set[str]:
        """Return every line."""
        found = set(self._given("problem ", self._openapi["components"]["schemas"]["Problem"]))
        for path, methods in self._openapi["paths"].items():
            for method, operation in methods.items():
                found.add(f"accepts {method.upper()} {path}")
                found |= set(self._operation(f"{method.upper()} {path}", operation))
        return found

    def _operation(self, name: str, operation: Schema) -> Iterator[str]:
        for reference in operation["parameters"]:
            parameter = self._resolve(reference)
            at = f"{name} {parameter['in']} {parameter['name']}"
            yield from self._taken(at, parameter["schema"], is_required=parameter.get("required", False))
        body = operation.get("requestBody", {})
        for media_type, content in body.get("content", {}).items():
            yield f"accepts {name} {media_type}"
            if media_type == "application/json":
                yield from self._taken(f"{name} body ", content["schema"], is_required=body.get("required", False))
        for status, answer in operation["responses"].items():
            if status < "400":  # whoever can be refused reads any problem
                yield f"answers {name} {status}"
                yield from (f"answers {name} {status} header {header}" for header in answer.get("headers", {}))
                for content in answer.get("content", {}).values():
                    yield from self._given(f"{name} {status} ", content["schema"])

    def _taken(self, at: str, schema: Schema, *, is_required: bool, depth: int = 0) -> Iterator[str]:
        """Yield what a client may send at a place, and what it must."""
        schema = self._resolve(schema)
        if is_required:
            yield f"requires {at}"
        for choice in self._choices(schema):
            yield f"accepts {at} {choice.get('type', 'anything')}"
            for value in choice.get("enum", [choice["const"]] if "const" in choice else []):
                yield f"accepts {at} = {value}"
            for limit in _LIMITS:
                if limit in choice:
                    yield f"requires {at} {limit} {choice[limit]}"
            for below, inner, needed in self._inside(choice, depth):
                yield from self._taken(f"{at}{below}", inner, is_required=needed, depth=depth + 1)

    def _given(self, at: str, schema: Schema, depth: int = 0) -> Iterator[str]:
        """Yield what a client may rely on finding at a place."""
        for choice in self._choices(self._resolve(schema)):
            yield f"answers {at} {choice.get('type', 'anything')}"
            for below, inner, is_there in self._inside(choice, depth):
                if is_there:
                    yield f"answers {at}{below} {_ALWAYS}"
                yield from self._given(f"{at}{below}", inner, depth + 1)

    def _inside(self, schema: Schema, depth: int) -> Iterator[tuple[str, Schema, bool]]:
        """Yield what is below a value, whether it must be there, and where."""
        if depth == _DEPTH:
            return
        for name, inner in schema.get("properties", {}).items():
            yield f"/{name}", inner, name in schema.get("required", ())
        below = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
        yield from (("/*", inner, False) for inner in below if isinstance(inner, dict))
        if isinstance(schema.get("items"), dict):
            yield "/-", schema["items"], False

    def _choices(self, schema: Schema) -> list[Schema]:
        return [self._resolve(choice) for choice in schema.get("anyOf", schema.get("oneOf", [schema]))]

    def _resolve(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            found: Any = self._openapi
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
        return schema


def broken(promise: Collection[str], now: Collection[str]) -> list[str]:
    """Return what of *now* breaks a client that relies on a *promise*.

    What was accepted or answered is not any more, or, where something was, more is required or something else answered.
    """
    gone = [f"no longer {line}" for line in set(promise) - set(now) if not line.startswith("requires ")]
    before = {_place_of(line): line for line in promise}
    operations = {_operation_of(line) for line in promise if line.startswith("accepts ")}
    added = [
        f"now {line}"
        for line in set(now) - set(promise)
        if (_operation_of(line) in operations and _is_demand(line, before)) or _is_another_answer(line, before)
    ]
    return sorted([*gone, *added])


def _is_demand(line: str, before: Mapping[str, str]) -> bool:
    """Tell whether *line* demands something of a client that was sending something else.

    A limit does where something was accepted without it, or with a wider one; a field that must be there does where
    what it belongs to was accepted.
    """
    if not line.startswith("requires "):
        return False
    place, limit, _ = line.removeprefix("requires ").rsplit(" ", 2)
    if limit in _LIMITS:
        return f"accepts {place}" in before and not _is_looser(line, before)
    whole, is_field, _ = line.removeprefix("requires ").rpartition("/")
    return not (is_field and " body " in whole) or f"accepts {whole}" in before


def _is_another_answer(line: str, before: Mapping[str, str]) -> bool:
    is_type = line.startswith("answers ") and " header " not in line and not line.endswith(f" {_ALWAYS}")
    return is_type and _place_of(line) in before


def _operation_of(line: str) -> str:
    """Return the method and the path of a line."""
    return " ".join(line.split(" ")[1:3])


def _place_of(line: str) -> str:
    """Return a line without its last word: a type, or what a limit is."""
    return line.rpartition(" ")[0]


def _is_looser(line: str, before: Mapping[str, str]) -> bool:
    """Tell whether *line* is a limit that leaves more room than it did."""
    place, limit = _place_of(line), line.split(" ")[-2]
    if limit not in _NUMERIC or place not in before:
        return False
    was, now = float(before[place].split(" ")[-1]), float(line.rsplit(" ", maxsplit=1)[-1])
    return now > was if "max" in limit.lower() else now < was


def promised() -> set[str]:
    """Return the promise that was given."""
    return set(PROMISE.read_text().splitlines()) if PROMISE.exists() else set()


def main() -> None:
    now = Contract(document()).lines()
    if faults := broken(promised(), now):
        raise SystemExit("\n".join(["This breaks clients: make it another version of the API.", *faults]))
    PROMISE.write_text("\n".join(sorted(promised() | now)) + "\n")


if __name__ == "__main__":
    main()
