"""Inputs and results of commerce."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from rustok.kernel.fields import EXAMPLE_ID, Currency, Distinct, Ids, JsonObject, Locale, Minor, Slug, Title
from rustok.kernel.module import Input, PageLinks, QueryInput, Result

Description = Annotated[str, StringConstraints(max_length=100_000)]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Tags = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=100)]], Field(max_length=250)]
Choice = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Status = Literal["draft", "active", "archived"]
InventoryPolicy = Literal["deny", "continue"]
Weight = Annotated[int, Field(ge=0, le=2**31 - 1)]


class TranslationInput(Input):
    """Texts in one locale. Without a `handle` the stored one stays, or one is made from the title."""

    title: Title
    handle: Slug | None = None
    description: Description = ""
    meta_title: Annotated[str, StringConstraints(max_length=255)] | None = None
    meta_description: Annotated[str, StringConstraints(max_length=500)] | None = None


class OptionInput(Input):
    """Something to choose, such as a size; names and choices do not repeat."""

    name: Choice
    choices: Annotated[Distinct[Choice], Field(min_length=1, max_length=100)]


def _differently_named(options: list[OptionInput]) -> list[OptionInput]:
    if len({option.name for option in options}) < len(options):
        raise ValueError("names must not repeat")
    return options


Options = Annotated[list[OptionInput], Field(max_length=3), AfterValidator(_differently_named)]


class PriceInput(Input):
    """`amount` in minor units of the currency; `compare_at`, the price before a sale, is not below it."""

    amount: Minor
    compare_at: Minor | None = None

    @model_validator(mode="after")
    def _compare_at_is_not_below(self) -> Self:
        if self.compare_at is not None and self.compare_at < self.amount:
            raise ValueError("compare_at must not be below amount")
        return self


class VariantFields(Input):
    """What is sold. `option1` to `option3` choose from the product's options, in their order."""

    sku: ShortText | None = None
    barcode: ShortText | None = None
    inventory_policy: InventoryPolicy = "deny"
    weight_g: Weight | None = None
    option1: Choice | None = None
    option2: Choice | None = None
    option3: Choice | None = None


class VariantInput(VariantFields):
    prices: Annotated[dict[Currency, PriceInput], Field(max_length=200)] = {}


class ProductFields(Input):
    """What a product has beside its texts and what is sold."""

    vendor: ShortText | None = None
    product_type: ShortText | None = None
    tags: Tags = []
    rich_description: JsonObject = {}
    seo: JsonObject = {}


class CreateProduct(ProductFields):
    """A product with at least one translation; `active` publishes it at once."""

    example: ClassVar = {
        "status": "active",
        "vendor": "Acme",
        "translations": {"en": {"title": "Blue bicycle", "description": "For the city."}},
        "variants": [{"sku": "BIKE-BLUE", "prices": {"EUR": {"amount": 19900}}}],
    }

    status: Literal["draft", "active"] = "draft"
    translations: Annotated[dict[Locale, TranslationInput], Field(min_length=1, max_length=50)]
    options: Options = []
    variants: Annotated[list[VariantInput], Field(max_length=100)] = []


class BeginImport(Input):
    """`source` names the content of a file, such as its SHA-256."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class ImportProducts(Input):
    """The lines `first_line` to `last_line` of a source (from 1): their products, and how many were unusable."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    first_line: Annotated[int, Field(ge=1)]
    last_line: Annotated[int, Field(ge=1)]
    products: Annotated[list[CreateProduct], Field(max_length=500)]
    rejected: Annotated[int, Field(ge=0)] = 0


class UpdateProduct(Input):
    """A merge patch (RFC 7396): objects are merged, null gives a field the value that a new product has."""

    example: ClassVar = {"product_id": EXAMPLE_ID, "vendor": "Acme", "tags": ["city"]}

    product_id: UUID
    vendor: ShortText | None = None
    product_type: ShortText | None = None
    tags: Tags | None = None
    rich_description: JsonObject | None = None
    seo: JsonObject | None = None


class ProductAction(Input):
    example: ClassVar = {"product_id": EXAMPLE_ID}

    product_id: UUID


class SetTranslation(TranslationInput):
    example: ClassVar = {"product_id": EXAMPLE_ID, "locale": "de", "title": "Blaues Fahrrad"}

    product_id: UUID
    locale: Locale


class DeleteTranslation(Input):
    example: ClassVar = {"product_id": EXAMPLE_ID, "locale": "de"}

    product_id: UUID
    locale: Locale


class SetOptions(Input):
    """All options of the product, in order; every variant must choose one value of each."""

    example: ClassVar = {"product_id": EXAMPLE_ID, "options": [{"name": "Size", "choices": ["M", "L"]}]}

    product_id: UUID
    options: Options


class AddVariant(VariantInput):
    example: ClassVar = {"product_id": EXAMPLE_ID, "option1": "L", "prices": {"EUR": {"amount": 21900}}}

    product_id: UUID


class UpdateVariant(Input):
    """A merge patch (RFC 7396): null gives a field the value that a new variant has."""

    example: ClassVar = {"product_id": EXAMPLE_ID, "variant_id": EXAMPLE_ID, "weight_g": 14000}

    product_id: UUID
    variant_id: UUID
    sku: ShortText | None = None
    barcode: ShortText | None = None
    inventory_policy: InventoryPolicy | None = None
    weight_g: Weight | None = None
    option1: Choice | None = None
    option2: Choice | None = None
    option3: Choice | None = None


class DeleteVariant(Input):
    example: ClassVar = {"product_id": EXAMPLE_ID, "variant_id": EXAMPLE_ID}

    product_id: UUID
    variant_id: UUID


class SetPrice(PriceInput):
    example: ClassVar = {
        "product_id": EXAMPLE_ID,
        "variant_id": EXAMPLE_ID,
        "currency": "EUR",
        "amount": 17900,
        "compare_at": 19900,
    }

    product_id: UUID
    variant_id: UUID
    currency: Currency


class DeletePrice(Input):
    example: ClassVar = {"product_id": EXAMPLE_ID, "variant_id": EXAMPLE_ID, "currency": "EUR"}

    product_id: UUID
    variant_id: UUID
    currency: Currency


class GetProduct(QueryInput):
    example: ClassVar = {"product_id": EXAMPLE_ID}

    product_id: UUID


class ListProducts(QueryInput):
    """Every product of the tenant, newest first, whatever its status; or those of some `ids`."""

    status: Status | None = None
    ids: Ids | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50
    after: str | None = None


class Translation(Result):
    title: str
    handle: str
    description: str
    meta_title: str | None = None
    meta_description: str | None = None


class Option(Result):
    name: str
    choices: list[str]


class Price(Result):
    amount: int
    compare_at: int | None = None


class Variant(Result):
    id: UUID
    sku: str | None
    barcode: str | None
    inventory_policy: str
    weight_g: int | None
    option1: str | None
    option2: str | None
    option3: str | None
    prices: dict[str, Price]


class Product(Result):
    id: UUID
    version: int
    status: Status
    vendor: str | None
    product_type: str | None
    tags: list[str]
    rich_description: dict[str, Any]
    seo: dict[str, Any]
    translations: dict[str, Translation]
    options: list[Option]
    variants: list[Variant]
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None


class DeletedProduct(Result):
    id: UUID
    version: int


class ImportProgress(Result):
    """How far the import of a source has come: everything before `next_line` is done."""

    source: str
    next_line: int
    imported: int
    rejected: int


class ProductPage(Result):
    data: list[Product]
    page: PageLinks
