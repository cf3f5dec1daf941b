"""Inputs and results of the blog: content's, without what a post has not (a kind, a place in a tree)."""

from uuid import UUID

from rustok.kernel.fields import Locale
from rustok.kernel.module import Input, PageLinks, QueryInput, Result
from rustok.modules import content


class CreatePost(content.Draft):
    """A draft with at least one translation; each body belongs to a translation."""


class UpdatePost(content.NodeFields):
    """The fields that are present replace the stored ones."""

    post_id: UUID


class PostReference(Input):
    post_id: UUID


class PostTranslationReference(Input):
    post_id: UUID
    locale: Locale


class SetPostTranslation(content.TranslationInput, PostTranslationReference):
    pass


class SetPostBody(content.BodyInput, PostTranslationReference):
    pass


class GetPost(QueryInput):
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
