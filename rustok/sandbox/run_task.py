"""Children that run hooks."""

import json
import marshal
from collections.abc import Callable
from typing import Any

from rustok.sandbox.child import exchange, usage
from rustok.sandbox.frames import Kind, json_frame, read_frame
from rustok.sandbox.language.runtime import run
from rustok.sandbox.seccomp import SOCKET_FD

_HOOK = """
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
_EVENT = {"data": {"items": ["a", 1, 2.5, None, True]}, "text": "привет"}
_JOB = {
    "now": "2026-01-02T03:04:05+00:00",
    "seed": "s",
    "run_id": "r",
    "tenant_id": "t",
    "script": "x",
    "limits": {"host_calls": 9, "output_bytes": 9999, "log_bytes": 9999},
}


class RunTask:
    fruitless: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._hook = marshal.dumps(compile(_HOOK, "<hook>", "exec"))

    def warm_up(self) -> None:
        for fails in (False, True):
            job = json.loads(json.dumps({**_JOB, "event": {**_EVENT, "fail": fails}}))
            answer = run(self._hook, job, _answer)
            json_frame(Kind.RESULT, {**answer, "usage": usage()})
            if (answer["fault"] is not None) is not fails:
                raise RuntimeError(answer["fault"])

    def serve(self, relieve: Callable[[], None]) -> bytes:
        _, bytecode = read_frame(SOCKET_FD)
        _, payload = read_frame(SOCKET_FD)
        answer = run(bytecode, json.loads(payload), exchange, relieve)
        relieve()
        return json_frame(Kind.RESULT, {**answer, "usage": usage()})


def _answer(call: dict[str, Any]) -> dict[str, Any]:
    json_frame(Kind.CALL, call)
    return {"value": {"title": "Warm"} if call["call"] == "get" else None}
