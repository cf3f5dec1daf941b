"""Search of published content, and the one document that a page of the storefront shows."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator
from sqlalchemy import text

from rustok.db.unit_of_work import UnitOfWork
from rustok.index.search import Limit, Words, search_page
from rustok.kernel.errors import NotFound
from rustok.kernel.fields import Locale, Slug
from rustok.kernel.module import PageLinks, QueryInput, Result

_FILTERS = {"kind", "author", "tags"}

# Two nodes that have just swapped a slug may both have it here, until the other one is projected.
_GET = text(
    """
    SELECT node_id, kind, slug, title, excerpt, author, tags, parent_id, position, published_at, source_version,
           details
      FROM index_content
     WHERE tenant_id = :tenant_id AND kind = :kind AND locale = :locale AND slug = :slug
     ORDER BY published_at DESC, node_id DESC LIMIT 1
    """
)


class ContentNotFound(NotFound):
    """Nothing is published at this slug in this locale."""

    code = "content_not_found"


class SearchContent(QueryInput):
    """Published content in one locale, of every kind unless `kind` names one.

    `q` is what a person types: words, "a phrase", -without, or. `sort` is by relevance when there is a `q`.
    """

    example: ClassVar = {"locale": "en", "q": "company"}

    locale: Locale
    q: Words | None = None
    kind: str | None = None
    tags: Annotated[list[str], Field(max_length=20)] | None = None
    author: str | None = None
    sort: Literal["relevance", "newest", "title", "position"] | None = None
    limit: Limit = 50
    after: str | None = None

    @model_validator(mode="after")
    def _relevance_wants_words(self) -> Self:
        if self.sort == "relevance" and self.q is None:
            raise ValueError("sort=relevance wants q")
        return self


class GetContent(QueryInput):
    example: ClassVar = {"kind": "page", "slug": "about-us", "locale": "en"}

    kind: str
    slug: Slug
    locale: Locale


class ContentHit(Result):
    """A published node in one locale. `details` has no `body` in a list, which could be a megabyte each."""

    node_id: UUID
    kind: str
    slug: str
    title: str
    excerpt: str
    author: str | None
    tags: list[str]
    parent_id: UUID | None
    position: int
    published_at: datetime
    source_version: int
    details: dict[str, Any]


class ContentHits(Result):
    data: list[ContentHit]
    page: PageLinks


async def search_content(uow: UnitOfWork, data: SearchContent) -> ContentHits:
    """Return published content that matches, in a stable order, without bodies."""
    page = await search_page(
        uow,
        "content",
        key="node_id",
        locale=data.locale,
        words=data.q,
        filters=data.model_dump(include=_FILTERS, exclude_none=True),
        sort=data.sort,
        limit=data.limit,
        after=data.after,
    )
    return ContentHits(data=[ContentHit(**row._mapping) for row in page.rows], page=page.links)


async def get_content(uow: UnitOfWork, data: GetContent) -> ContentHit:
    """Return what is published at a slug, with its body.

    Raises:
        ContentNotFound: nothing is.

    """
    row = (await uow.execute(_GET, {"tenant_id": uow.tenant_id, **data.model_dump()})).one_or_none()
    if row is None:
        raise ContentNotFound(f"Nothing is published at this slug in {data.locale}.")
    return ContentHit(**row._mapping)
