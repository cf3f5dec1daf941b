"""What benchmarks write: the product of the write path, and products made of the demo's real records."""

import gzip
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from rustok.cli.debian import Converter

SAMPLE = Path(__file__).parents[2] / "deploy" / "demo" / "catalog.jsonl.gz"
PATH = "/api/v1/commerce/products"

DESCRIPTION = (
    "A sturdy everyday bicycle with a lugged steel frame, eight gears, mudguards and a chain case; "
    "it comes assembled and adjusted, with lights and a bell, and fits riders from 160 to 190 cm."
)


def product_body(status: str = "draft") -> str:
    """Return the body of a POST with 2 translations, 1 variant and 1 price; `@@` stands for its number."""
    return json.dumps(
        {
            "status": status,
            "vendor": "Acme",
            "product_type": "bicycle",
            "tags": ["city", "steel"],
            "translations": {
                "en": {"title": "City bicycle @@", "description": DESCRIPTION},
                "de": {"title": "Stadtrad @@", "description": DESCRIPTION},
            },
            "variants": [{"sku": "BIKE-@@", "prices": {"EUR": {"amount": 49900}}}],
        }
    )


def request_headers(token: str, idempotency_prefix: str | None = None) -> dict[str, str]:
    """Return the headers of a write; each request gets an Idempotency-Key of its own where there is a prefix."""
    headers = {"Authorization": f"Bearer {token}"}
    return headers if idempotency_prefix is None else headers | {"Idempotency-Key": f"{idempotency_prefix}-@@"}


def real_records() -> Iterator[dict[str, Any]]:
    """Yield the demo's records again and again; from the second time on, with other SKUs and titles."""
    with gzip.open(SAMPLE) as lines:
        records = [json.loads(line) for line in lines]
    for edition in count():
        for record in records:
            yield record if edition == 0 else _edition(record, edition)


def real_products() -> Iterator[dict[str, Any]]:
    """Yield inputs of `commerce.products.create`, published, made of `real_records`."""
    convert = Converter()
    return (convert(record) for record in real_records())


def _edition(record: dict[str, Any], edition: int) -> dict[str, Any]:
    translations = {
        locale: {**texts, "title": f"{texts['title'][:240]} {edition}"}
        for locale, texts in record["translations"].items()
    }
    return {
        **record,
        "sku": f"{record['sku']}-{edition}",
        "size_bytes": record["size_bytes"] + 7919 * edition,
        "translations": translations,
    }
