"""What a run in the cage costs: one at a time beside the same without protection, many at a time, one that computes."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import uvloop

from rustok.runtime import freeze_heap
from rustok.sandbox.cage import Cage, CageConfig
from rustok.sandbox.contract import Job, Limits
from tests.bench import script_beside
from tests.bench.figures import median, percentile
from tests.bench.script_beside import RunOnce
from tests.bench.script_hook import EVENT_BYTES, HOOK, compiled, job_of, nothing_found
from tests.bench.stage import Stage
from tests.bench.table import Finding, Report, Target

_REST_S = 0.01
_COLD_EVERY = 10
_LIMIT, _STOCK, _MONTY = "in this process", "RestrictedPython", "pydantic-monty"
_COLD, _BUBBLEWRAP = "python -I -S", "bubblewrap"
_ASKS = 'async def handle(event, ctx):\n    await ctx.get("commerce.products", event["id"])\n'
_DOES_NOT = "async def handle(event, ctx):\n    pass\n"
_ROUNDS = 400_000
_WORK = """
class Line:
    def __init__(self, price, count):
        self.price, self.count = price, count

    def total(self):
        return self.price * self.count

def work(rounds):
    kept, words = 0, {}
    for number in range(rounds):
        kept += Line(number % 97, number % 7).total()
        word = "w" + str(number % 1000)
        words[word] = words.get(word, 0) + 1
        if [part for part in (number, number + 1) if part % 3]:
            kept ^= number
    return [kept, len(words)]
"""
_WORKS = f"{_WORK}\nasync def handle(event, ctx):\n    return work({_ROUNDS})\n"

_METHOD = (
    f"one hook, which matches the words of its event ({EVENT_BYTES} bytes of JSON) and records one effect, run by "
    "Cage.run on a loop as a worker has it, in turns with: what a child does for it, done in this process (the limit); "
    "RestrictedPython as it comes (stock guards, no `async`, the result not checked); pydantic-monty, whose processes "
    f"serve one run after the other; and each {_COLD_EVERY}th turn a fresh `python -I -S -c`, and that under "
    f"bubblewrap. {1000 * _REST_S:.0f} ms of rest before each, so that a warm child waits for ours. "
    "A question to the host: a hook that awaits one ctx.get, beside one that asks nothing. "
    "Throughput: 1, 4 or 8 runs under way, without a pause, each on a child of its own. "
    f"Computing: {_ROUNDS:,} rounds over objects, numbers, texts and lists; CPU time of the function in plain Python "
    "here, and of the whole run as the cage tells it, in turns, medians."
)


def run(stage: Stage) -> Report:
    """Measure hooks on one cage."""
    freeze_heap()  # as a worker does
    return uvloop.run(_run(stage))


async def _run(stage: Stage) -> Report:
    async with Cage(CageConfig()) as cage:
        job = job_of(await compiled(cage, HOOK))
        findings = [
            *await _one_at_a_time(cage, job, 50 if stage.quick else 500),
            await _question(cage, 20 if stage.quick else 200),
            *[await _throughput(cage, job, at_a_time, stage.seconds(4)) for at_a_time in (1, 4, 8)],
            await _computing(cage, stage.rounds(7)),
        ]
        return Report("script_cage", _METHOD, findings, [f"The cage holds at level {cage.report.level}."])


async def _one_at_a_time(cage: Cage, job: Job, turns: int) -> list[Finding]:
    """Run the hook in turns, in the cage and beside it."""
    with script_beside.pydantic_monty() as monty:
        often = {_LIMIT: script_beside.in_process(), _STOCK: script_beside.restricted_python(), _MONTY: monty}
        cold = {_COLD: script_beside.cold_python(), _BUBBLEWRAP: script_beside.bubblewrap()}
        ours_ms: list[float] = []
        beside_ms: dict[str, list[float]] = {name: [] for name in often | cold}
        for turn in range(turns):
            ours_ms.append(await _run_ms(cage, job))
            for name, once in (often if turn % _COLD_EVERY else often | cold).items():
                if once is not None:
                    beside_ms[name].append(await _elapsed_ms(once))
    return _compared(ours_ms, beside_ms)


async def _run_ms(cage: Cage, job: Job) -> float:
    """Return how long a run takes for which a child waits."""
    await asyncio.sleep(_REST_S)
    began_s = time.perf_counter()
    outcome = await cage.run(job, nothing_found)
    elapsed_ms = 1000 * (time.perf_counter() - began_s)
    assert outcome.fault is None, outcome.fault
    return elapsed_ms


async def _elapsed_ms(once: RunOnce) -> float:
    await asyncio.sleep(_REST_S)  # as before ours; a new child is forked meanwhile
    began_s = time.perf_counter()
    once()
    return 1000 * (time.perf_counter() - began_s)


def _compared(ours_ms: list[float], beside_ms: Mapping[str, list[float]]) -> list[Finding]:
    p50_ms = median(ours_ms)
    return [
        Finding("one run, p50", p50_ms, "ms", target=Target("<=", 1, "ours")),
        Finding("one run, p99", percentile(ours_ms, 0.99), "ms", target=Target("<=", 8, "ours")),
        *(
            Finding(
                "one run, p50",
                p50_ms,
                "ms",
                median(times_ms) if times_ms else None,
                name if times_ms else f"{name}: not installed",
                Target("<=", 4) if name == _LIMIT else None,
            )
            for name, times_ms in beside_ms.items()
        ),
    ]


async def _question(cage: Cage, turns: int) -> Finding:
    """Compare a run that asks the host once with one that does not."""
    asking, silent = job_of(await compiled(cage, _ASKS)), job_of(await compiled(cage, _DOES_NOT))
    pairs = [(await _run_ms(cage, asking), await _run_ms(cage, silent)) for _ in range(turns)]
    asked_ms, unasked_ms = (median(times_ms) for times_ms in zip(*pairs, strict=True))
    return Finding("an awaited question to the host", asked_ms - unasked_ms, "ms")


async def _throughput(cage: Cage, job: Job, at_a_time: int, seconds: float) -> Finding:
    return Finding(f"throughput, {at_a_time} at a time", await runs_a_second(cage, job, at_a_time, seconds), "runs/s")


async def runs_a_second(cage: Cage, job: Job, at_a_time: int, seconds: float) -> float:
    """Keep so many runs under way, each on a child of its own."""
    began_s = time.perf_counter()

    async def keep_running() -> int:
        runs = 0
        while time.perf_counter() < began_s + seconds:
            outcome = await cage.run(job, nothing_found)
            assert outcome.fault is None, outcome.fault
            runs += 1
        return runs

    runs = sum(await asyncio.gather(*(keep_running() for _ in range(at_a_time))))
    return runs / (time.perf_counter() - began_s)


async def _computing(cage: Cage, turns: int) -> Finding:
    """Compare CPU times of the same function."""
    job = job_of(await compiled(cage, _WORKS), Limits(cpu_ms=10_000, wall_ms=60_000))
    plain: dict[str, Any] = {}
    exec(_WORK, plain)  # noqa: S102 - ours
    pairs = [(await _caged_cpu_ms(cage, job), _plain_cpu_ms(plain["work"])) for _ in range(turns)]
    caged_ms, plain_ms = (median(times_ms) for times_ms in zip(*pairs, strict=True))
    return Finding("computing, CPU time", caged_ms, "ms", plain_ms, "plain Python", Target("<=", 1.15))


async def _caged_cpu_ms(cage: Cage, job: Job) -> float:
    outcome = await cage.run(job, nothing_found)
    assert outcome.fault is None, outcome.fault
    return outcome.usage.cpu_ms


def _plain_cpu_ms(work: Callable[[int], Any]) -> float:
    began_s = time.thread_time()
    work(_ROUNDS)
    return 1000 * (time.thread_time() - began_s)
