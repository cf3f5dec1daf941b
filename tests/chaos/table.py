"""The last `chaos-report.json` as the table of the README: `python -m tests.chaos.table`."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from tests.chaos.report import REPORT

FAULTS: Mapping[str, str] = {
    "kills": "{kills} `kill -9` of relay, worker or API; picked up after, p99: {pick_up_p99_s} s",
    "redis_wipes": "{wipes} FLUSHALL, {outstanding} writes outstanding",
    "redis_away": "Redis down for {away_s:.0f} s, then hung for as long",
    "redis_cuts": "every 50th reply of Redis lost, {lost_replies} of them",
    "postgres_stops": "{restarts} immediate stops of PostgreSQL; first write after a start, p99: {first_write_p99_s} s",
    "commit_cuts": "connections cut at COMMIT, {cut_before_commit} before and {cut_after_commit} after it was done",
    "zombies": "{zombies} processes stopped for {stopped_s:.0f} s, past their leases, then woken",
    "doubled_messages": "every message delivered twice",
    "writers": "{writers} writers, {rolled_back} rollbacks, one left open; a naive poller lost {naively_lost}",
    "poison": "poison: {parked} aggregates parked, {failed_runs} runs that failed",
    "flood": "a tenant with {queued} runs; p95 of others {run_p95_s[flooded]:.2f} s, alone {run_p95_s[alone]:.2f} s",
    "replay": "the whole log read {replays} times more",
}


def rows(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table's lines."""
    machine = report["machine"]
    yield f"{report['scale']} run of {report['at'][:10]}, commit {report['commit']}, {machine['cores']} cores."
    yield ""
    yield "| fault | events | lost | doubled | reordered | index = rebuild = JOIN | settled in | met |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, scenario in report["scenarios"].items():
        if not (figures := scenario["figures"]):
            yield f"| {name} | | | | | | | **no**: {'; '.join(scenario['missed'])} |"
            continue
        equal = "yes" if figures["checksums_equal"] else "**no**"
        counts = f"{figures['events']:,} | {figures['lost']} | {figures['doubled']} | {figures['reordered']}"
        settled_s = scenario["targets"]["seconds to settle"]["measured"]
        met = "yes" if scenario["met"] else "**no**: " + "; ".join(scenario["missed"])
        yield f"| {FAULTS[name].format(**figures)} | {counts} | {equal} | {settled_s:g} s | {met} |"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in rows(json.loads(REPORT.read_text())))
