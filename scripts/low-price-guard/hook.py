"""Takes a product off the storefront when a price falls so far that it must be a slip of the hand."""

from alloy import Context, Event

LEAST_PERCENT = 50
"""Of the price before, in one step."""

CLEARANCE = "clearance"
"""The prices of a product with this tag may fall as they like."""


async def handle(event: Event, ctx: Context) -> dict[str, bool]:
    variant_id, currency = event["payload"]["variant_id"], event["payload"]["currency"]
    product = await ctx.get("commerce.products", event["aggregate_id"])
    amount = amount_of(product, variant_id, currency) if product else None
    key = f"low-price-guard:{variant_id}:{currency}"
    before = await ctx.kv.get(key)
    if amount == before:
        return {"held": False}
    if amount is None:
        ctx.kv.delete(key)
        return {"held": False}
    ctx.kv.set(key, amount)
    if before is None or CLEARANCE in product["tags"] or amount * 100 >= before * LEAST_PERCENT:
        return {"held": False}
    fall = {"product_id": product["id"], "variant_id": variant_id, "currency": currency, "was": before, "now": amount}
    ctx.log.error("price fell too far", **fall)
    ctx.emit("price.fell", **fall)
    if product["status"] == "active":
        ctx.command("commerce.products.unpublish", product_id=product["id"])
    return {"held": True}


def amount_of(product: dict, variant_id: str, currency: str) -> int | None:
    """Return the price of now: the event's may be an older one."""
    prices = [v["prices"][currency] for v in product["variants"] if v["id"] == variant_id and currency in v["prices"]]
    return prices[0]["amount"] if prices else None
