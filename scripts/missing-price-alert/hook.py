"""Tells once when a product of the storefront has a variant without a price."""

from alloy import Context, Event

CURRENCIES = ("EUR",)


async def handle(event: Event, ctx: Context) -> list[dict[str, str]]:
    product = await ctx.get("commerce.products", event["aggregate_id"])
    missing = prices_missing(product) if product and product["status"] == "active" else []
    key = f"missing-price:{event['aggregate_id']}"
    if missing == await ctx.kv.get(key, []):
        return missing
    if not missing:
        ctx.kv.delete(key)
        return missing
    ctx.kv.set(key, missing)
    ctx.log.warning("prices are missing", product=product["id"], missing=missing)
    ctx.emit("product.price_missing", product_id=product["id"], missing=missing)
    return missing


def prices_missing(product: dict) -> list[dict[str, str]]:
    return [
        {"variant_id": variant["id"], "sku": variant["sku"], "currency": currency}
        for variant in product["variants"]
        for currency in CURRENCIES
        if currency not in variant["prices"]
    ]
