"""The hook that benchmarks run: short, of the usual kind, and within what each of those beside us can run."""

import json
from collections.abc import Mapping
from typing import Any

from rustok.sandbox.cage import Cage
from rustok.sandbox.contract import Compiled, Job, Limits

HOOK = '''
"""Gives a product the tags that its title and description call for."""

import re

SIGNS = {
    "cotton": {"cotton", "baumwolle", "хлопок"},
    "organic": {"organic", "bio", "органический"},
    "steel": {"steel", "stahl", "сталь"},
    "gift": {"gift", "geschenk", "подарок"},
}

async def handle(event, ctx):
    product = event["payload"]
    added = tags_missing(product)
    if added:
        ctx.update("commerce.products", event["aggregate_id"], tags=[*product["tags"], *added])
        ctx.log("tags added", tags=added)
    return {"added": added}

def tags_missing(product):
    words = words_of(product)
    return [tag for tag, signs in SIGNS.items() if tag not in product["tags"] and words & signs]

def words_of(product):
    texts = [text["title"] + " " + text["description"] for text in product["translations"].values()]
    return {word for text in texts for word in re.findall(r"\\w+", text.lower())}
'''

CTX = """
class Ctx:
    def __init__(self):
        self.effects, self.logs = [], []
    def update(self, kind, id, **changes):
        self.effects.append({"effect": "update", "kind": kind, "id": id, "changes": changes})
    def log(self, message, **fields):
        self.logs.append({"level": "info", "message": message, "fields": fields})
"""
"""What the hook needs of `ctx`, for those who have none."""

_ID = "0198f3d3-4f00-7e66-b132-704c9e1f3d01"
EVENT: Mapping[str, Any] = {
    "id": _ID,
    "type": "commerce.product.created",
    "version": 1,
    "tenant_id": _ID,
    "aggregate_type": "product",
    "aggregate_id": _ID,
    "aggregate_version": 1,
    "occurred_at": "2026-03-02T09:15:00+00:00",
    "actor": f"user:{_ID}",
    "correlation_id": _ID,
    "causation_id": _ID,
    "payload": {
        "tags": ["city"],
        "translations": {
            "en": {
                "title": "City bicycle",
                "description": "A sturdy everyday bicycle with a lugged steel frame, eight gears, mudguards and a "
                "chain case; it comes assembled and adjusted, with lights and a bell, and fits riders from 160 to "
                "190 cm. Ridden upright, it carries two panniers and a child seat without complaint. It is built in "
                "small runs.",
            },
            "de": {"title": "Stadtrad", "description": "Ein Rad für jeden Tag, mit Rahmen aus Stahl."},
        },
    },
}
EVENT_BYTES = len(json.dumps(EVENT, ensure_ascii=False, separators=(",", ":")).encode())
ADDED = ["steel"]
"""What the hook adds to the tags of the product of the event."""


def job_of(bytecode: bytes, limits: Limits | None = None, event: Mapping[str, Any] = EVENT) -> Job:
    return Job(
        bytecode=bytecode,
        event=event,
        now="2026-03-02T09:15:00+00:00",
        seed=_ID,
        run_id=_ID,
        tenant_id=_ID,
        script="tags",
        limits=limits or Limits(),
    )


async def compiled(cage: Cage, source: str) -> bytes:
    """Compile a hook, as its author would."""
    result = await cage.compile(source)
    assert isinstance(result, Compiled), result
    return result.bytecode


async def nothing_found(_name: str, _arguments: Mapping[str, Any]) -> None:
    """Answer a hook that asks: there is no such thing."""
