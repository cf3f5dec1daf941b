"""`make bench`: every benchmark, or those named in ARGS, and a table at the end.

Figures are ratios: ours and what stands beside it are measured in the same run, one after the other in turns. They
mean nothing across machines, and little on a machine that does something else meanwhile: the load is printed.
"""

import argparse
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from tests.bench import (
    access,
    audit,
    batches,
    before,
    client,
    end_to_end,
    fairness,
    follow_events,
    graphql,
    imports,
    jobs,
    overload,
    pinned_snapshot,
    projection,
    read_your_writes,
    row_security,
    script_cage,
    script_limits,
    script_path,
    search,
    sequencer,
    strict_json,
    tenants,
    visibility,
    write_path,
)
from tests.bench.stage import Stage, open_stage
from tests.bench.table import Report, print_reports

BENCHMARKS: Mapping[str, Callable[[Stage], Report]] = {
    "write_path": write_path.run,
    "access": access.run,
    "before": before.run,
    "strict_json": strict_json.run,
    "batches": batches.run,
    "client": client.run,
    "overload": overload.run,
    "sequencer": sequencer.run,
    "projection": projection.run,
    "end_to_end": end_to_end.run,
    "visibility": visibility.run,
    "read_your_writes": read_your_writes.run,
    "follow_events": follow_events.run,
    "search": search.run,
    "graphql": graphql.run,
    "row_security": row_security.run,
    "import": imports.run,
    "fairness": fairness.run,
    "script_cage": script_cage.run,
    "script_limits": script_limits.run,
    "script_path": script_path.run,
    "tenants": tenants.run,
    "audit": audit.run,
    "jobs": jobs.run,
    "pinned_snapshot": pinned_snapshot.run,
}


def main() -> None:
    arguments = _arguments()
    console = Console()
    reports = []
    try:
        with open_stage(
            quick=arguments.quick,
            catalogue=arguments.catalogue,
            pinned_minutes=arguments.pinned_minutes,
            overload_requests=arguments.overload_requests,
            since=arguments.since,
        ) as stage:
            for name in arguments.names or [name for name in BENCHMARKS if name != "before" or arguments.since]:
                started_s = time.perf_counter()
                reports.append(BENCHMARKS[name](stage))
                load = os.getloadavg()[0]
                console.print(f"[dim]{name}: {time.perf_counter() - started_s:.0f} s, load average {load:.1f}[/]")
    finally:  # what was measured before a failure is told all the same
        console.print(f"{os.cpu_count()} cores; client, platform and servers share them.")
        print_reports(reports, console)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="one short round each: a check that everything runs")
    parser.add_argument(
        "--catalogue",
        type=Path,
        metavar="FILE",
        help="package records, JSON Lines or .gz, for search and import instead of the repeated sample",
    )
    parser.add_argument(
        "--pinned-minutes", type=float, default=1.0, metavar="N", help="how long pinned_snapshot keeps one, default 1"
    )
    parser.add_argument(
        "--overload-requests",
        type=int,
        default=20_000,
        metavar="N",
        help="reads in overload, default 20,000",
    )
    parser.add_argument(
        "--since", metavar="COMMIT", help="what `before` compares with, which is measured only with this option"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
