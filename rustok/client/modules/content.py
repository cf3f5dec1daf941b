# Made from the OpenAPI document. Do not edit: `python -m tests.client_code` writes this file.
"""Operations of content."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType

from rustok.client.commands import Command
from rustok.client.consistency import Conversation
from rustok.client.endpoints import Endpoint, Module
from rustok.client.models import BodyInput, ContentTranslationInput, DeletedNode, Node, NodeWithBodies
from rustok.client.pages import Pages


class Bodies(Endpoint):
    """Operations `content.bodies`."""

    def set(
        self,
        node_id: UUID | str,
        locale: str,
        *,
        expected_version: int,
        body: str,
        format: Literal["markdown", "html", "plain", "json"] | UnsetType = UNSET,
    ) -> Command[Node]:
        """Set the body of a node in one locale.

        Takes the permission `content.nodes.write`.
        Problems: `node_not_found`, `translation_not_found`.
        """
        return self._command(
            "content.bodies.set",
            "PUT /api/v1/content/nodes/{node_id}/bodies/{locale}",
            Node,
            parts={"node_id": node_id, "locale": locale},
            body={"body": body, "format": format},
            version=expected_version,
        )


class Nodes(Endpoint):
    """Operations `content.nodes`."""

    def create(
        self,
        *,
        parent_id: UUID | str | UnsetType | None = UNSET,
        position: int | UnsetType = UNSET,
        author: str | UnsetType | None = UNSET,
        tags: Sequence[str] | UnsetType = UNSET,
        metadata: Mapping[str, Any] | UnsetType = UNSET,
        seo: Mapping[str, Any] | UnsetType = UNSET,
        translations: Mapping[str, ContentTranslationInput],
        bodies: Mapping[str, BodyInput] | UnsetType = UNSET,
        kind: str,
    ) -> Command[Node]:
        """Create a node, as a draft.

        A draft with at least one translation; each body belongs to a translation.

        Takes the permission `content.nodes.write`.
        Problems: `duplicate_slug`, `node_too_deep`, `parent_not_found`.
        """
        return self._command(
            "content.nodes.create",
            "POST /api/v1/content/nodes",
            Node,
            body={
                "parent_id": parent_id,
                "position": position,
                "author": author,
                "tags": tags,
                "metadata": metadata,
                "seo": seo,
                "translations": translations,
                "bodies": bodies,
                "kind": kind,
            },
        )

    def delete(self, node_id: UUID | str, *, expected_version: int) -> Command[DeletedNode]:
        """Delete an unpublished node without children.

        Takes the permission `content.nodes.write`.
        Problems: `node_has_children`, `node_not_found`, `node_published`.
        """
        return self._command(
            "content.nodes.delete",
            "DELETE /api/v1/content/nodes/{node_id}",
            DeletedNode,
            parts={"node_id": node_id},
            version=expected_version,
        )

    async def get(self, node_id: UUID | str) -> NodeWithBodies:
        """Read a node with its bodies.

        Takes the permission `content.nodes.read`.
        Problems: `node_not_found`.
        """
        return await self._get(
            "content.nodes.get", "/api/v1/content/nodes/{node_id}", NodeWithBodies, parts={"node_id": node_id}
        )

    def list(
        self,
        *,
        status: Literal["draft", "published", "archived"] | None = None,
        limit: int | None = None,
        after: str | None = None,
        kind: str | None = None,
        ids: Sequence[UUID | str] | None = None,
    ) -> Pages[Node]:
        """List nodes, newest first.

        Takes the permission `content.nodes.read`.
        """
        return self._list(
            "content.nodes.list",
            "/api/v1/content/nodes",
            Node,
            query={"status": status, "limit": limit, "kind": kind, "ids": ids},
            after=after,
        )

    def publish(self, node_id: UUID | str, *, expected_version: int | None = None) -> Command[Node]:
        """Let the storefront show a node.

        Takes the permission `content.nodes.publish`.
        Problems: `node_not_found`.
        """
        return self._command(
            "content.nodes.publish",
            "POST /api/v1/content/nodes/{node_id}/publish",
            Node,
            parts={"node_id": node_id},
            version=expected_version,
        )

    def unpublish(self, node_id: UUID | str, *, expected_version: int | None = None) -> Command[Node]:
        """Take a node off the storefront.

        Takes the permission `content.nodes.publish`.
        Problems: `node_not_found`.
        """
        return self._command(
            "content.nodes.unpublish",
            "POST /api/v1/content/nodes/{node_id}/unpublish",
            Node,
            parts={"node_id": node_id},
            version=expected_version,
        )

    def update(
        self,
        node_id: UUID | str,
        *,
        expected_version: int,
        author: str | UnsetType | None = UNSET,
        tags: Sequence[str] | UnsetType | None = UNSET,
        metadata: Mapping[str, Any] | UnsetType | None = UNSET,
        seo: Mapping[str, Any] | UnsetType | None = UNSET,
        parent_id: UUID | str | UnsetType | None = UNSET,
        position: int | UnsetType | None = UNSET,
    ) -> Command[Node]:
        """Change fields of a node, or move it.

        A merge patch (RFC 7396): objects are merged, null gives a field the value that a new node has.

        A node moves together with all below it.

        Takes the permission `content.nodes.write`.
        Problems: `node_cycle`, `node_not_found`, `node_too_deep`, `parent_not_found`.
        """
        return self._command(
            "content.nodes.update",
            "PATCH /api/v1/content/nodes/{node_id}",
            Node,
            parts={"node_id": node_id},
            body={
                "author": author,
                "tags": tags,
                "metadata": metadata,
                "seo": seo,
                "parent_id": parent_id,
                "position": position,
            },
            version=expected_version,
        )


class Translations(Endpoint):
    """Operations `content.translations`."""

    def delete(self, node_id: UUID | str, locale: str, *, expected_version: int) -> Command[Node]:
        """Remove the texts and the body of a node in one locale.

        Takes the permission `content.nodes.write`.
        Problems: `last_translation`, `node_not_found`, `translation_not_found`.
        """
        return self._command(
            "content.translations.delete",
            "DELETE /api/v1/content/nodes/{node_id}/translations/{locale}",
            Node,
            parts={"node_id": node_id, "locale": locale},
            version=expected_version,
        )

    def set(
        self,
        node_id: UUID | str,
        locale: str,
        *,
        expected_version: int,
        title: str,
        slug: str | UnsetType | None = UNSET,
        excerpt: str | UnsetType = UNSET,
    ) -> Command[Node]:
        """Set title, slug and excerpt of a node in one locale.

        Takes the permission `content.nodes.write`.
        Problems: `duplicate_slug`, `node_not_found`.
        """
        return self._command(
            "content.translations.set",
            "PUT /api/v1/content/nodes/{node_id}/translations/{locale}",
            Node,
            parts={"node_id": node_id, "locale": locale},
            body={"title": title, "slug": slug, "excerpt": excerpt},
            version=expected_version,
        )


class Content(Module):
    """A tree of nodes of any kind, with their texts and bodies."""

    name = "content"
    batch_path = "/api/v1/content:batch"

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation)
        self.bodies = Bodies(conversation)
        self.nodes = Nodes(conversation)
        self.translations = Translations(conversation)
