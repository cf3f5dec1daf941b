"""Search of published products."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from rustok.db.unit_of_work import UnitOfWork
from rustok.index.search import Limit, Words, search_page
from rustok.kernel.fields import Locale, Minor
from rustok.kernel.module import PageLinks, QueryInput, Result

_FILTERS = {"vendor", "product_type", "tags", "on_sale", "price_from", "price_to"}


class SearchProducts(QueryInput):
    """Published products in one locale. Prices are in minor units of the tenant's default currency.

    `q` is what a person types: words, "a phrase", -without, or. `sort` is by relevance when there is a `q`.
    Sorted by price, products without a price in that currency are left out.
    """

    example: ClassVar = {"locale": "en", "q": "blue bicycle"}

    locale: Locale
    q: Words | None = None
    vendor: str | None = None
    product_type: str | None = None
    tags: Annotated[list[str], Field(max_length=20)] | None = None
    on_sale: bool | None = None
    price_from: Minor | None = None
    price_to: Minor | None = None
    sort: Literal["relevance", "newest", "title", "price", "-price"] | None = None
    limit: Limit = 50
    after: str | None = None

    @model_validator(mode="after")
    def _relevance_wants_words(self) -> Self:
        if self.sort == "relevance" and self.q is None:
            raise ValueError("sort=relevance wants q")
        return self


class ProductHit(Result):
    product_id: UUID
    handle: str
    title: str
    vendor: str | None
    product_type: str | None
    tags: list[str]
    price_min: int | None
    price_max: int | None
    on_sale: bool
    published_at: datetime
    source_version: int
    details: dict[str, Any]


class ProductHits(Result):
    data: list[ProductHit]
    page: PageLinks


async def search_products(uow: UnitOfWork, data: SearchProducts) -> ProductHits:
    """Return published products that match, in a stable order."""
    page = await search_page(
        uow,
        "products",
        key="product_id",
        locale=data.locale,
        words=data.q,
        filters=data.model_dump(include=_FILTERS, exclude_none=True),
        sort=data.sort,
        limit=data.limit,
        after=data.after,
    )
    return ProductHits(data=[ProductHit(**row._mapping) for row in page.rows], page=page.links)
