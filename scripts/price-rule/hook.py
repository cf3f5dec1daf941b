"""Keeps prices as the shop writes them: ending in .99, not below the lowest, struck-through ones above."""

from alloy import Context, Event

ENDING = 99
LOWEST = {"EUR": 199, "USD": 199}
"""In minor units. Prices in other currencies are left alone."""

UNIT = 100
"""Minor units in one unit of these currencies."""


async def handle(event: Event, ctx: Context) -> dict[str, int]:
    product = await ctx.get("commerce.products", event["aggregate_id"])
    changed = 0
    for variant in product["variants"] if product else []:
        for currency, price in variant["prices"].items():
            ruled = rule(currency, price)
            if ruled == price:
                continue
            variant_id = variant["id"]
            ctx.command(
                "commerce.prices.set", product_id=product["id"], variant_id=variant_id, currency=currency, **ruled
            )
            ctx.log("price changed", variant=variant_id, currency=currency, was=price["amount"], now=ruled["amount"])
            changed += 1
    return {"changed": changed}


def rule(currency: str, price: dict[str, int | None]) -> dict[str, int | None]:
    """Ruling a ruled price changes nothing: otherwise the hook would answer its own event for ever."""
    amount, compare_at = price["amount"] or 0, price["compare_at"]
    if currency not in LOWEST or not amount:  # what is given away stays free
        return price
    amount = max(nearest(amount), nearest(LOWEST[currency]))
    is_sale = compare_at is not None and compare_at > amount
    return {"amount": amount, "compare_at": compare_at if is_sale else None}


def nearest(amount: int) -> int:
    """Return the nearest amount with the ending, of two the higher."""
    return (amount - ENDING + UNIT // 2) // UNIT * UNIT + ENDING
