"""The module `rustok.client.models`: inputs as TypedDicts, results as frozen objects."""

from collections.abc import Mapping
from textwrap import indent
from typing import Any

from tests.client_code.hints import Answered, Schema, Sent, short

_HEAD = '''"""What operations take and answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict
from uuid import UUID

from msgspec import Struct
'''


def models_file(schemas: Mapping[str, Schema], sent: Sent, answered: Answered) -> str:
    """Return the classes of all schemas that *sent* and *answered* have met."""
    inputs = [_input(name, schemas[name], sent) for name in sent.named]
    results = [_result(name, schemas[name], answered) for name in answered.named]
    return "\n".join([_HEAD, _choices(answered), *inputs, *results])


def _choices(answered: Answered) -> str:
    known = "\n".join(f"    {name} = {literal}" for name, literal in sorted(answered.choices.items()))
    open_ = "\n".join(f"    {name} = str" for name in sorted(answered.choices))
    return f"if TYPE_CHECKING:\n{known}\nelse:  # a value that a later version of the API adds can be read\n{open_}\n"


def _input(name: str, schema: Schema, sent: Sent) -> str:
    required = schema.get("required", ())
    fields = [
        f"{field}: {hint}" if field in required else f"{field}: NotRequired[{hint}]"
        for field, hint in sent.members(name).items()
    ]
    return f"class {short(name)}(TypedDict):\n{_body(schema, fields)}"


def _result(name: str, schema: Schema, answered: Answered) -> str:
    required = schema.get("required", ())
    fields = [
        f"{field}: {hint}" if field in required else f"{field}: {_optional(hint, schema['properties'][field])}"
        for field, hint in answered.members(name).items()
    ]
    return f"class {short(name)}(Struct, frozen=True, kw_only=True):\n{_body(schema, fields)}"


def _optional(hint: str, member: Schema) -> str:
    default: Any = member.get("default")
    return f"{hint} = {default!r}" if default is not None or "None" in hint else f"{hint} | None = None"


def _body(schema: Schema, fields: list[str]) -> str:
    described = docstring(schema["description"]) if "description" in schema else ""
    return indent(f"{described}\n" + "\n".join(fields), "    ") + "\n"


def docstring(text: str) -> str:
    return f'"""{text}"""' if "\n" not in text else f'"""{text}\n"""'
