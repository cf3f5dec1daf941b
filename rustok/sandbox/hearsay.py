"""What a child says, brought into our types: it is strict JSON by now, and else nothing is known of it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rustok.sandbox.contract import Fault
from rustok.sandbox.frames import Malformed

_RUN_FAULTS = ("exception", "memory_exceeded", "output_too_large", "host_calls_exceeded", "invalid_result")
_LONGEST_TEXT = 500


class Result:
    """The fields of a result frame, each of its type.

    Raises:
        Malformed: one is not.
    """

    def __init__(self, value: Any) -> None:
        fields = _fields(value)
        self.result = fields.get("result")
        self.effects, self.logs = _objects(fields.get("effects")), _objects(fields.get("logs"))
        self.log_truncated = fields.get("log_truncated") is True
        self.fault = None if fields.get("fault") is None else fault_of(fields["fault"], _RUN_FAULTS)
        used = _fields(fields.get("usage"))
        self.output_bytes, self.log_bytes = _count(fields.get("output_bytes")), _count(fields.get("log_bytes"))
        self.cpu_us, self.peak_bytes = _count(used.get("cpu_us")), _count(used.get("peak_bytes"))


def fault_of(value: Any, codes: Collection[str]) -> Fault:
    """Read a fault with one of these codes.

    Raises:
        Malformed: it is none.
    """
    fields = _fields(value)
    code, message, hint = fields.get("code"), fields.get("message"), fields.get("hint")
    if not isinstance(code, str) or code not in codes or not isinstance(message, str):
        raise Malformed("no fault that a child may tell")
    return Fault(
        code=code,
        message=message[:_LONGEST_TEXT],
        line=count_of(fields.get("line")),
        column=count_of(fields.get("column")),
        hint=hint[:_LONGEST_TEXT] if isinstance(hint, str) else None,
        limit=count_of(fields.get("limit")),
        used=count_of(fields.get("used")),
    )


def _fields(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed("no object where one belongs")
    return value


def _objects(value: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Malformed("no list of objects where one belongs")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise Malformed("no count where one belongs")
    return value


def count_of(value: Any) -> int | None:
    """Return a line, a column, a limit; whatever is no such number is left out."""
    return value if type(value) is int and value > 0 else None
