"""`make chaos`: every scenario of faults at full scale, or those named in ARGS; each enters `chaos-report.json`."""

import argparse
import os
import sys
import time
import traceback

from rich.console import Console

from tests.chaos.opening import Servers, open_servers
from tests.chaos.report import Result, enter, report_path
from tests.chaos.scenarios import SCENARIOS


def main() -> None:
    """Play scenarios; the status is 1 when a target was missed."""
    arguments = _arguments()
    console = Console(file=os.fdopen(os.dup(1), "w"), soft_wrap=True)
    _send_output_to(arguments.log)
    report, all_met = report_path(arguments.scale), True
    with open_servers() as servers:
        for name in arguments.names or SCENARIOS:
            started_s = time.perf_counter()
            result = _play(name, servers, arguments.scale)
            seconds = time.perf_counter() - started_s
            enter(report, arguments.scale, name, result, seconds)
            _tell(console, name, result, seconds)
            all_met = all_met and not result.missed
    console.print(f"The report is in {report}.")
    sys.exit(not all_met)


def _play(name: str, servers: Servers, scale: str) -> Result:
    """Play a scenario. One that breaks off is one that has missed everything; the others are played all the same."""
    try:
        return SCENARIOS[name].play(servers, scale)
    except Exception as error:  # noqa: BLE001 - whatever it was, it is told
        traceback.print_exc()
        return Result({}, {}, {"broke off": [f"{type(error).__name__}: {error}"]})


def _tell(console: Console, name: str, result: Result, seconds: float) -> None:
    verdict = "[red]missed[/]" if result.missed else "[green]met[/]"
    console.print(f"{verdict} {name}, {seconds:.0f} s", *result.missed[:20], sep="\n  ")
    console.print(f"  {dict(result.figures)}", style="dim")


def _send_output_to(log: str) -> None:
    """Have what the processes say in a file: it is about the faults that they are given."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos ARGS=...", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(SCENARIOS))
    parser.add_argument("--scale", choices=("smoke", "full"), default="full", help="smoke: seconds each")
    parser.add_argument("--log", default="chaos.log", help="where what the processes say goes")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - SCENARIOS.keys():
        parser.error(f"no scenario is called {', '.join(sorted(unknown))}: there are {', '.join(SCENARIOS)}")
    return arguments


if __name__ == "__main__":
    main()
