"""Posts every morning what is new in the shop to a chat."""

from datetime import datetime, timedelta

from alloy import Context, Event

URL = "https://hooks.example.com/digest"
LOCALE = "en"
LONGEST_LIST = 10
MOST_PAGES = 20
"""Two lists of 20 pages stay within the 50 questions of a run."""

TOLD_UNTIL = "daily-digest.told_until"


async def handle(event: Event, ctx: Context) -> dict[str, int]:
    until = event["payload"]["due_at"]
    since = await ctx.kv.get(TOLD_UNTIL) or (moment(until) - timedelta(days=1)).isoformat()
    new = {
        "products": await new_between(ctx, "commerce.products.list", since, until),
        "posts": await new_between(ctx, "blog.posts.list", since, until),
    }
    ctx.kv.set(TOLD_UNTIL, until)
    if any(new.values()):
        ctx.http.post(URL, json={"text": digest(new)}, secret_headers={"Authorization": "digest-webhook"})
    return {name: len(items) for name, items in new.items()}


async def new_between(ctx: Context, query: str, since: str, until: str) -> list[dict]:
    """Return what was made after *since* up to *until*, newest first; nothing where the list may not be read."""
    found: list[dict] = []
    cursor: dict[str, str] = {}
    try:
        for _ in range(MOST_PAGES):
            page = await ctx.query(query, limit=100, **cursor)
            found += [item for item in page["data"] if moment(since) < moment(item["created_at"]) <= moment(until)]
            oldest = page["data"][-1]["created_at"] if page["data"] else since
            if page["page"]["next"] is None or moment(oldest) <= moment(since):
                return found
            cursor = {"after": page["page"]["next"]}
    except RuntimeError as refusal:
        ctx.log.warning("list left out", query=query, reason=str(refusal))
    return found


def digest(new: dict[str, list[dict]]) -> str:
    lines = []
    for name, items in new.items():
        if items:
            lines.append(f"New {name}: {len(items)}")
            lines += [f"- {title(item)} ({item['status']})" for item in items[:LONGEST_LIST]]
    return "\n".join(lines)


def title(item: dict) -> str:
    texts = item["translations"]
    return texts.get(LOCALE, next(iter(texts.values())))["title"]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
