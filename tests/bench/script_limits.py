"""How exactly a run's limits hold, what the cage's processes take of memory, and how long they take to be there."""

import time

import psutil
import uvloop

from rustok.sandbox.cage import Cage, CageConfig
from rustok.sandbox.contract import Limits, Outcome
from rustok.sandbox.layers import ALL_LAYERS
from rustok.sandbox.zygote_client import Zygote
from tests.bench.figures import median
from tests.bench.script_hook import compiled, job_of, nothing_found
from tests.bench.stage import Stage
from tests.bench.table import Finding, Report, Target

_SPIN = "async def handle(event, ctx):\n    while True:\n        pass\n"
_HOARD = "async def handle(event, ctx):\n    kept = []\n    while True:\n        kept.append({})\n"
_THINGS = {"numbers": "len(kept)", "texts of 1 kB": "str(len(kept)) * 200", "blocks of 1 MB": "bytearray(1 << 20)"}
_MIB = 1 << 20

_METHOD = (
    "a hook that spins until it is killed: CPU time by the kernel's count (rusage), from when the child was ready, "
    "against 100 and 500 ms, the farthest off; wall time by the clock of the caller of Cage.run, the fork of a child "
    "with this limit included, against 300 ms, the longest. A hook that keeps more and more of numbers, of texts, of "
    "blocks: the most that the kernel saw in memory above what the child had, against 64 MiB, the most. "
    "Boot: a zygote from its exec to its first child, locked down, warmed up and ready; and Cage.start, which also "
    "tries every layer. A waiting child: its PSS, in which what it shares with the others and their zygote is divided "
    "among them; only root may see it."
)


def run(stage: Stage) -> Report:
    """Measure limits, boot and memory."""
    return uvloop.run(_run(stage))


async def _run(stage: Stage) -> Report:
    findings = await _boot(stage.rounds(7))
    async with Cage(CageConfig()) as cage:
        spin = await compiled(cage, _SPIN)
        findings += _waiting(cage)
        findings += [await _cpu(cage, spin, cpu_ms, stage.rounds(5)) for cpu_ms in (100, 500)]
        findings.append(await _wall(cage, spin, 300, stage.rounds(5)))
        findings += [await _memory(cage, name, made, stage.rounds(3)) for name, made in _THINGS.items()]
        return Report("script_limits", _METHOD, findings, [f"The cage holds at level {cage.report.level}."])


async def _boot(times: int) -> list[Finding]:
    pairs = [(await _first_child_ms(), await _start_ms()) for _ in range(times)]
    first_ms, tested_ms = (median(times_ms) for times_ms in zip(*pairs, strict=True))
    return [
        Finding("boot to the first child", first_ms, "ms", target=Target("<=", 200, "ours")),
        Finding("start, with every layer tried", tested_ms, "ms"),
    ]


async def _first_child_ms() -> float:
    began_s = time.perf_counter()
    zygote = await Zygote.boot("run", ALL_LAYERS)
    try:
        child = await zygote.fork(Limits().cpu_ms, Limits().memory_bytes, zygote.held)
        elapsed_ms = _ms_since(began_s)
        child.discard()
    finally:
        await zygote.close()
    return elapsed_ms


async def _start_ms() -> float:
    began_s = time.perf_counter()
    async with Cage(CageConfig()):
        return _ms_since(began_s)


def _waiting(cage: Cage) -> list[Finding]:
    """Return nothing where we may not look at the children."""
    [forker] = psutil.Process(cage.zygote_pids[0]).children()
    try:
        sizes = [child.memory_full_info() for child in forker.children()]
    except psutil.AccessDenied:
        return []
    pss_mib, own_mib = median(size.pss / _MIB for size in sizes), median(size.uss / _MIB for size in sizes)
    return [
        Finding(f"a waiting child, of {len(sizes)}, PSS", pss_mib, "MiB", target=Target("<=", 3, "ours")),
        Finding("a waiting child, what it shares with none", own_mib, "MiB"),
    ]


async def _cpu(cage: Cage, spin: bytes, cpu_ms: int, times: int) -> Finding:
    limits = Limits(cpu_ms=cpu_ms, wall_ms=60_000)
    outcomes = [await _ended(cage, spin, limits, "cpu_exceeded") for _ in range(times)]
    off = max(abs(outcome.usage.cpu_ms / cpu_ms - 1) for outcome in outcomes)
    return Finding(f"CPU limit of {cpu_ms} ms, off by", 100 * off, "%", target=Target("<=", 5, "ours"))


async def _wall(cage: Cage, spin: bytes, wall_ms: int, times: int) -> Finding:
    late_ms = []
    for _ in range(times):
        began_s = time.perf_counter()
        await _ended(cage, spin, Limits(cpu_ms=30_000, wall_ms=wall_ms), "wall_timeout")
        late_ms.append(_ms_since(began_s) - wall_ms)
    return Finding(f"wall limit of {wall_ms} ms, late by", max(late_ms), "ms", target=Target("<=", 100, "ours"))


async def _memory(cage: Cage, things: str, thing: str, times: int) -> Finding:
    hoard = await compiled(cage, _HOARD.format(thing))
    limits = Limits(cpu_ms=30_000, wall_ms=60_000)
    outcomes = [await _ended(cage, hoard, limits, "memory_exceeded") for _ in range(times)]
    most_mib, allowed_mib = max(outcome.usage.peak_bytes for outcome in outcomes) / _MIB, limits.memory_bytes / _MIB
    return Finding(f"memory limit, {things}", most_mib, "MiB", allowed_mib, "MiB allowed", Target("<=", 1.1))


async def _ended(cage: Cage, bytecode: bytes, limits: Limits, code: str) -> Outcome:
    """Run a hook that breaks a limit."""
    outcome = await cage.run(job_of(bytecode, limits), nothing_found)
    assert outcome.fault is not None
    assert outcome.fault.code == code, outcome.fault
    return outcome


def _ms_since(began_s: float) -> float:
    return 1000 * (time.perf_counter() - began_s)
