"""Gives variants without a SKU one that a person in the warehouse can read."""

import re

from alloy import Context, Event

PIECE = 8
"""Letters of each piece at most."""


async def handle(event: Event, ctx: Context) -> dict[str, str]:
    product = await ctx.get("commerce.products", event["aggregate_id"])
    made = {v["id"]: sku(product, v) for v in product["variants"] if not v["sku"]} if product else {}
    for variant_id, new in made.items():
        ctx.command("commerce.variants.update", product_id=product["id"], variant_id=variant_id, sku=new)
    if made:
        ctx.log("SKUs made", product=product["id"], skus=list(made.values()))
    return made


def sku(product: dict, variant: dict) -> str:
    """Return vendor, type and choices, and what no other variant has: the end of the id."""
    names = [product["vendor"], product["product_type"], variant["option1"], variant["option2"], variant["option3"]]
    pieces = [re.sub(r"[^A-Z0-9]", "", (name or "").upper())[:PIECE] for name in names]
    return "-".join([*filter(None, pieces), variant["id"][-6:].upper()])
