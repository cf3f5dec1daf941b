"""Facts that content publishes. The aggregate is always the node; `kind` lets a subscriber pick blog's posts."""

from typing import ClassVar

from rustok.kernel.event import Event


class _NodeEvent(Event):
    aggregate: ClassVar = "node"

    kind: str


class NodeCreated(_NodeEvent):
    """A node exists, as a draft."""

    type: ClassVar = "content.node.created"
    example: ClassVar = {"kind": "post", "locales": ["de", "en"]}

    locales: list[str]


class NodeUpdated(_NodeEvent):
    """Fields of the node itself changed; `changed` names them. `parent_id` among them: it was moved."""

    type: ClassVar = "content.node.updated"
    example: ClassVar = {"kind": "post", "changed": ["author", "tags"]}

    changed: list[str]


class NodePublished(_NodeEvent):
    """The storefront may show the node."""

    type: ClassVar = "content.node.published"
    example: ClassVar = {"kind": "post"}


class NodeUnpublished(_NodeEvent):
    """The storefront shows the node no more."""

    type: ClassVar = "content.node.unpublished"
    example: ClassVar = {"kind": "post"}


class NodeDeleted(_NodeEvent):
    """The node is gone, with its texts and bodies."""

    type: ClassVar = "content.node.deleted"
    example: ClassVar = {"kind": "post"}


class NodeTranslationUpdated(_NodeEvent):
    """The texts of one locale were set, or removed together with the body."""

    type: ClassVar = "content.node.translation_updated"
    example: ClassVar = {"kind": "post", "locale": "de", "removed": False}

    locale: str
    removed: bool


class NodeBodyUpdated(_NodeEvent):
    """The body of one locale was set."""

    type: ClassVar = "content.node.body_updated"
    example: ClassVar = {"kind": "post", "locale": "de", "format": "markdown"}

    locale: str
    format: str


EVENTS = (
    NodeCreated,
    NodeUpdated,
    NodePublished,
    NodeUnpublished,
    NodeDeleted,
    NodeTranslationUpdated,
    NodeBodyUpdated,
)
