# Made from the OpenAPI document. Do not edit: `python -m tests.client_code` writes this file.
"""Operations of commerce."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType

from rustok.client.commands import Command
from rustok.client.consistency import Conversation
from rustok.client.endpoints import Endpoint, Module
from rustok.client.models import (
    CommerceTranslationInput,
    DeletedProduct,
    OptionInput,
    PriceInput,
    Product,
    VariantInput,
)
from rustok.client.pages import Pages


class Options(Endpoint):
    """Operations `commerce.options`."""

    def set(self, product_id: UUID | str, *, expected_version: int, options: Sequence[OptionInput]) -> Command[Product]:
        """Set the options of a product.

        All options of the product, in order; every variant must choose one value of each.

        Takes the permission `commerce.products.write`.
        Problems: `options_mismatch`, `product_not_found`.
        """
        return self._command(
            "commerce.options.set",
            "PUT /api/v1/commerce/products/{product_id}/options",
            Product,
            parts={"product_id": product_id},
            body={"options": options},
            version=expected_version,
        )


class Prices(Endpoint):
    """Operations `commerce.prices`."""

    def delete(
        self, product_id: UUID | str, variant_id: UUID | str, currency: str, *, expected_version: int
    ) -> Command[Product]:
        """Remove the price of a variant in one currency.

        Takes the permission `commerce.products.write`.
        Problems: `price_not_found`, `product_not_found`.
        """
        return self._command(
            "commerce.prices.delete",
            "DELETE /api/v1/commerce/products/{product_id}/variants/{variant_id}/prices/{currency}",
            Product,
            parts={"product_id": product_id, "variant_id": variant_id, "currency": currency},
            version=expected_version,
        )

    def set(
        self,
        product_id: UUID | str,
        variant_id: UUID | str,
        currency: str,
        *,
        expected_version: int,
        amount: int,
        compare_at: int | UnsetType | None = UNSET,
    ) -> Command[Product]:
        """Set the price of a variant in one currency.

        Takes the permission `commerce.products.write`.
        Problems: `product_not_found`, `variant_not_found`.
        """
        return self._command(
            "commerce.prices.set",
            "PUT /api/v1/commerce/products/{product_id}/variants/{variant_id}/prices/{currency}",
            Product,
            parts={"product_id": product_id, "variant_id": variant_id, "currency": currency},
            body={"amount": amount, "compare_at": compare_at},
            version=expected_version,
        )


class Products(Endpoint):
    """Operations `commerce.products`."""

    def create(
        self,
        *,
        vendor: str | UnsetType | None = UNSET,
        product_type: str | UnsetType | None = UNSET,
        tags: Sequence[str] | UnsetType = UNSET,
        rich_description: Mapping[str, Any] | UnsetType = UNSET,
        seo: Mapping[str, Any] | UnsetType = UNSET,
        status: Literal["draft", "active"] | UnsetType = UNSET,
        translations: Mapping[str, CommerceTranslationInput],
        options: Sequence[OptionInput] | UnsetType = UNSET,
        variants: Sequence[VariantInput] | UnsetType = UNSET,
    ) -> Command[Product]:
        """Create a product.

        A product with at least one translation; `active` publishes it at once.

        Takes the permission `commerce.products.write`.
        Problems: `duplicate_handle`, `duplicate_options`, `duplicate_sku`, `options_mismatch`.
        """
        return self._command(
            "commerce.products.create",
            "POST /api/v1/commerce/products",
            Product,
            body={
                "vendor": vendor,
                "product_type": product_type,
                "tags": tags,
                "rich_description": rich_description,
                "seo": seo,
                "status": status,
                "translations": translations,
                "options": options,
                "variants": variants,
            },
        )

    def delete(self, product_id: UUID | str, *, expected_version: int) -> Command[DeletedProduct]:
        """Delete an unpublished product.

        Takes the permission `commerce.products.write`.
        Problems: `product_not_found`, `product_published`.
        """
        return self._command(
            "commerce.products.delete",
            "DELETE /api/v1/commerce/products/{product_id}",
            DeletedProduct,
            parts={"product_id": product_id},
            version=expected_version,
        )

    async def get(self, product_id: UUID | str) -> Product:
        """Read a product.

        Takes the permission `commerce.products.read`.
        Problems: `product_not_found`.
        """
        return await self._get(
            "commerce.products.get", "/api/v1/commerce/products/{product_id}", Product, parts={"product_id": product_id}
        )

    def list(
        self,
        *,
        status: Literal["draft", "active", "archived"] | None = None,
        ids: Sequence[UUID | str] | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Pages[Product]:
        """List products, newest first.

        Takes the permission `commerce.products.read`.
        """
        return self._list(
            "commerce.products.list",
            "/api/v1/commerce/products",
            Product,
            query={"status": status, "ids": ids, "limit": limit},
            after=after,
        )

    def publish(self, product_id: UUID | str, *, expected_version: int | None = None) -> Command[Product]:
        """Let the storefront show a product.

        Takes the permission `commerce.products.publish`.
        Problems: `product_not_found`.
        """
        return self._command(
            "commerce.products.publish",
            "POST /api/v1/commerce/products/{product_id}/publish",
            Product,
            parts={"product_id": product_id},
            version=expected_version,
        )

    def unpublish(self, product_id: UUID | str, *, expected_version: int | None = None) -> Command[Product]:
        """Take a product off the storefront.

        Takes the permission `commerce.products.publish`.
        Problems: `product_not_found`.
        """
        return self._command(
            "commerce.products.unpublish",
            "POST /api/v1/commerce/products/{product_id}/unpublish",
            Product,
            parts={"product_id": product_id},
            version=expected_version,
        )

    def update(
        self,
        product_id: UUID | str,
        *,
        expected_version: int,
        vendor: str | UnsetType | None = UNSET,
        product_type: str | UnsetType | None = UNSET,
        tags: Sequence[str] | UnsetType | None = UNSET,
        rich_description: Mapping[str, Any] | UnsetType | None = UNSET,
        seo: Mapping[str, Any] | UnsetType | None = UNSET,
    ) -> Command[Product]:
        """Change fields of a product.

        A merge patch (RFC 7396): objects are merged, null gives a field the value that a new product has.

        Takes the permission `commerce.products.write`.
        Problems: `product_not_found`.
        """
        return self._command(
            "commerce.products.update",
            "PATCH /api/v1/commerce/products/{product_id}",
            Product,
            parts={"product_id": product_id},
            body={
                "vendor": vendor,
                "product_type": product_type,
                "tags": tags,
                "rich_description": rich_description,
                "seo": seo,
            },
            version=expected_version,
        )


class Translations(Endpoint):
    """Operations `commerce.translations`."""

    def delete(self, product_id: UUID | str, locale: str, *, expected_version: int) -> Command[Product]:
        """Remove the texts of a product in one locale.

        Takes the permission `commerce.products.write`.
        Problems: `last_translation`, `product_not_found`, `translation_not_found`.
        """
        return self._command(
            "commerce.translations.delete",
            "DELETE /api/v1/commerce/products/{product_id}/translations/{locale}",
            Product,
            parts={"product_id": product_id, "locale": locale},
            version=expected_version,
        )

    def set(
        self,
        product_id: UUID | str,
        locale: str,
        *,
        expected_version: int,
        title: str,
        handle: str | UnsetType | None = UNSET,
        description: str | UnsetType = UNSET,
        meta_title: str | UnsetType | None = UNSET,
        meta_description: str | UnsetType | None = UNSET,
    ) -> Command[Product]:
        """Set the texts of a product in one locale.

        Takes the permission `commerce.products.write`.
        Problems: `duplicate_handle`, `product_not_found`.
        """
        return self._command(
            "commerce.translations.set",
            "PUT /api/v1/commerce/products/{product_id}/translations/{locale}",
            Product,
            parts={"product_id": product_id, "locale": locale},
            body={
                "title": title,
                "handle": handle,
                "description": description,
                "meta_title": meta_title,
                "meta_description": meta_description,
            },
            version=expected_version,
        )


class Variants(Endpoint):
    """Operations `commerce.variants`."""

    def add(
        self,
        product_id: UUID | str,
        *,
        expected_version: int | None = None,
        sku: str | UnsetType | None = UNSET,
        barcode: str | UnsetType | None = UNSET,
        inventory_policy: Literal["deny", "continue"] | UnsetType = UNSET,
        weight_g: int | UnsetType | None = UNSET,
        option1: str | UnsetType | None = UNSET,
        option2: str | UnsetType | None = UNSET,
        option3: str | UnsetType | None = UNSET,
        prices: Mapping[str, PriceInput] | UnsetType = UNSET,
    ) -> Command[Product]:
        """Add a variant to a product.

        Takes the permission `commerce.products.write`.
        Problems: `duplicate_options`, `duplicate_sku`, `options_mismatch`, `product_not_found`.
        """
        return self._command(
            "commerce.variants.add",
            "POST /api/v1/commerce/products/{product_id}/variants",
            Product,
            parts={"product_id": product_id},
            body={
                "sku": sku,
                "barcode": barcode,
                "inventory_policy": inventory_policy,
                "weight_g": weight_g,
                "option1": option1,
                "option2": option2,
                "option3": option3,
                "prices": prices,
            },
            version=expected_version,
        )

    def delete(self, product_id: UUID | str, variant_id: UUID | str, *, expected_version: int) -> Command[Product]:
        """Delete a variant and its prices.

        Takes the permission `commerce.products.write`.
        Problems: `product_not_found`, `variant_not_found`.
        """
        return self._command(
            "commerce.variants.delete",
            "DELETE /api/v1/commerce/products/{product_id}/variants/{variant_id}",
            Product,
            parts={"product_id": product_id, "variant_id": variant_id},
            version=expected_version,
        )

    def update(
        self,
        product_id: UUID | str,
        variant_id: UUID | str,
        *,
        expected_version: int,
        sku: str | UnsetType | None = UNSET,
        barcode: str | UnsetType | None = UNSET,
        inventory_policy: Literal["deny", "continue"] | UnsetType | None = UNSET,
        weight_g: int | UnsetType | None = UNSET,
        option1: str | UnsetType | None = UNSET,
        option2: str | UnsetType | None = UNSET,
        option3: str | UnsetType | None = UNSET,
    ) -> Command[Product]:
        """Change fields of a variant.

        A merge patch (RFC 7396): null gives a field the value that a new variant has.

        Takes the permission `commerce.products.write`.
        Problems: `duplicate_options`, `duplicate_sku`, `options_mismatch`, `product_not_found`, `variant_not_found`.
        """
        return self._command(
            "commerce.variants.update",
            "PATCH /api/v1/commerce/products/{product_id}/variants/{variant_id}",
            Product,
            parts={"product_id": product_id, "variant_id": variant_id},
            body={
                "sku": sku,
                "barcode": barcode,
                "inventory_policy": inventory_policy,
                "weight_g": weight_g,
                "option1": option1,
                "option2": option2,
                "option3": option3,
            },
            version=expected_version,
        )


class Commerce(Module):
    """Products with their texts, variants and prices."""

    name = "commerce"
    batch_path = "/api/v1/commerce:batch"

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation)
        self.options = Options(conversation)
        self.prices = Prices(conversation)
        self.products = Products(conversation)
        self.translations = Translations(conversation)
        self.variants = Variants(conversation)
