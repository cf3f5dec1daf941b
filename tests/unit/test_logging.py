"""A line of the log may be lost; what it tells of goes on."""

import json
import subprocess
import sys

import pytest

_PROGRAM = """
import os, structlog
from rustok.telemetry.logging import configure_logging
configure_logging("json", "INFO")
log = structlog.get_logger("shop")
{before}
log.info("opened", {fields})
print("went on")
"""


def run(fields: str, before: str = "", redirection: str = "") -> "subprocess.CompletedProcess[str]":
    """Log one line in a process of its own."""
    program = _PROGRAM.replace("{fields}", fields).replace("{before}", before)
    return subprocess.run(  # noqa: S603 - our own program
        ["/bin/sh", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable, program],
        capture_output=True,
        text=True,
        check=True,
    )


def test_a_line_is_json_with_its_logger_and_level() -> None:
    """One event a line, past tense, with fields."""
    line = json.loads(run('door="front"').stderr)

    assert (line["event"], line["door"], line["logger"], line["level"]) == ("opened", "front", "shop", "info")
    assert line["timestamp"].endswith("Z")


_FAILURE = """
from pydantic import BaseModel
class Price(BaseModel):
    amount: int
def charge():
    try:
        Price(amount="a secret")
    except ValueError as error:
        raise ExceptionGroup("two", [OSError(28, "No space left on device"), error]) from error
try:
    charge()
except ExceptionGroup:
    log.exception("failed")
"""
_CIRCLE = """
from rustok.kernel.errors import Unavailable
first, second = KeyError("a secret"), Unavailable("PostgreSQL is away")
for _ in range(100):
    second = ExceptionGroup("many", [first, second])
    second.__context__ = first
first.__cause__ = second
log.error("failed", exc_info=second)
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_error_is_told_with_its_way_and_its_causes_and_without_values(form: str) -> None:
    """Messages of the system are told, and our own: those of pydantic, PostgreSQL and Python say of which value."""
    program = f'configure_logging("{form}", "INFO")\nlog = structlog.get_logger("shop"){_FAILURE}'

    told = run("", program).stderr

    assert "pydantic_core._pydantic_core.ValidationError" in told
    assert "OSError: [Errno 28] No space left on device" in told
    assert "ExceptionGroup" in told
    assert "in charge" in told
    assert "a secret" not in told


def test_causes_that_lead_in_circles_and_are_many_are_told_once() -> None:
    """What is logged of a failure must not be the next one."""
    program = f'configure_logging("json", "INFO")\nlog = structlog.get_logger("shop"){_CIRCLE}'

    failed, *_ = run("", program).stderr.splitlines()
    told = json.loads(failed)["exception"].splitlines()

    assert told.count("KeyError") == 1
    assert len(told) == 50


@pytest.mark.parametrize("fields", ['text="\\ud800"', "value={(1, 2): 3}", "value=object()"])
def test_a_field_without_a_json_form_is_no_error(fields: str) -> None:
    """Half a surrogate pair, a key that is no text, an object: the rest of the line is there."""
    finished = run(fields)

    assert json.loads(finished.stderr)["event"] == "opened"
    assert finished.stdout == "went on\n"


@pytest.mark.parametrize(("before", "redirection"), [("os.close(2)", ""), ("", "2>&-")])
def test_a_line_that_cannot_be_written_is_lost_without_a_word(before: str, redirection: str) -> None:
    """Writing fails, or there is nothing to write to. Standard output is for data, whatever becomes of the log."""
    assert run('door="front"', before, redirection).stdout == "went on\n"
