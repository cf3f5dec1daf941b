"""Turns a record of a Debian package index into a product: the demo's catalogue is real data."""

from collections import Counter
from typing import Any

from rustok.kernel.errors import InvalidInput
from rustok.kernel.fields import slugify


class Converter:
    """Converts records in file order; a handle that was taken by an earlier record gets a number.

    There are no prices in a package index: `price = 100 + size_bytes mod 49,900` minor units of EUR.
    """

    def __init__(self) -> None:
        self._handles: Counter[str] = Counter()

    def __call__(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return the input of a product.

        Raises:
            InvalidInput: the record lacks what every package has.
        """
        try:
            sku, size_bytes = str(record["sku"]), int(record["size_bytes"])
            translations = {locale: dict(texts) for locale, texts in record["translations"].items()}
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise InvalidInput("This is no record of a package: it lacks sku, size_bytes or translations.") from error
        handle = self._handle(sku)
        return {
            "status": "active",
            "vendor": record.get("vendor"),
            "product_type": record.get("section"),
            "tags": record.get("tags", []),
            "seo": {"homepage": record["homepage"]} if record.get("homepage") else {},
            "translations": {locale: {**texts, "handle": handle} for locale, texts in translations.items()},
            "variants": [{"sku": sku, "prices": {"EUR": {"amount": 100 + size_bytes % 49_900}}}],
        }

    def _handle(self, sku: str) -> str:
        handle = slugify(sku)
        self._handles[handle] += 1
        number = self._handles[handle]
        return handle if number == 1 else f"{handle}-{number}"
