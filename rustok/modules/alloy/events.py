"""Facts that alloy publishes."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from rustok.kernel.event import Event
from rustok.kernel.fields import JsonObject

_SCRIPT_ID = "0198c5a1-6a6c-7b4a-9d3e-2f1a5b7c9d10"


class _ScriptEvent(Event):
    aggregate: ClassVar = "script"


class ScriptCreated(_ScriptEvent):
    """A script exists; nothing runs yet."""

    type: ClassVar = "alloy.script.created"
    example: ClassVar = {"name": "missing-price-alert"}

    name: str


class ScriptUpdated(_ScriptEvent):
    """Fields of a script changed; `changed` names them."""

    type: ClassVar = "alloy.script.updated"
    example: ClassVar = {"changed": ["triggers"]}

    changed: list[str]


class ScriptPushed(_ScriptEvent):
    """A version was handed in; it is being checked."""

    type: ClassVar = "alloy.script.pushed"
    example: ClassVar = {"number": 3, "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}

    number: int
    sha256: str


class ScriptChecked(_ScriptEvent):
    """A version was found to be a hook, or not."""

    type: ClassVar = "alloy.script.checked"
    example: ClassVar = {"number": 3, "accepted": True}

    number: int
    accepted: bool


class ScriptActivated(_ScriptEvent):
    """From here on events run this version; `canary_percent` of them the version `canary`."""

    type: ClassVar = "alloy.script.activated"
    example: ClassVar = {"number": 3, "canary": None, "canary_percent": 0}

    number: int
    canary: int | None = None
    canary_percent: int = 0


class ScriptPaused(_ScriptEvent):
    """Events no longer start runs; those that wait go on waiting."""

    type: ClassVar = "alloy.script.paused"
    example: ClassVar = {}


class ScriptDisabled(_ScriptEvent):
    """The platform stopped a script: it failed too often, or broke out of its rules."""

    type: ClassVar = "alloy.script.disabled"
    example: ClassVar = {"reason": "consecutive_failures", "number": 3}

    reason: str
    number: int | None = None


class ScriptDeleted(_ScriptEvent):
    """A script is gone, with its versions and what it kept."""

    type: ClassVar = "alloy.script.deleted"
    example: ClassVar = {}


class RunRequested(Event):
    """Somebody started a script by hand or through the API. The aggregate is the run."""

    type: ClassVar = "alloy.run.requested"
    aggregate: ClassVar = "run"
    example: ClassVar = {"script_id": _SCRIPT_ID}

    script_id: UUID


class RunEmitted(Event):
    """A script says something, in its own words. The aggregate is the run."""

    type: ClassVar = "alloy.run.emitted"
    aggregate: ClassVar = "run"
    example: ClassVar = {"script_id": _SCRIPT_ID, "name": "price.missing", "data": {"product": "BIKE-RED"}}

    script_id: UUID
    name: Annotated[str, Field(min_length=1, max_length=100)]
    data: JsonObject = {}


EVENTS = (
    ScriptCreated,
    ScriptUpdated,
    ScriptPushed,
    ScriptChecked,
    ScriptActivated,
    ScriptPaused,
    ScriptDisabled,
    ScriptDeleted,
    RunRequested,
    RunEmitted,
)
