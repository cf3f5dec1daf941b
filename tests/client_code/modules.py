"""The package `rustok.client.modules`: a file a module of the platform, a method an operation."""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from textwrap import indent

from tests.client_code.hints import Answered, Schema, Sent, pascal, short, union
from tests.client_code.models import docstring
from tests.client_code.operations import Operation, operations

_IMPORTED = {
    "collections.abc": ("Mapping", "Sequence"),
    "datetime": ("datetime",),
    "typing": ("Any", "Literal"),
    "uuid": ("UUID",),
    "msgspec": ("UNSET", "UnsetType"),
    "rustok.client.commands": ("Command",),
    "rustok.client.consistency": ("Conversation",),
    "rustok.client.endpoints": ("Endpoint", "Module"),
    "rustok.client.pages": ("Pages",),
}
_NO_MODELS = {name for names in _IMPORTED.values() for name in names} | {"None", "True"}


def modules_files(document: Schema, sent: Sent, answered: Answered) -> dict[str, str]:
    """Return the text of each file of the package, by name."""
    summaries = {tag["name"]: tag["description"] for tag in document["tags"]}
    writer = _Writer(sent, answered)
    files, modules = {}, []
    for module, its in groupby(operations(document), key=lambda operation: operation.module):
        batch_path = next((path for path in document["paths"] if _is_batch_of(document, path, module)), None)
        files[f"{module}.py"] = writer.module(module, summaries[module], list(its), batch_path)
        modules.append(module)
    return {**files, "__init__.py": _package(modules)}


def _is_batch_of(document: Schema, path: str, module: str) -> bool:
    return bool(document["paths"][path].get("post", {}).get("operationId") == f"{module}.batch")


class _Writer:
    """Writes methods; the views remember the models that these need."""

    def __init__(self, sent: Sent, answered: Answered) -> None:
        self._sent = sent
        self._answered = answered

    def module(self, name: str, summary: str, its: Sequence[Operation], batch_path: str | None) -> str:
        entities = {entity: list(own) for entity, own in groupby(its, key=lambda operation: operation.entity)}
        classes = [self._entity(f"{name}.{entity}", own) for entity, own in entities.items()]
        base = "Module" if batch_path else "Endpoint"
        batch = f'name = "{name}"\nbatch_path = "{batch_path}"\n\n' if batch_path else ""
        made = "\n".join(f"    self.{entity} = {pascal(entity)}(conversation)" for entity in entities)
        init = f"def __init__(self, conversation: Conversation) -> None:\n    super().__init__(conversation)\n{made}"
        body = indent(f"{docstring(summary)}\n\n{batch}{init}", "    ")
        self._refuse_models_named([*map(pascal, [name, *entities]), *_NO_MODELS])
        code = "\n\n\n".join([*classes, f"class {pascal(name)}({base}):\n{body}"])
        return f'"""Operations of {name}."""\n\n{_imports(code)}\n\n{code}\n'

    def _refuse_models_named(self, taken: Sequence[str]) -> None:
        models = {short(name) for name in (*self._sent.named, *self._answered.named)} | self._answered.choices.keys()
        if both := models.intersection(taken):
            raise ValueError(f"rename these schemas, whose names the client has for something else: {sorted(both)}")

    def _entity(self, name: str, its: Iterable[Operation]) -> str:
        methods = "\n\n".join(self._method(operation) for operation in its)
        body = f"{docstring(f'Operations `{name}`.')}\n\n{methods}"
        return f"class {pascal(name.partition('.')[2])}(Endpoint):\n{indent(body, '    ')}"

    def _method(self, operation: Operation) -> str:
        if not operation.is_read:
            return self._command(operation)
        return self._list(operation) if operation.is_list else self._get(operation)

    def _list(self, operation: Operation) -> str:
        thing = self._answered.of(operation.answer["properties"]["data"]["items"], "")
        call = f"return self._list({', '.join(_call(operation, thing))}, after=after)"
        return self._definition(operation, self._asked(operation), f"Pages[{thing}]", call)

    def _get(self, operation: Operation) -> str:
        result = self._answered.of(operation.result, "")
        call = f"return await self._get({', '.join(_call(operation, result))})"
        return f"async {self._definition(operation, self._asked(operation), result, call)}"

    def _command(self, operation: Operation) -> str:
        result = self._answered.of(operation.result, "")
        call = f"return self._command({', '.join(_call(operation, result))})"
        return self._definition(operation, [*_version(operation), *self._given(operation)], f"Command[{result}]", call)

    def _definition(self, operation: Operation, keywords: Sequence[str], result: str, call: str) -> str:
        parts = [f"{each['name']}: {self._sent.of(each['schema'], '')}" for each in operation.parameters_in("path")]
        arguments = ["self", *parts, *(["*", *keywords] if keywords else [])]
        body = indent(f"{docstring(_told(operation))}\n{call}", "    ")
        return f"def {operation.verb}({', '.join(arguments)}) -> {result}:\n{body}"

    def _asked(self, operation: Operation) -> list[str]:
        """Return the arguments for the query of an address: None is not sent."""
        hints = {each["name"]: (each, self._sent.of(each["schema"], "")) for each in operation.parameters_in("query")}
        return [
            f"{name}: {hint}" if parameter.get("required") else f"{name}: {hint} | None = None"
            for name, (parameter, hint) in hints.items()
        ]

    def _given(self, operation: Operation) -> list[str]:
        """Return the arguments for the fields of a body: UNSET is not sent."""
        body = operation.body or {}
        hints = {field: self._sent.of(body["properties"][field], "") for field in _fields(operation)}
        return [
            f"{field}: {hint}"
            if field in body.get("required", ())
            else f"{field}: {union([hint, 'UnsetType'])} = UNSET"
            for field, hint in hints.items()
        ]


def _call(operation: Operation, result: str) -> list[str]:
    """Return what the method hands on."""
    route = operation.route.removeprefix("GET ")
    parts = [parameter["name"] for parameter in operation.parameters_in("path")]
    query = [parameter["name"] for parameter in operation.parameters_in("query") if parameter["name"] != "after"]
    return [
        f'"{operation.name}", "{route}", {result}',
        *([f"parts={_mapping(parts)}"] if parts else []),
        *([f"query={_mapping(query)}"] if query else []),
        *([f"body={_mapping(_fields(operation))}"] if operation.body else []),
        *(["version=expected_version"] if _version(operation) else []),
        *(["of_index=True"] if operation.header("RusToK-Consistency") else []),
    ]


def _fields(operation: Operation) -> list[str]:
    """Return the fields of a body, without the one that says what the argument of the same name says as a header."""
    fields = operation.body["properties"] if operation.body else ()
    return [field for field in fields if field != "expected_version"]


def _version(operation: Operation) -> list[str]:
    """Return the argument for the version that is expected; there is none of what is going to be made."""
    if_match = operation.header("If-Match")
    if if_match is None or not operation.parameters_in("path"):
        return []
    return ["expected_version: int"] if if_match.get("required") else ["expected_version: int | None = None"]


def _mapping(names: Iterable[str]) -> str:
    return "{" + ", ".join(f'"{name}": {name}' for name in names) + "}"


def _told(operation: Operation) -> str:
    """Return the docstring: what it does, what it takes, what may speak against it."""
    described = operation.described
    about = operation.body.get("description", "") if operation.body else ""
    going = f"Deprecated: {described['description']}" if described.get("deprecated") else ""
    codes = ", ".join(f"`{code}`" for code in operation.codes)
    last = f"Takes the permission `{described['x-permission']}`." + (f"\nProblems: {codes}." if codes else "")
    return "\n\n".join(text for text in (f"{described['summary']}.", about, going, last) if text)


def _imports(code: str) -> str:
    """Return the imports of what *code* uses; what else begins with a capital is a model."""
    words = set(re.findall(r"\b[A-Za-z]\w*\b", re.sub(r'"""(?s:.*?)"""|"[^"]*"', "", code)))
    own = set(re.findall(r"^class (\w+)", code, re.MULTILINE))
    models = sorted(word for word in words - _NO_MODELS - own if word[0].isupper())
    imported = {**_IMPORTED, "rustok.client.models": models}
    used = {module: [name for name in names if name in words] for module, names in imported.items()}
    return "\n".join(f"from {module} import {', '.join(names)}" for module, names in used.items() if names)


def _package(modules: Sequence[str]) -> str:
    imports = "\n".join(f"from rustok.client.modules.{module} import {pascal(module)}" for module in modules)
    made = "\n".join(f"        self.{module} = {pascal(module)}(conversation)" for module in modules)
    return (
        '"""Every module of the platform that has operations."""\n\n'
        f"from rustok.client.consistency import Conversation\n{imports}\n\n\n"
        'class Modules:\n    """The modules, by name."""\n\n'
        f"    def __init__(self, conversation: Conversation) -> None:\n{made}\n"
    )
