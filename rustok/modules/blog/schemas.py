"""Inputs and results of the blog: content's, without what a post has not (a kind, a place in a tree)."""

from typing import ClassVar
from uuid import UUID

from rustok.kernel.fields import EXAMPLE_ID, Locale
from rustok.kernel.module import Input, PageLinks, QueryInput, Result
from rustok.modules import content


class CreatePost(content.Draft):
    """A draft with at least one translation; each body belongs to a translation."""


class UpdatePost(content.PatchFields):
    """A merge patch (RFC 7396): objects are merged, null gives a field the value that a new post has."""

    example: ClassVar = {"post_id": EXAMPLE_ID, "tags": ["news"]}

    post_id: UUID


class PostReference(Input):
    example: ClassVar = {"post_id": EXAMPLE_ID}

    post_id: UUID


class PostTranslationReference(Input):
    example: ClassVar = {"post_id": EXAMPLE_ID, "locale": "de"}

    post_id: UUID
    locale: Locale


class SetPostTranslation(content.TranslationInput, PostTranslationReference):
    example: ClassVar = {**PostTranslationReference.example, "title": "Neues"}


class SetPostBody(content.BodyInput, PostTranslationReference):
    example: ClassVar = {**PostTranslationReference.example, "body": "# Neues", "format": "markdown"}


class GetPost(QueryInput):
    example: ClassVar = {"post_id": EXAMPLE_ID}

    post_id: UUID


class ListPosts(content.Listing):
    """Every post of the tenant, newest first, whatever its status."""


class Post(content.PlainNode):
    """A post without its bodies."""


class PostWithBodies(Post):
    bodies: dict[str, content.Body]


class DeletedPost(Result):
    id: UUID
    version: int


class PostPage(Result):
    data: list[Post]
    page: PageLinks
