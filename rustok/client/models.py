# Made from the OpenAPI document. Do not edit: `python -m tests.client_code` writes this file.
"""What operations take and answer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict
from uuid import UUID

from msgspec import Struct

if TYPE_CHECKING:
    BodyFormat = Literal["markdown", "html", "plain", "json"]
    CloudEventDatacontenttype = Literal["application/json"]
    CloudEventSpecversion = Literal["1.0"]
    ModuleKind = Literal["core", "domain", "wrapper", "infrastructure", "extension"]
    NodeStatus = Literal["draft", "published", "archived"]
    NodeWithBodiesStatus = Literal["draft", "published", "archived"]
    OperationStatus = Literal["queued", "running", "done", "failed", "cancelled", "discarded"]
    PostStatus = Literal["draft", "published", "archived"]
    PostWithBodiesStatus = Literal["draft", "published", "archived"]
    ProductStatus = Literal["draft", "active", "archived"]
    RunStatus = Literal["queued", "running", "done", "failed", "cancelled", "discarded"]
    ScriptStatus = Literal["draft", "active", "paused", "disabled"]
    ScriptVersionState = Literal["checking", "ready", "rejected", "disabled"]
    VersionInfoState = Literal["checking", "ready", "rejected", "disabled"]
else:  # a value that a later version of the API adds can be read
    BodyFormat = str
    CloudEventDatacontenttype = str
    CloudEventSpecversion = str
    ModuleKind = str
    NodeStatus = str
    NodeWithBodiesStatus = str
    OperationStatus = str
    PostStatus = str
    PostWithBodiesStatus = str
    ProductStatus = str
    RunStatus = str
    ScriptStatus = str
    ScriptVersionState = str
    VersionInfoState = str


class EventTrigger(TypedDict):
    """Events of this type, or of all types that `commerce.product.*` or `*` covers.

    `filter`: each path, such as `payload.locale`, leads to one of the values given for it.
    """

    kind: Literal["event"]
    pattern: str
    filter: NotRequired[Mapping[str, Sequence[str | int | bool | None]]]


class CronTrigger(TypedDict):
    """The moments of a cron expression of five fields, in a time zone with its changes of the clock.

    `missed`: what becomes of moments that passed while no relay looked. `latest`: one run, for the latest; `all`:
    a run for each of the last 100; `skip`: none, unless the latest passed less than a minute ago.
    """

    kind: Literal["cron"]
    expression: str
    timezone: NotRequired[str]
    missed: NotRequired[Literal["latest", "all", "skip"]]


class ApiTrigger(TypedDict):
    """A request, which is answered 202 with an operation."""

    kind: Literal["api"]


class ManualTrigger(TypedDict):
    """An operator's hand."""

    kind: Literal["manual"]


class ContentTranslationInput(TypedDict):
    """Texts in one locale. Without a `slug`, one is made from the title."""

    title: str
    slug: NotRequired[str | None]
    excerpt: NotRequired[str]


class BodyInput(TypedDict):
    """The long text in one locale, kept as it is sent; of the format `json`, it must be JSON."""

    body: str
    format: NotRequired[Literal["markdown", "html", "plain", "json"]]


class OptionInput(TypedDict):
    """Something to choose, such as a size; names and choices do not repeat."""

    name: str
    choices: Sequence[str]


class CommerceTranslationInput(TypedDict):
    """Texts in one locale. Without a `handle` the stored one stays, or one is made from the title."""

    title: str
    handle: NotRequired[str | None]
    description: NotRequired[str]
    meta_title: NotRequired[str | None]
    meta_description: NotRequired[str | None]


class PriceInput(TypedDict):
    """`amount` in minor units of the currency; `compare_at`, the price before a sale, is not below it."""

    amount: int
    compare_at: NotRequired[int | None]


class VariantInput(TypedDict):
    sku: NotRequired[str | None]
    barcode: NotRequired[str | None]
    inventory_policy: NotRequired[Literal["deny", "continue"]]
    weight_g: NotRequired[int | None]
    option1: NotRequired[str | None]
    option2: NotRequired[str | None]
    option3: NotRequired[str | None]
    prices: NotRequired[Mapping[str, PriceInput]]


class CreatedApiKey(Struct, frozen=True, kw_only=True):
    """`token` is the whole key: shown this once, kept nowhere."""

    key_id: str
    name: str
    principal_id: UUID
    scopes: tuple[str, ...] | None
    expires_at: datetime | None
    revoked_at: datetime | None
    successor: str | None
    created_at: datetime
    version: int
    id: UUID
    token: str


class ApiKeyInfo(Struct, frozen=True, kw_only=True):
    """A key without its secret.

    `successor`: the `key_id` of the newest that has come of it by rotation; it changes without a new version.
    """

    key_id: str
    name: str
    principal_id: UUID
    scopes: tuple[str, ...] | None
    expires_at: datetime | None
    revoked_at: datetime | None
    successor: str | None
    created_at: datetime
    version: int


class AuditEntry(Struct, frozen=True, kw_only=True):
    """What was done, by whom. `number` and `hash` together are an anchor of the chain up to here."""

    number: int
    event_id: UUID
    type: str
    actor: str
    aggregate_type: str
    aggregate_id: UUID
    correlation_id: UUID
    causation_id: UUID
    occurred_at: datetime
    payload: Mapping[str, Any]
    hash: str


class WhoAmI(Struct, frozen=True, kw_only=True):
    """Who the credential belongs to, and what it may do now."""

    tenant_id: UUID
    actor: str
    principal_id: UUID | None
    permissions: tuple[str, ...]
    own_permissions: tuple[str, ...]


class Role(Struct, frozen=True, kw_only=True):
    """A role of the tenant, or a built-in one, which has no version.

    `permissions` and `own_permissions` are all that it allows, also by its ancestors.
    """

    name: str
    version: int | None
    summary: str
    parents: tuple[str, ...]
    grants: tuple[str, ...]
    own_grants: tuple[str, ...]
    permissions: tuple[str, ...]
    own_permissions: tuple[str, ...]


class DeletedRole(Struct, frozen=True, kw_only=True):
    name: str
    version: int


class RoleList(Struct, frozen=True, kw_only=True):
    """Every role of the tenant and every built-in one, by name."""

    data: tuple[Role, ...]


class ServicePrincipal(Struct, frozen=True, kw_only=True):
    """A program that acts for the tenant by its keys."""

    id: UUID
    version: int
    name: str
    is_active: bool
    roles: tuple[str, ...]
    created_at: datetime
    updated_at: datetime


class DeletedPrincipal(Struct, frozen=True, kw_only=True):
    id: UUID
    version: int


class User(Struct, frozen=True, kw_only=True):
    """A person. `has_password`: may sign in by password."""

    id: UUID
    version: int
    name: str
    is_active: bool
    roles: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    email: str
    has_password: bool


class ClosedSessions(Struct, frozen=True, kw_only=True):
    """How many there were."""

    closed: int


class Script(Struct, frozen=True, kw_only=True):
    """`failures`: failed attempts since the last that succeeded. `owner`: whose rights bound those of the script."""

    id: UUID
    version: int
    name: str
    description: str
    status: ScriptStatus
    status_reason: str | None
    triggers: tuple[Mapping[str, Any], ...]
    grants: tuple[str, ...]
    hosts: tuple[str, ...]
    secrets: tuple[str, ...]
    owner: str
    latest_version: int
    active_version: int | None
    canary_version: int | None
    canary_percent: int
    failures: int
    created_at: datetime
    updated_at: datetime


class DeletedValue(Struct, frozen=True, kw_only=True):
    key: str


class Value(Struct, frozen=True, kw_only=True):
    key: str
    value: Any
    version: int
    expires_at: datetime | None
    updated_at: datetime


class ScriptLimits(Struct, frozen=True, kw_only=True):
    """Limits of a tenant. `runs_a_minute`: runs beyond it start later, none is dropped; None: as they come."""

    cpu_ms: int = 500
    wall_ms: int = 2000
    memory_bytes: int = 67108864
    output_bytes: int = 262144
    log_bytes: int = 16384
    host_calls: int = 50
    scripts: int = 100
    versions_a_script: int = 200
    values_a_script: int = 1000
    value_bytes: int = 65536
    calls_a_run: int = 10
    runs_a_minute: int | None = None
    failures_in_a_row: int = 20


class Attempt(Struct, frozen=True, kw_only=True):
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
    error: Mapping[str, Any] | None
    effects: tuple[Mapping[str, Any], ...]
    logs: tuple[Mapping[str, Any], ...]
    usage: Mapping[str, float]
    correlation_id: UUID
    started_at: datetime
    finished_at: datetime


class Run(Struct, frozen=True, kw_only=True):
    """A run with every attempt at it, oldest first. `status` is that of its operation."""

    id: UUID
    status: RunStatus
    script_id: UUID
    event: Mapping[str, Any]
    attempts: tuple[Attempt, ...]


class Redriven(Struct, frozen=True, kw_only=True):
    count: int


class StartedRun(Struct, frozen=True, kw_only=True):
    """`operation_id` is the run's own id."""

    operation_id: UUID
    script_id: UUID


class DeletedScript(Struct, frozen=True, kw_only=True):
    id: UUID
    version: int


class DeletedSecret(Struct, frozen=True, kw_only=True):
    name: str


class Secret(Struct, frozen=True, kw_only=True):
    """A secret without its value, which nobody is shown."""

    name: str
    version: int
    updated_at: datetime


class ScriptVersion(Struct, frozen=True, kw_only=True):
    script_id: UUID
    number: int
    sha256: str
    author: str
    message: str
    state: ScriptVersionState
    faults: tuple[Mapping[str, Any], ...]
    created_at: datetime
    code: str


class VersionInfo(Struct, frozen=True, kw_only=True):
    script_id: UUID
    number: int
    sha256: str
    author: str
    message: str
    state: VersionInfoState
    faults: tuple[Mapping[str, Any], ...]
    created_at: datetime


class PushedVersion(Struct, frozen=True, kw_only=True):
    """`operation_id` is the check."""

    operation_id: UUID
    script_id: UUID
    number: int


class ContentTranslation(Struct, frozen=True, kw_only=True):
    title: str
    slug: str
    excerpt: str


class Post(Struct, frozen=True, kw_only=True):
    """A post without its bodies."""

    id: UUID
    version: int
    author: str | None
    status: PostStatus
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    seo: Mapping[str, Any]
    translations: Mapping[str, ContentTranslation]
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None


class DeletedPost(Struct, frozen=True, kw_only=True):
    id: UUID
    version: int


class Body(Struct, frozen=True, kw_only=True):
    body: str
    format: BodyFormat


class PostWithBodies(Struct, frozen=True, kw_only=True):
    id: UUID
    version: int
    author: str | None
    status: PostWithBodiesStatus
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    seo: Mapping[str, Any]
    translations: Mapping[str, ContentTranslation]
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None
    bodies: Mapping[str, Body]


class CommerceTranslation(Struct, frozen=True, kw_only=True):
    title: str
    handle: str
    description: str
    meta_title: str | None = None
    meta_description: str | None = None


class Option(Struct, frozen=True, kw_only=True):
    name: str
    choices: tuple[str, ...]


class Price(Struct, frozen=True, kw_only=True):
    amount: int
    compare_at: int | None = None


class Variant(Struct, frozen=True, kw_only=True):
    id: UUID
    sku: str | None
    barcode: str | None
    inventory_policy: str
    weight_g: int | None
    option1: str | None
    option2: str | None
    option3: str | None
    prices: Mapping[str, Price]


class Product(Struct, frozen=True, kw_only=True):
    id: UUID
    version: int
    status: ProductStatus
    vendor: str | None
    product_type: str | None
    tags: tuple[str, ...]
    rich_description: Mapping[str, Any]
    seo: Mapping[str, Any]
    translations: Mapping[str, CommerceTranslation]
    options: tuple[Option, ...]
    variants: tuple[Variant, ...]
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None


class DeletedProduct(Struct, frozen=True, kw_only=True):
    id: UUID
    version: int


class Node(Struct, frozen=True, kw_only=True):
    """A node in its place. `depth` counts its ancestors: moving one changes it without a new version."""

    id: UUID
    version: int
    author: str | None
    status: NodeStatus
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    seo: Mapping[str, Any]
    translations: Mapping[str, ContentTranslation]
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None
    kind: str
    parent_id: UUID | None
    position: int
    depth: int


class DeletedNode(Struct, frozen=True, kw_only=True):
    id: UUID
    version: int


class NodeWithBodies(Struct, frozen=True, kw_only=True):
    id: UUID
    version: int
    author: str | None
    status: NodeWithBodiesStatus
    tags: tuple[str, ...]
    metadata: Mapping[str, Any]
    seo: Mapping[str, Any]
    translations: Mapping[str, ContentTranslation]
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None
    kind: str
    parent_id: UUID | None
    position: int
    depth: int
    bodies: Mapping[str, Body]


class ContentHit(Struct, frozen=True, kw_only=True):
    """A published node in one locale. `details` has no `body` in a list, which could be a megabyte each."""

    node_id: UUID
    kind: str
    slug: str
    title: str
    excerpt: str
    author: str | None
    tags: tuple[str, ...]
    parent_id: UUID | None
    position: int
    published_at: datetime
    source_version: int
    details: Mapping[str, Any]


class ProductHit(Struct, frozen=True, kw_only=True):
    product_id: UUID
    handle: str
    title: str
    vendor: str | None
    product_type: str | None
    tags: tuple[str, ...]
    price_min: int | None
    price_max: int | None
    on_sale: bool
    published_at: datetime
    source_version: int
    details: Mapping[str, Any]


class Accepted(Struct, frozen=True, kw_only=True):
    """What a command of status 202 returns, at least."""

    operation_id: UUID


class DeadLetterGroup(Struct, frozen=True, kw_only=True):
    """Dead letters of one cause.

    `what`: the consumer or kind of job. `state`: `dead`, given up; `retrying`, tried again by itself; `needs_version`,
    no failure, it waits for a worker of a release that knows it.
    """

    fingerprint: str
    what: str
    state: str
    count: int
    oldest: datetime
    newest: datetime
    example: str


class DeadLetterGroups(Struct, frozen=True, kw_only=True):
    data: tuple[DeadLetterGroup, ...]


class Progress(Struct, frozen=True, kw_only=True):
    done: int
    total: int | None


class Operation(Struct, frozen=True, kw_only=True):
    """`error` says of a queued operation why its last attempt failed; of a failed one, why it was given up."""

    id: UUID
    kind: str
    status: OperationStatus
    attempts: int
    progress: Progress | None
    result: Any
    error: Mapping[str, Any] | None
    created_at: datetime
    finished_at: datetime | None


class CloudEvent(Struct, frozen=True, kw_only=True):
    """`source` and `id` together name the event, wherever it is met again; `data` fits the schema `dataschema`.

    `partitionkey` and `traceparent` are extensions of the specification's own, the other ids are ours.
    """

    specversion: CloudEventSpecversion
    id: UUID
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: CloudEventDatacontenttype
    dataschema: str
    tenantid: UUID
    correlationid: UUID
    causationid: UUID
    partitionkey: str
    traceparent: str | None = None
    data: Mapping[str, Any]


class TenantModule(Struct, frozen=True, kw_only=True):
    """A module as the tenant has it. `depends_on`: those that must be on while it is."""

    name: str
    kind: ModuleKind
    summary: str
    depends_on: tuple[str, ...]
    may_be_disabled: bool
    is_enabled: bool


class TenantModules(Struct, frozen=True, kw_only=True):
    """Every module of the platform, in the order of their dependencies; `version` is the tenant's."""

    data: tuple[TenantModule, ...]
    version: int
