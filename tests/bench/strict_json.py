"""The reader of request bodies beside orjson alone, which takes what has two meanings."""

import json
import time
from collections.abc import Callable
from typing import Any

import orjson

from rustok.kernel.strict_json import parse
from tests.bench.figures import median
from tests.bench.products import product_body
from tests.bench.stage import Stage
from tests.bench.table import Finding, Report, Target

_PRODUCT = json.loads(product_body())
_ALL_VALUES = 10**6
_TARGET = Target("<=", 3)
_METHOD = (
    "an array of products (2 translations, 1 variant, 1 price, 0.6 KB each), read in this process without a pause, by "
    "our reader and by orjson.loads in turns, medians of rounds. Written compactly, as JavaScript does; with spaces, "
    "as Python does; with a number as orjson does not write it, which has our reader look at each value."
)


def run(stage: Stage) -> Report:
    """Measure texts of 2 KB in three layouts, and larger ones."""
    small = [_PRODUCT] * 3
    findings = [
        _finding(stage, "2 KB", orjson.dumps(small), _TARGET),
        _finding(stage, "2 KB with spaces", json.dumps(small).encode(), _TARGET),
        _finding(stage, "2 KB with a number 1.50", orjson.dumps(small)[:-1] + b",1.50]"),
        _finding(stage, "64 KB", orjson.dumps([_PRODUCT] * 106)),
        _finding(stage, "1 MiB", orjson.dumps([_PRODUCT] * 1_700)),
    ]
    return Report("strict_json", _METHOD, findings)


def _finding(stage: Stage, name: str, text: bytes, target: Target | None = None) -> Finding:
    readers: tuple[Callable[[bytes], Any], ...] = (lambda raw: parse(raw, _ALL_VALUES), orjson.loads)
    rounds = [[_time_us(read, text, stage.seconds(0.2)) for read in readers] for _ in range(stage.rounds(15))]
    ours, beside = (median(times) for times in zip(*rounds, strict=True))
    return Finding(f"{name} ({len(text):,} bytes)", ours, "us", beside, "us, orjson.loads", target)


def _time_us(read: Callable[[bytes], Any], text: bytes, seconds: float) -> float:
    """Return how long a reading takes, of as many as there is time for."""
    count = 0
    begin_s = time.perf_counter()
    while (passed_s := time.perf_counter() - begin_s) < seconds:
        for _ in range(10):
            read(text)
        count += 10
    return passed_s / count * 1e6
