"""The operations of the OpenAPI document, with what its references stand for."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.client_code.hints import Schema

_SELF_EVIDENT = {
    "idempotency_key_reused", "invalid_input", "module_off", "request_in_progress", "version_mismatch",
}  # fmt: skip
_TOLD = ("404", "409", "410", "422")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `result` may be a reference to a schema; `answer` is what it stands for."""

    name: str
    route: str
    described: Schema
    parameters: Sequence[Schema]
    body: Schema | None
    result: Schema
    answer: Schema

    @property
    def module(self) -> str:
        return self.name.split(".")[0]

    @property
    def entity(self) -> str:
        return self.name.split(".")[1]

    @property
    def verb(self) -> str:
        return self.name.split(".")[2]

    @property
    def is_read(self) -> bool:
        return self.route.startswith("GET ")

    @property
    def is_list(self) -> bool:
        return any(parameter["name"] == "after" for parameter in self.parameters_in("query"))

    def parameters_in(self, place: str) -> list[Schema]:
        return [parameter for parameter in self.parameters if parameter["in"] == place]

    def header(self, name: str) -> Schema | None:
        found = [parameter for parameter in self.parameters_in("header") if parameter["name"] == name]
        return found[0] if found else None

    @property
    def codes(self) -> list[str]:
        """What may speak against it, apart from what may speak against anything."""
        references = [
            answer.get("$ref", "").rpartition("/")[2]
            for status, answer in self.described["responses"].items()
            if status in _TOLD
        ]
        return sorted({code for reference in references for code in reference.split(".")[1:]} - _SELF_EVIDENT)


def operations(document: Schema) -> list[Operation]:
    """Return every operation but the batches, by name; what asks for no credential is for `rustok.client.sign_in`."""
    every = [
        _operation(document, f"{method.upper()} {path}", described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
        if not path.endswith(":batch") and described.get("security") != [{}]
    ]
    return sorted(every, key=lambda operation: operation.name)


def _operation(document: Schema, route: str, described: Schema) -> Operation:
    [success] = [answer for status, answer in described["responses"].items() if status.startswith("2")]
    result = success["content"]["application/json"]["schema"]
    body = described.get("requestBody", {}).get("content", {}).get("application/json")
    return Operation(
        name=described["operationId"],
        route=route,
        described=described,
        parameters=[_resolved(document, parameter) for parameter in described["parameters"]],
        body=_resolved(document, body["schema"]) if body else None,
        result=result,
        answer=_resolved(document, result),
    )


def _resolved(document: Schema, schema: Schema) -> Schema:
    """Return what *schema* stands for, if it is a reference."""
    if "$ref" not in schema:
        return schema
    found = document
    for step in schema["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found
