"""Tells another system when a product comes to the storefront or leaves it."""

from alloy import Context, Event

URL = "https://hooks.example.com/rustok/products"


async def handle(event: Event, ctx: Context) -> None:
    product = await ctx.get("commerce.products", event["aggregate_id"])
    ctx.http.post(
        URL,
        headers={"Idempotency-Key": event["id"]},
        json={
            "event_id": event["id"],
            "type": event["type"],
            "occurred_at": event["occurred_at"],
            "product_id": event["aggregate_id"],
            "product": summary(product) if product else None,
        },
        secret_headers={"Authorization": "shop-webhook"},
    )


def summary(product: dict) -> dict:
    """Return what the receiver needs; `version` lets it drop what arrives late."""
    return {
        "version": product["version"],
        "status": product["status"],
        "titles": {locale: texts["title"] for locale, texts in product["translations"].items()},
        "skus": [variant["sku"] for variant in product["variants"]],
    }
