"""Inputs and results of content. Wrappers derive their own from `Draft`, `NodeFields` and the texts."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

import orjson
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from rustok.kernel.fields import EXAMPLE_ID, Ids, JsonObject, Locale, Slug, Title
from rustok.kernel.module import Input, PageLinks, QueryInput, Result
from rustok.modules.content.kinds import WRAPPED_KINDS

BODY_LIMIT_BYTES = 1_000_000


def _free(kind: str) -> str:
    if kind in WRAPPED_KINDS:
        raise ValueError("is a kind with routes of its own")
    return kind


def _fits(body: str) -> str:
    if len(body.encode()) > BODY_LIMIT_BYTES:
        raise ValueError(f"must not exceed {BODY_LIMIT_BYTES} bytes in UTF-8")
    return body


FreeKind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$"), AfterValidator(_free)]
"""Any kind that no wrapper has."""

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Tags = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=100)]], Field(max_length=250)]
Position = Annotated[int, Field(ge=0, le=100_000)]
BodyText = Annotated[str, AfterValidator(_fits)]
Format = Literal["markdown", "html", "plain", "json"]
Status = Literal["draft", "published", "archived"]


class TranslationInput(Input):
    """Texts in one locale. Without a `slug`, one is made from the title."""

    title: Title
    slug: Slug | None = None
    excerpt: Annotated[str, StringConstraints(max_length=1000)] = ""


class BodyInput(Input):
    """The long text in one locale, kept as it is sent; of the format `json`, it must be JSON."""

    body: BodyText
    format: Format = "markdown"

    @model_validator(mode="after")
    def _is_what_it_says(self) -> Self:
        if self.format == "json":
            try:
                orjson.loads(self.body)
            except orjson.JSONDecodeError:
                raise ValueError("body must be JSON, as its format says") from None
        return self


class NodeFields(Input):
    """What a node of any kind has beside its texts."""

    author: ShortText | None = None
    tags: Tags = []
    metadata: JsonObject = {}
    seo: JsonObject = {}


class Draft(NodeFields):
    """A new draft with at least one translation; each body belongs to a translation."""

    example: ClassVar = {
        "author": "Ada",
        "translations": {"en": {"title": "About us"}},
        "bodies": {"en": {"body": "# About us", "format": "markdown"}},
    }

    translations: Annotated[dict[Locale, TranslationInput], Field(min_length=1, max_length=50)]
    bodies: dict[Locale, BodyInput] = {}

    @model_validator(mode="after")
    def _bodies_have_titles(self) -> Self:
        if not self.bodies.keys() <= self.translations.keys():
            raise ValueError("bodies must be in locales of the translations")
        return self


class Placement(Input):
    """Where a node stands: below its parent (at the root without one), by rising position."""

    parent_id: UUID | None = None
    position: Position = 0


class NewNode(Draft, Placement):
    """A new draft of a kind that the caller has settled."""


class CreateNode(NewNode):
    """A draft with at least one translation; each body belongs to a translation."""

    example: ClassVar = {**NewNode.example, "kind": "faq"}

    kind: FreeKind


class PlacedFields(NodeFields, Placement):
    """What a node of content's own kinds has beside its texts."""


class PatchFields(Input):
    """A merge patch (RFC 7396): objects are merged, null gives a field the value that a new node has."""

    author: ShortText | None = None
    tags: Tags | None = None
    metadata: JsonObject | None = None
    seo: JsonObject | None = None


class UpdateNode(PatchFields):
    """A merge patch (RFC 7396): objects are merged, null gives a field the value that a new node has.

    A node moves together with all below it.
    """

    example: ClassVar = {"node_id": EXAMPLE_ID, "tags": ["company"], "position": 2}

    node_id: UUID
    parent_id: UUID | None = None
    position: Position | None = None


class NodeReference(Input):
    example: ClassVar = {"node_id": EXAMPLE_ID}

    node_id: UUID


class TranslationReference(Input):
    example: ClassVar = {"node_id": EXAMPLE_ID, "locale": "de"}

    node_id: UUID
    locale: Locale


class SetTranslation(TranslationInput, TranslationReference):
    example: ClassVar = {**TranslationReference.example, "title": "Über uns"}


class SetBody(BodyInput, TranslationReference):
    example: ClassVar = {**TranslationReference.example, "body": "# Über uns", "format": "markdown"}


class GetNode(QueryInput):
    example: ClassVar = {"node_id": EXAMPLE_ID}

    node_id: UUID


class Listing(QueryInput):
    """Newest first, whatever the status."""

    status: Status | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    after: str | None = None


class ListNodes(Listing):
    """Nodes of every kind that no wrapper has, newest first, whatever their status; or those of some `ids`."""

    kind: FreeKind | None = None
    ids: Ids | None = None


class Translation(Result):
    title: str
    slug: str
    excerpt: str


class Body(Result):
    body: str
    format: Format


class PlainNode(Result):
    """A node without its place in the tree, and without its bodies, which may have a megabyte each."""

    id: UUID
    version: int
    author: str | None
    status: Status
    tags: list[str]
    metadata: dict[str, Any]
    seo: dict[str, Any]
    translations: dict[str, Translation]
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None


class Node(PlainNode):
    """A node in its place. `depth` counts its ancestors: moving one changes it without a new version."""

    kind: str
    parent_id: UUID | None
    position: int
    depth: int


class NodeWithBodies(Node):
    bodies: dict[str, Body]


class DeletedNode(Result):
    id: UUID
    version: int


class NodePage(Result):
    data: list[Node]
    page: PageLinks
