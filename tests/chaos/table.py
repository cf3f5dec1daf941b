"""`chaos-report.json` as the table of the README: `python -m tests.chaos.table`."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from tests.chaos.report import report_path

FAULTS: Mapping[str, str] = {
    "kills": "{kills} `kill -9` of relay, worker or API; picked up after, p99: {pick_up_p99_s} s",
    "redis_wipes": "{wipes} FLUSHALL, {outstanding:,} events outstanding; up to {jobs_waiting} jobs waited",
    "redis_away": "Redis down for {away_s:.0f} s, then hung for as long",
    "redis_cuts": "every 50th reply of Redis lost, {lost_replies} of them; {lost_deliveries} had messages",
    "postgres_stops": "{restarts} immediate stops of PostgreSQL; first write after a start, p99: {first_write_p99_s} s",
    "backends": "{terminations} sessions ended by PostgreSQL, {in_a_transaction} of them in a transaction",
    "commit_cuts": "connections cut at COMMIT, {cut_before_commit} before and {cut_after_commit} after it was done;"
    " clients felt {felt_by_clients}, and were given {replayed} lost answers when they asked again",
    "zombies": "{zombies} processes stopped for {stopped_s:.0f} s, then woken; {late_runs_refused} runs came late",
    "restarts": "{restarts} processes told to stop in turn, {while_jobs_were_leased} workers while jobs were leased",
    "doubled_messages": "every message delivered twice; {leases_refused:,} leases refused",
    "writers": "{writers} writers that commit out of order, {rolled_back:,} rollbacks, {stayed_open} transactions that"
    " stayed open; a naive poller lost {naively_lost:,}",
    "poison": "poison: {parked} aggregates parked, {failed_runs} runs that failed",
    "flood": "a tenant with {queued} runs; p95 of others {run_p95_s[flooded]:.2f} s, alone {run_p95_s[alone]:.2f} s;"
    " Jain index {jain}",
    "replay": "the whole log read {replays} times more; {calls} calls, none of them again",
}
_NOT_LOOKED_AT = "-"
"""Where a scenario has nothing that could be doubled, or compared."""


def rows(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table's lines, each with the commit it is of: scenarios are run apart."""
    yield "| fault | events | lost | doubled | reordered | index = rebuild = JOIN | settled in | met | run |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in FAULTS:
        if scenario := report["scenarios"].get(name):
            yield f"| {_found(name, scenario)} | {_run(scenario)} |"


def _found(name: str, scenario: Mapping[str, Any]) -> str:
    if not (figures := scenario["figures"]):
        return f"{name} | | | | | | | **no**: {'; '.join(scenario['missed'])}"
    counts = " | ".join(_count(figures[name]) for name in ("events", "lost", "doubled", "reordered"))
    equal = {True: "yes", False: "**no**", None: _NOT_LOOKED_AT}[figures["checksums_equal"]]
    settled_s = scenario["targets"]["seconds to settle"]["measured"]
    met = "yes" if scenario["met"] else "**no**: " + "; ".join(scenario["missed"])
    return f"{FAULTS[name].format(**figures)} | {counts} | {equal} | {settled_s:g} s | {met}"


def _count(count: int | None) -> str:
    return _NOT_LOOKED_AT if count is None else f"{count:,}"


def _run(scenario: Mapping[str, Any]) -> str:
    minutes, cores = scenario["seconds"] / 60, scenario["machine"]["cores"]
    return f"{scenario['commit']}, {scenario['at'][:10]}, {minutes:.0f} min on {cores} cores"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in rows(json.loads(report_path("full").read_text())))
