"""Takes posts off the blog that break the house rules, until somebody has reviewed them."""

import re

from alloy import Context, Event

WORDS = ("casino", "jackpot", "free money")
SHORTENERS = ("bit.ly", "tinyurl.com")
MOST_LINKS = 5
REVIEWED = "reviewed"
"""A post with this tag is left alone."""

LINK = re.compile(r"https?://([^\s/)\"'<>]+)", re.IGNORECASE)


async def handle(event: Event, ctx: Context) -> dict[str, list[str]]:
    post = await ctx.get("blog.posts", event["aggregate_id"])
    if post is None or post["status"] != "published" or REVIEWED in post["tags"]:
        return {"findings": []}
    findings = [finding for locale in post["translations"] for finding in findings_in(locale, text_of(post, locale))]
    if findings:
        ctx.command("blog.posts.unpublish", post_id=post["id"])
        ctx.emit("post.held", post_id=post["id"], findings=findings)
        ctx.log.warning("post held", post=post["id"], findings=findings)
    return {"findings": findings}


def text_of(post: dict, locale: str) -> str:
    texts, body = post["translations"][locale], post["bodies"].get(locale)
    return "\n".join([texts["title"], texts["excerpt"], body["body"] if body else ""])


def findings_in(locale: str, text: str) -> list[str]:
    hosts = [host.lower() for host in LINK.findall(text)]
    findings = [f"says {word!r}" for word in WORDS if re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE)]
    findings += [f"links to {host}" for host in SHORTENERS if host in hosts]
    if len(hosts) > MOST_LINKS:
        findings.append(f"has {len(hosts)} links")
    return [f"{locale}: {finding}" for finding in findings]
