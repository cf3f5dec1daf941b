# Made from the OpenAPI document. Do not edit: `python -m tests.client_code` writes this file.
"""Operations of blog."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType

from rustok.client.commands import Command
from rustok.client.consistency import Conversation
from rustok.client.endpoints import Endpoint, Module
from rustok.client.models import BodyInput, ContentTranslationInput, DeletedPost, Post, PostWithBodies
from rustok.client.pages import Pages


class Bodies(Endpoint):
    """Operations `blog.bodies`."""

    def set(
        self,
        post_id: UUID | str,
        locale: str,
        *,
        expected_version: int,
        body: str,
        format: Literal["markdown", "html", "plain", "json"] | UnsetType = UNSET,
    ) -> Command[Post]:
        """Set the body of a post in one locale.

        Takes the permission `blog.posts.write`.
        Problems: `node_not_found`, `translation_not_found`.
        """
        return self._command(
            "blog.bodies.set",
            "PUT /api/v1/blog/posts/{post_id}/bodies/{locale}",
            Post,
            parts={"post_id": post_id, "locale": locale},
            body={"body": body, "format": format},
            version=expected_version,
        )


class Posts(Endpoint):
    """Operations `blog.posts`."""

    def create(
        self,
        *,
        author: str | UnsetType | None = UNSET,
        tags: Sequence[str] | UnsetType = UNSET,
        metadata: Mapping[str, Any] | UnsetType = UNSET,
        seo: Mapping[str, Any] | UnsetType = UNSET,
        translations: Mapping[str, ContentTranslationInput],
        bodies: Mapping[str, BodyInput] | UnsetType = UNSET,
    ) -> Command[Post]:
        """Create a post, as a draft.

        A draft with at least one translation; each body belongs to a translation.

        Takes the permission `blog.posts.write`.
        Problems: `duplicate_slug`.
        """
        return self._command(
            "blog.posts.create",
            "POST /api/v1/blog/posts",
            Post,
            body={
                "author": author,
                "tags": tags,
                "metadata": metadata,
                "seo": seo,
                "translations": translations,
                "bodies": bodies,
            },
        )

    def delete(self, post_id: UUID | str, *, expected_version: int) -> Command[DeletedPost]:
        """Delete an unpublished post.

        Takes the permission `blog.posts.write`.
        Problems: `node_not_found`, `node_published`.
        """
        return self._command(
            "blog.posts.delete",
            "DELETE /api/v1/blog/posts/{post_id}",
            DeletedPost,
            parts={"post_id": post_id},
            version=expected_version,
        )

    async def get(self, post_id: UUID | str) -> PostWithBodies:
        """Read a post with its bodies.

        Takes the permission `blog.posts.read`.
        Problems: `node_not_found`.
        """
        return await self._get(
            "blog.posts.get", "/api/v1/blog/posts/{post_id}", PostWithBodies, parts={"post_id": post_id}
        )

    def list(
        self,
        *,
        status: Literal["draft", "published", "archived"] | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Pages[Post]:
        """List posts, newest first.

        Takes the permission `blog.posts.read`.
        """
        return self._list(
            "blog.posts.list", "/api/v1/blog/posts", Post, query={"status": status, "limit": limit}, after=after
        )

    def publish(self, post_id: UUID | str, *, expected_version: int | None = None) -> Command[Post]:
        """Let the storefront show a post.

        Takes the permission `blog.posts.publish`.
        Problems: `node_not_found`.
        """
        return self._command(
            "blog.posts.publish",
            "POST /api/v1/blog/posts/{post_id}/publish",
            Post,
            parts={"post_id": post_id},
            version=expected_version,
        )

    def unpublish(self, post_id: UUID | str, *, expected_version: int | None = None) -> Command[Post]:
        """Take a post off the storefront.

        Takes the permission `blog.posts.publish`.
        Problems: `node_not_found`.
        """
        return self._command(
            "blog.posts.unpublish",
            "POST /api/v1/blog/posts/{post_id}/unpublish",
            Post,
            parts={"post_id": post_id},
            version=expected_version,
        )

    def update(
        self,
        post_id: UUID | str,
        *,
        expected_version: int,
        author: str | UnsetType | None = UNSET,
        tags: Sequence[str] | UnsetType | None = UNSET,
        metadata: Mapping[str, Any] | UnsetType | None = UNSET,
        seo: Mapping[str, Any] | UnsetType | None = UNSET,
    ) -> Command[Post]:
        """Change fields of a post.

        A merge patch (RFC 7396): objects are merged, null gives a field the value that a new post has.

        Takes the permission `blog.posts.write`.
        Problems: `node_not_found`.
        """
        return self._command(
            "blog.posts.update",
            "PATCH /api/v1/blog/posts/{post_id}",
            Post,
            parts={"post_id": post_id},
            body={"author": author, "tags": tags, "metadata": metadata, "seo": seo},
            version=expected_version,
        )


class Translations(Endpoint):
    """Operations `blog.translations`."""

    def delete(self, post_id: UUID | str, locale: str, *, expected_version: int) -> Command[Post]:
        """Remove the texts and the body of a post in one locale.

        Takes the permission `blog.posts.write`.
        Problems: `last_translation`, `node_not_found`, `translation_not_found`.
        """
        return self._command(
            "blog.translations.delete",
            "DELETE /api/v1/blog/posts/{post_id}/translations/{locale}",
            Post,
            parts={"post_id": post_id, "locale": locale},
            version=expected_version,
        )

    def set(
        self,
        post_id: UUID | str,
        locale: str,
        *,
        expected_version: int,
        title: str,
        slug: str | UnsetType | None = UNSET,
        excerpt: str | UnsetType = UNSET,
    ) -> Command[Post]:
        """Set title, slug and excerpt of a post in one locale.

        Takes the permission `blog.posts.write`.
        Problems: `duplicate_slug`, `node_not_found`.
        """
        return self._command(
            "blog.translations.set",
            "PUT /api/v1/blog/posts/{post_id}/translations/{locale}",
            Post,
            parts={"post_id": post_id, "locale": locale},
            body={"title": title, "slug": slug, "excerpt": excerpt},
            version=expected_version,
        )


class Blog(Module):
    """Posts: content of one kind."""

    name = "blog"
    batch_path = "/api/v1/blog:batch"

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation)
        self.bodies = Bodies(conversation)
        self.posts = Posts(conversation)
        self.translations = Translations(conversation)
