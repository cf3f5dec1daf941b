"""Facts that commerce publishes. The aggregate is always the product."""

from typing import ClassVar
from uuid import UUID

from rustok.kernel.event import Event

_EXAMPLE_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


class _ProductEvent(Event):
    aggregate: ClassVar = "product"


class ProductCreated(_ProductEvent):
    """A product exists, as a draft unless `commerce.product.published` follows."""

    type: ClassVar = "commerce.product.created"
    example: ClassVar = {"locales": ["de", "en"], "variants": 1}

    locales: list[str]
    variants: int


class ProductUpdated(_ProductEvent):
    """Fields of the product itself changed; `changed` names them."""

    type: ClassVar = "commerce.product.updated"
    example: ClassVar = {"changed": ["tags", "vendor"]}

    changed: list[str]


class ProductPublished(_ProductEvent):
    """The storefront may show the product."""

    type: ClassVar = "commerce.product.published"
    example: ClassVar = {}


class ProductUnpublished(_ProductEvent):
    """The storefront shows the product no more."""

    type: ClassVar = "commerce.product.unpublished"
    example: ClassVar = {}


class ProductDeleted(_ProductEvent):
    """The product is gone, with its texts, variants and prices."""

    type: ClassVar = "commerce.product.deleted"
    example: ClassVar = {}


class ProductTranslationUpdated(_ProductEvent):
    """The texts of one locale were set or removed."""

    type: ClassVar = "commerce.product.translation_updated"
    example: ClassVar = {"locale": "de", "removed": False}

    locale: str
    removed: bool


class VariantCreated(_ProductEvent):
    """The product has a new variant."""

    type: ClassVar = "commerce.variant.created"
    example: ClassVar = {"variant_id": _EXAMPLE_ID, "sku": "SHIRT-M"}

    variant_id: UUID
    sku: str | None


class VariantUpdated(_ProductEvent):
    """Fields of a variant changed; `changed` names them."""

    type: ClassVar = "commerce.variant.updated"
    example: ClassVar = {"variant_id": _EXAMPLE_ID, "changed": ["sku"]}

    variant_id: UUID
    changed: list[str]


class VariantDeleted(_ProductEvent):
    """A variant is gone, with its prices."""

    type: ClassVar = "commerce.variant.deleted"
    example: ClassVar = {"variant_id": _EXAMPLE_ID}

    variant_id: UUID


class PriceUpdated(_ProductEvent):
    """A price was set, or removed when `amount` is null. Amounts are in minor units."""

    type: ClassVar = "commerce.price.updated"
    example: ClassVar = {"variant_id": _EXAMPLE_ID, "currency": "EUR", "amount": 1999, "compare_at": None}

    variant_id: UUID
    currency: str
    amount: int | None
    compare_at: int | None = None


EVENTS = (
    ProductCreated,
    ProductUpdated,
    ProductPublished,
    ProductUnpublished,
    ProductDeleted,
    ProductTranslationUpdated,
    VariantCreated,
    VariantUpdated,
    VariantDeleted,
    PriceUpdated,
)
