"""Storefront queries: one table, one function of the database a kind, keyset pages."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator
from sqlalchemy import text

from rustok.db.engine import to_json
from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.fields import Locale, Minor
from rustok.kernel.module import PageLinks, QueryInput, Result

_SEARCH_PRODUCTS = text(
    """
    SELECT * FROM search_products(CAST(:tenant_id AS uuid), :locale, :query, CAST(:filters AS jsonb), :sort,
                                  CAST(:after AS jsonb), :limit)
    """
)
_PRODUCT_FILTERS = {"vendor", "product_type", "tags", "on_sale", "price_from", "price_to"}


class SearchProducts(QueryInput):
    """Published products in one locale. Prices are in minor units of the tenant's default currency.

    `q` is what a person types: words, "a phrase", -without, or. `sort` is by relevance when there is a `q`.
    """

    locale: Locale
    q: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    vendor: str | None = None
    product_type: str | None = None
    tags: Annotated[list[str], Field(max_length=20)] | None = None
    on_sale: bool | None = None
    price_from: Minor | None = None
    price_to: Minor | None = None
    sort: Literal["relevance", "newest", "title", "price", "-price"] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50
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
    sort = data.sort or ("relevance" if data.q else "newest")
    filters = data.model_dump(include=_PRODUCT_FILTERS, exclude_none=True)
    bound_to = f"{uow.tenant_id} search.products {data.locale} {sort} {to_json([data.q, filters])}"
    after = uow.cursors.decode(data.after, bound_to) if data.after else None
    rows = (
        await uow.execute(
            _SEARCH_PRODUCTS,
            {
                "tenant_id": uow.tenant_id,
                "locale": data.locale,
                "query": data.q,
                "filters": to_json(filters),
                "sort": sort,
                "after": None if after is None else to_json(after),
                "limit": data.limit + 1,
            },
        )
    ).all()
    page = rows[: data.limit]
    cursor = uow.cursors.encode(page[-1].sort_key, bound_to) if len(rows) > data.limit else None
    return ProductHits(
        data=[ProductHit(**row._mapping) for row in page],
        page=PageLinks(next=cursor),
    )
