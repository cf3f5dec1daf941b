"""Counts each night how many products have all their texts, by locale."""

from alloy import Context, Event

LOCALES = ("de", "en")
FIELDS = ("title", "description", "meta_description")

PAGES_A_RUN = 8
"""A large catalogue takes several runs: each goes on where the last one stopped."""

REPORT = "translation-report"
STATE = "translation-report.state"
DAY_S = 86_400


async def handle(event: Event, ctx: Context) -> dict | None:
    due_on = event["payload"]["due_at"][:10]
    last = await ctx.kv.get(REPORT)
    if last and last["on"] == due_on:
        return None
    state = await ctx.kv.get(STATE) or new_state()
    for _ in range(PAGES_A_RUN):
        page = await ctx.query("commerce.products.list", status="active", **state["from"])
        for product in page["data"]:
            count(state, product["translations"])
        if page["page"]["next"] is None:
            return finish(ctx, due_on, state)
        state["from"] = {"after": page["page"]["next"]}
    ctx.kv.set(STATE, state, ttl_s=DAY_S)
    ctx.log("report goes on", products=state["products"])
    return None


def new_state() -> dict:
    return {"from": {}, "products": 0, "locales": {locale: {"complete": 0, "partial": 0} for locale in LOCALES}}


def count(state: dict, translations: dict[str, dict[str, str | None]]) -> None:
    state["products"] += 1
    for locale in LOCALES:
        if locale in translations:
            is_complete = all(translations[locale][field] for field in FIELDS)
            state["locales"][locale]["complete" if is_complete else "partial"] += 1


def finish(ctx: Context, on: str, state: dict) -> dict:
    products = state["products"]
    locales = {locale: share(counts, products) for locale, counts in state["locales"].items()}
    report = {"on": on, "products": products, "locales": locales}
    ctx.kv.set(REPORT, report)
    ctx.kv.delete(STATE)
    ctx.log("translations counted", **report)
    return report


def share(counts: dict[str, int], products: int) -> dict[str, int]:
    missing = products - counts["complete"] - counts["partial"]
    return {**counts, "missing": missing, "percent": 100 * counts["complete"] // products if products else 100}
