"""What pydantic finds wrong, as an error of ours."""

from pydantic import ValidationError

from rustok.kernel.errors import InvalidInput, Violation


def invalid_input(error: ValidationError) -> InvalidInput:
    """Return pydantic's findings as our error, without any value of the input."""
    violations = [
        Violation(_pointer(fault["loc"]), fault["type"], _detail(fault["type"], fault["msg"]))
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return InvalidInput("The input does not fit.", violations)


def _pointer(location: tuple[int | str, ...]) -> str:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in location if step != "[key]")
    return "".join(f"/{step}" for step in steps)


def _detail(kind: str, message: str) -> str:
    """Return pydantic's message, unless it quotes the input."""
    if kind.startswith("uuid_"):
        return "must be a UUID"
    if kind.startswith("datetime_"):
        return "must be a date and time with its offset (RFC 3339)"
    return message.removeprefix("Value error, ")
