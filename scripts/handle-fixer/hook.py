"""Gives drafts readable handles where the platform had to make one up: for Cyrillic titles, and for umlauts."""

import re

from alloy import Context, Event

CYRILLIC = dict(zip("абвгдезийклмнопрстуфыэ", "abvgdeziyklmnoprstufye", strict=True))
LETTERS = {
    **CYRILLIC,
    "ё": "yo", "ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ь": "", "ю": "yu",
    "я": "ya",
    "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "æ": "ae", "å": "aa", "ł": "l",
    "+": "-plus",
}  # fmt: skip
"""How a letter is spelled in ASCII."""

BARE = {"ä": "a", "ö": "o", "ü": "u", "ß": "", "å": "a", "ø": "", "æ": "", "ł": "", "+": "-plus"}
"""How the platform spells it."""

MAKESHIFT = re.compile(r"product-[0-9a-f]{32}")


async def handle(event: Event, ctx: Context) -> dict[str, str]:
    product = await ctx.get("commerce.products", event["aggregate_id"])
    if product is None or product["status"] == "active":  # an address that customers know stays
        return {}
    fixed = {}
    for locale, texts in product["translations"].items():
        address = slug(texts["title"], LETTERS)
        if not address or address == texts["handle"] or not is_made_up(texts):
            continue
        if await is_taken(ctx, locale, texts["title"], address):
            address = f"{address}-{product['id'][-6:]}"
        ctx.command(
            "commerce.translations.set", product_id=product["id"], locale=locale, **{**texts, "handle": address}
        )
        fixed[locale] = address
    if fixed:
        ctx.log("handles fixed", product=product["id"], handles=fixed)
    return fixed


def is_made_up(texts: dict[str, str]) -> bool:
    """Tell the platform's handles from those that a person chose."""
    return bool(MAKESHIFT.fullmatch(texts["handle"])) or texts["handle"] == slug(texts["title"], BARE)


def slug(title: str, letters: dict[str, str]) -> str:
    spelled = "".join(letters.get(letter, letter) for letter in title.lower())
    return re.sub(r"[^a-z0-9]+", "-", spelled).strip("-")[:200].strip("-")


async def is_taken(ctx: Context, locale: str, title: str, address: str) -> bool:
    """Look among published products; a draft with the same handle makes the run fail, and its error says so."""
    words = " ".join(re.findall(r"\w+", title))[:200]
    hits = await ctx.search("products", locale=locale, q=words, limit=20)
    return any(hit["handle"] == address for hit in hits["data"])
