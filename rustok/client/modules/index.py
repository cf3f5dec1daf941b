# Made from the OpenAPI document. Do not edit: `python -m tests.client_code` writes this file.
"""Operations of index."""

from collections.abc import Sequence
from typing import Literal

from rustok.client.consistency import Conversation
from rustok.client.endpoints import Endpoint
from rustok.client.models import ContentHit, ProductHit
from rustok.client.pages import Pages


class Content(Endpoint):
    """Operations `index.content`."""

    async def get(self, kind: str, slug: str, *, locale: str) -> ContentHit:
        """Read what is published at a slug, with its body.

        Takes the permission `index.content.read`.
        Problems: `content_not_found`.
        """
        return await self._get(
            "index.content.get",
            "/api/v1/search/content/{kind}/{slug}",
            ContentHit,
            parts={"kind": kind, "slug": slug},
            query={"locale": locale},
            of_index=True,
        )

    def search(
        self,
        *,
        locale: str,
        q: str | None = None,
        kind: str | None = None,
        tags: Sequence[str] | None = None,
        author: str | None = None,
        sort: Literal["relevance", "newest", "title", "position"] | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Pages[ContentHit]:
        """Search published content.

        Takes the permission `index.content.read`.
        """
        return self._list(
            "index.content.search",
            "/api/v1/search/content",
            ContentHit,
            query={
                "locale": locale,
                "q": q,
                "kind": kind,
                "tags": tags,
                "author": author,
                "sort": sort,
                "limit": limit,
            },
            of_index=True,
            after=after,
        )


class Products(Endpoint):
    """Operations `index.products`."""

    def search(
        self,
        *,
        locale: str,
        q: str | None = None,
        vendor: str | None = None,
        product_type: str | None = None,
        tags: Sequence[str] | None = None,
        on_sale: bool | None = None,
        price_from: int | None = None,
        price_to: int | None = None,
        sort: Literal["relevance", "newest", "title", "price", "-price"] | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Pages[ProductHit]:
        """Search published products.

        Takes the permission `index.products.read`.
        """
        return self._list(
            "index.products.search",
            "/api/v1/search/products",
            ProductHit,
            query={
                "locale": locale,
                "q": q,
                "vendor": vendor,
                "product_type": product_type,
                "tags": tags,
                "on_sale": on_sale,
                "price_from": price_from,
                "price_to": price_to,
                "sort": sort,
                "limit": limit,
            },
            of_index=True,
            after=after,
        )


class Index(Endpoint):
    """Denormalised tables that a storefront queries without joins."""

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation)
        self.content = Content(conversation)
        self.products = Products(conversation)
