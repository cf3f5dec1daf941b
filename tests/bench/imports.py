"""`rustok import products` while relay and worker keep up: products a second, and the memory of each process."""

import asyncio
import json
import re
import sys
import time
from itertools import islice
from pathlib import Path

import asyncpg

from tests.bench.products import SAMPLE, real_records
from tests.bench.stage import Processes, Shop, Stage, open_shop
from tests.bench.table import Finding, Report, Target

_COPIED = 20_000

_METHOD = (
    "`rustok import products FILE --shape debian` as a process, its start included, while one relay and one worker "
    "process project what it writes: {files}. "
    "Peak memory is what the kernel saw of each process (VmHWM)."
)


def run(stage: Stage) -> Report:
    """Measure imports through the write path."""
    return asyncio.run(_run(stage))


async def _run(stage: Stage) -> Report:
    findings = []
    files = {"the sample": SAMPLE}
    if stage.catalogue:
        files["the catalogue"] = stage.catalogue
        told = "the project's sample, then the catalogue given by --catalogue"
    else:
        files |= {} if stage.quick else {f"{_COPIED:,} lines": _repeated(stage)}
        told = f"the project's sample, then the sample repeated with other SKUs and titles to {_COPIED:,} lines"
    for name, file in files.items():
        async with open_shop(stage) as shop:
            findings += await _import(stage, shop, name, file)
    return Report("import", _METHOD.format(files=told), findings)


def _repeated(stage: Stage) -> Path:
    file = stage.directory / "repeated.jsonl"
    with file.open("w") as lines:
        lines.writelines(json.dumps(record) + "\n" for record in islice(real_records(), _COPIED))
    return file


async def _import(stage: Stage, shop: Shop, name: str, file: Path) -> list[Finding]:
    with Processes(stage, shop) as processes:
        relay, worker = processes.start_relay_and_worker()
        began_s = time.perf_counter()
        command = ["import", "products", str(file), "--tenant", "bench", "--shape", "debian", "--json"]
        importer = processes.start(str(Path(sys.executable).with_name("rustok")), *command)
        peak_mb = 0.0
        while (peak := _peak_mb(importer)) is not None:
            peak_mb = peak
            await asyncio.sleep(0.02)
        seconds = time.perf_counter() - began_s
        imported = await _imported(shop)
        peaks = {"import": peak_mb, "relay": _peak_mb(relay) or 0.0, "worker": _peak_mb(worker) or 0.0}
    return [
        Finding(name, imported / seconds, "products/s", target=Target(">=", 500, "ours")),
        *(Finding(f"{name}, peak memory, {process}", peak, "MiB") for process, peak in peaks.items()),
    ]


def _peak_mb(pid: int) -> float | None:
    """Return the most memory that a process has had; None when it has ended."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return None
    return int(found[1]) / 1024 if found else None


async def _imported(shop: Shop) -> int:
    admin = await asyncpg.connect(shop.database.admin_url)
    try:
        return int(await admin.fetchval("SELECT count(*) FROM products"))
    finally:
        await admin.close()
