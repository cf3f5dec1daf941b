"""Inputs and results of alloy."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field, JsonValue, StringConstraints

from rustok.jobs import Accepted, OperationStatus
from rustok.kernel.fields import EXAMPLE_ID, Distinct, JsonObject, Moment, Slug
from rustok.kernel.module import Input, PageLinks, QueryInput, Result
from rustok.modules.alloy.triggers import Triggers

Grant = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){2}$", max_length=200)]
Host = Annotated[
    str, StringConstraints(pattern=r"^(http://)?(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$", max_length=260)
]
SecretName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$", max_length=100)]
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]+$", max_length=200)]
Status = Literal["draft", "active", "paused", "disabled"]
VersionState = Literal["checking", "ready", "rejected", "disabled"]
Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
Text = Annotated[str, StringConstraints(max_length=2000)]
Page = Annotated[int, Field(ge=1, le=100)]


Grants = Annotated[Distinct[Grant], Field(max_length=100)]
Hosts = Annotated[Distinct[Host], Field(max_length=50)]
SecretNames = Annotated[Distinct[SecretName], Field(max_length=50)]


class CreateScript(Input):
    """A script without code: push a version next.

    `grants` are permissions, each one of the caller's own. `hosts` is where HTTP effects may go (`*.example.com`
    covers what is below it). `secrets` names those that the script may use.
    """

    example: ClassVar = {
        "name": "house-brand",
        "triggers": [{"kind": "event", "pattern": "commerce.product.created"}],
        "grants": ["commerce.products.read", "commerce.products.write"],
    }

    name: Slug
    description: Text = ""
    triggers: Triggers = []
    grants: Grants = []
    hosts: Hosts = []
    secrets: SecretNames = []


class UpdateScript(Input):
    """A merge patch (RFC 7396): null gives a field the value that a new script has.

    Who changes `grants` answers for them from then on.
    """

    example: ClassVar = {"script_id": EXAMPLE_ID, "description": "Tags what we make ourselves."}

    script_id: UUID
    name: Slug = "-"
    description: Text | None = None
    triggers: Triggers | None = None
    grants: Grants | None = None
    hosts: Hosts | None = None
    secrets: SecretNames | None = None


class ScriptReference(Input):
    example: ClassVar = {"script_id": EXAMPLE_ID}

    script_id: UUID


class PushVersion(ScriptReference):
    """Code of a hook; `activate` makes it the active version as soon as its check has passed."""

    example: ClassVar = {
        "script_id": EXAMPLE_ID,
        "code": "async def handle(event, ctx):\n    ctx.log(event['type'])\n",
        "activate": True,
    }

    code: Annotated[str, StringConstraints(min_length=1, max_length=65_536)]
    message: Text = ""
    activate: bool = False


class ActivateScript(ScriptReference):
    """Run version `number` from here on: the active one or else the latest that is ready, when it is absent."""

    example: ClassVar = {"script_id": EXAMPLE_ID, "number": 2}

    number: Number | None = None


class SetCanary(ScriptReference):
    """Let `percent` of the runs take version `number`; 0 ends it."""

    example: ClassVar = {"script_id": EXAMPLE_ID, "number": 3, "percent": 10}

    number: Number
    percent: Annotated[int, Field(ge=0, le=100)]


class StartRun(ScriptReference):
    """`input` arrives as the payload of the event."""

    example: ClassVar = {"script_id": EXAMPLE_ID, "input": {"product": EXAMPLE_ID}}

    input: JsonObject = {}


class HookEvent(Input):
    """An event as a hook sees it."""

    id: UUID
    type: str
    version: int
    tenant_id: UUID
    aggregate_type: str
    aggregate_id: UUID
    aggregate_version: int
    occurred_at: Moment
    actor: str
    correlation_id: UUID
    causation_id: UUID
    traceparent: str | None = None
    payload: JsonObject


class ReplayRun(ScriptReference):
    event: HookEvent


class RunReference(Input):
    example: ClassVar = {"run_id": EXAMPLE_ID}

    run_id: UUID


class SetValue(ScriptReference):
    """`ttl_s`: after so many seconds the value is gone.

    `expected_version`: write only if the stored value has this version; 0: only if there is none.
    """

    example: ClassVar = {"script_id": EXAMPLE_ID, "key": "seen:42", "value": {"times": 1}, "ttl_s": 86400}

    key: Key
    value: JsonValue
    ttl_s: Annotated[int, Field(ge=1, le=10 * 366 * 86_400)] | None = None
    expected_version: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None


class ValueReference(ScriptReference):
    example: ClassVar = {"script_id": EXAMPLE_ID, "key": "seen:42"}

    key: Key


class SetSecret(Input):
    example: ClassVar = {"name": "mail-token", "value": "4f6c-91aa-07bd"}

    name: SecretName
    value: Annotated[str, StringConstraints(min_length=1, max_length=10_000)]


class SecretReference(Input):
    example: ClassVar = {"name": "mail-token"}

    name: SecretName


class GetScript(QueryInput):
    example: ClassVar = {"script_id": EXAMPLE_ID}

    script_id: UUID


class ListScripts(QueryInput):
    name: str | None = None
    status: Status | None = None
    limit: Page = 50
    after: str | None = None


class ListVersions(QueryInput):
    example: ClassVar = {"script_id": EXAMPLE_ID}

    script_id: UUID
    limit: Page = 50
    after: str | None = None


class GetVersion(QueryInput):
    example: ClassVar = {"script_id": EXAMPLE_ID, "number": 2}

    script_id: UUID
    number: Number


class ListRuns(QueryInput):
    """Attempts at runs, newest first; `outcome` is `succeeded` or a code."""

    example: ClassVar = {"script_id": EXAMPLE_ID}

    script_id: UUID
    outcome: Annotated[str, StringConstraints(max_length=100)] | None = None
    limit: Page = 50
    after: str | None = None


class GetRun(QueryInput):
    example: ClassVar = {"run_id": EXAMPLE_ID}

    run_id: UUID


class GetValue(QueryInput):
    example: ClassVar = {"script_id": EXAMPLE_ID, "key": "seen:42"}

    script_id: UUID
    key: Key


class ListValues(QueryInput):
    example: ClassVar = {"script_id": EXAMPLE_ID}

    script_id: UUID
    limit: Page = 50
    after: str | None = None


class ListSecrets(QueryInput):
    limit: Page = 50
    after: str | None = None


class GetLimits(QueryInput):
    pass


class Script(Result):
    """`failures`: failed attempts since the last that succeeded. `owner`: whose rights bound those of the script."""

    id: UUID
    version: int
    name: str
    description: str
    status: Status
    status_reason: str | None
    triggers: list[dict[str, Any]]
    grants: list[str]
    hosts: list[str]
    secrets: list[str]
    owner: str
    latest_version: int
    active_version: int | None
    canary_version: int | None
    canary_percent: int
    failures: int
    created_at: datetime
    updated_at: datetime


class ScriptPage(Result):
    data: list[Script]
    page: PageLinks


class DeletedScript(Result):
    id: UUID
    version: int


class PushedVersion(Accepted):
    """`operation_id` is the check."""

    script_id: UUID
    number: int


class VersionInfo(Result):
    script_id: UUID
    number: int
    sha256: str
    author: str
    message: str
    state: VersionState
    faults: list[dict[str, Any]]
    created_at: datetime


class ScriptVersion(VersionInfo):
    code: str


class VersionPage(Result):
    data: list[VersionInfo]
    page: PageLinks


class StartedRun(Accepted):
    """`operation_id` is the run's own id."""

    script_id: UUID


class Attempt(Result):
    """One attempt at a run. `usage` has wall_ms, cpu_ms, peak_bytes, host_calls, output_bytes, log_bytes."""

    id: UUID
    run_id: UUID
    attempt: int
    script_id: UUID
    script_version: int | None
    event_type: str
    event_id: UUID
    depth: int
    outcome: str
    result: Any
    error: dict[str, Any] | None
    effects: list[dict[str, Any]]
    logs: list[dict[str, Any]]
    usage: dict[str, float]
    correlation_id: UUID
    started_at: datetime
    finished_at: datetime


class RunPage(Result):
    data: list[Attempt]
    page: PageLinks


class Run(Result):
    """A run with every attempt at it, oldest first. `status` is that of its operation."""

    id: UUID
    status: OperationStatus
    script_id: UUID
    event: dict[str, Any]
    attempts: list[Attempt]


class Redriven(Result):
    count: int


class Value(Result):
    key: str
    value: Any
    version: int
    expires_at: datetime | None
    updated_at: datetime


class ValuePage(Result):
    data: list[Value]
    page: PageLinks


class DeletedValue(Result):
    key: str


class Secret(Result):
    """A secret without its value, which nobody is shown."""

    name: str
    version: int
    updated_at: datetime


class SecretPage(Result):
    data: list[Secret]
    page: PageLinks


class DeletedSecret(Result):
    name: str
