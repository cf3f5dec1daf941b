"""Begins or ends a sale of some products, when a person or another system asks for it.

Input: {"action": "begin", "percent": 20, "currency": "EUR", "product_ids": [...]}, or {"action": "end", ...} without
`percent`. Asking twice changes nothing: a price that is reduced already is not reduced again.
"""

from alloy import Context, Event

MOST_PRODUCTS = 40
MOST_PERCENT = 90


async def handle(event: Event, ctx: Context) -> dict:
    asked = event["payload"]
    if fault := fault_in(asked):
        ctx.log.error("not done", reason=fault)
        return {"refused": fault}
    changed, unknown = 0, []
    for product_id in asked["product_ids"]:
        product = await ctx.get("commerce.products", product_id)
        if product is None:
            unknown.append(product_id)
            continue
        for variant in product["variants"]:
            price = new_price(asked, variant["prices"].get(asked["currency"]))
            if price:
                place = {"product_id": product_id, "variant_id": variant["id"], "currency": asked["currency"]}
                ctx.command("commerce.prices.set", **place, **price)
                changed += 1
    return {"changed": changed, "unknown": unknown}


def fault_in(asked: dict) -> str | None:
    match asked:
        case {"product_ids": list() as product_ids} if len(product_ids) > MOST_PRODUCTS:
            return f"{len(product_ids)} products; {MOST_PRODUCTS} are allowed"
        case {"action": "begin", "currency": str(), "product_ids": list(), "percent": int() as percent}:
            return None if 1 <= percent <= MOST_PERCENT else f"percent must be from 1 to {MOST_PERCENT}"
        case {"action": "end", "currency": str(), "product_ids": list()}:
            return None
    return "wanted: action (begin or end), currency, product_ids, and percent to begin"


def new_price(asked: dict, price: dict[str, int | None] | None) -> dict[str, int | None] | None:
    """Return the price that is to be set, None where there is nothing to do."""
    if price is None:
        return None
    amount, before = price["amount"], price["compare_at"]
    if asked["action"] == "begin" and before is None:
        return {"amount": (amount * (100 - asked["percent"]) + 50) // 100, "compare_at": amount}
    if asked["action"] == "end" and before is not None:
        return {"amount": before, "compare_at": None}
    return None
