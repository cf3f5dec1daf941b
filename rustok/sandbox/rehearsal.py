"""Hooks of ours: one does all that a hook may do, the other what every hook does."""

from rustok.sandbox.language.bytecode import pack

_EVERYTHING = """
import datetime, decimal, hashlib, json, math, random, re, textwrap
from collections import Counter, defaultdict

class Line:
    def __init__(self, price, count):
        self.price, self.count = decimal.Decimal(price), count

    def __str__(self):
        return f"{self.price:>8.2f} x {self.count!r}"

def numbers(most):
    for number in range(most):
        yield number

async def handle(event, ctx):
    if event["fail"]:
        raise KeyError("warm")
    found = await ctx.get("warm.kind", "1", fields=["title"])
    lines = [Line("1.10", n) for n in numbers(3)]
    total = sum(line.price * line.count for line in lines)
    words = Counter(re.findall(r"[a-z]+", " ".join(str(line) for line in lines) + found["title"].lower()))
    groups = defaultdict(list)
    for word, count in sorted(words.items(), key=lambda item: -item[1]):
        groups[count].append(word)
    try:
        raise ValueError(json.dumps({"total": str(total)}))
    except ValueError as error:
        text = json.loads(str(error))
    match event:
        case {"data": {"items": [first, *_]}}:
            text["first"] = first
    day = (ctx.now + datetime.timedelta(days=1)).strftime("%Y-%m-%d")
    digest = hashlib.sha256(day.encode()).hexdigest() + hashlib.md5(b"x").hexdigest()
    ctx.log("warm", digest=digest, chance=random.random(), floor=math.floor(1.5))
    ctx.update("warm.kind", "1", title=textwrap.dedent("  " + text["total"]), id=ctx.new_id())
    ctx.kv.set("warm", await ctx.kv.get("warm", 0))
    return {"groups": len(groups), "day": day}
"""
EVENT = {
    "id": "e",
    "type": "warm.kind.created",
    "version": 1,
    "tenant_id": "t",
    "aggregate_type": "kind",
    "aggregate_id": "1",
    "aggregate_version": 1,
    "occurred_at": "2026-01-02T03:04:05+00:00",
    "actor": "user:u",
    "data": {"items": ["a", 1, 2.5, None, True]},
    "payload": {
        "status": "published",
        "tags": ["city"],
        "translations": {
            "en": {"title": "Warm", "description": "warm"},
            "ru": {"title": "привет", "description": "привет"},
        },
    },
}
NOW = "2026-01-02T03:04:05+00:00"
JOB = {
    "now": NOW,
    "seed": "s",
    "run_id": "r",
    "tenant_id": "t",
    "script": "x",
    "limits": {"host_calls": 9, "output_bytes": 9999, "log_bytes": 9999},
}


_ESSENCE = """
SIGNS = {"warm": {"warm", "ready"}}

async def handle(event, ctx):
    found = await ctx.get("warm.kind", event["aggregate_id"], fields=["title"])
    payload = event["payload"]
    words = {text["title"].lower() for text in payload["translations"].values()}
    tags = [tag for tag, signs in SIGNS.items() if tag not in payload["tags"] and words & signs]
    if tags:
        ctx.log("warm", tags=tags)
        ctx.update("warm.kind", event["aggregate_id"], title=found["title"].lower(), tags=[*payload["tags"], *tags])
    return {"tags": tags}
"""


def everything() -> bytes:
    """Return the code of a hook that uses each facade and each part of `ctx`; it fails where the event says so."""
    return pack(compile(_EVERYTHING, "<hook>", "exec"))


def essence() -> bytes:
    """Return the code of a hook that reads, computes a little, and wants something done.

    What it touches is a child's own from then on: so it says the words that most hooks say.
    """
    return pack(compile(_ESSENCE, "<hook>", "exec"))


def answer(name: str) -> object:
    """Answer what they ask."""
    return {"title": "Warm"} if name == "get" else None
