"""Gives a product the tags that its title and description call for, in any language."""

import re

from alloy import Context, Event

SIGNS = {
    "cotton": {"cotton", "baumwolle", "хлопок"},
    "organic": {"organic", "bio", "органический"},
    "winter": {"winter", "fleece", "зима", "зимний"},
    "gift": {"gift", "geschenk", "подарок"},
}
"""The words that call for a tag, in small letters."""

MOST_TAGS = 250
"""A product has no more."""


async def handle(event: Event, ctx: Context) -> dict[str, list[str]]:
    product = await ctx.get("commerce.products", event["aggregate_id"])
    added = tags_missing(product) if product else []
    if added:
        ctx.update("commerce.products", product["id"], tags=[*product["tags"], *added])
        ctx.log("tags added", product=product["id"], tags=added)
    return {"added": added}


def tags_missing(product: dict) -> list[str]:
    words = words_of(product)
    missing = [tag for tag, signs in SIGNS.items() if tag not in product["tags"] and words & signs]
    return missing[: MOST_TAGS - len(product["tags"])]


def words_of(product: dict) -> set[str]:
    texts = product["translations"].values()
    return {word for text in texts for word in re.findall(r"\w+", f"{text['title']} {text['description']}".lower())}
