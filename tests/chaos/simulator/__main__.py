"""Run many schedules, or replay one: `python -m tests.chaos.simulator --help`."""

import argparse
import sys

from tests.chaos.simulator.bugs import BUGS
from tests.chaos.simulator.roles import Parts
from tests.chaos.simulator.runs import first_failure_of_many, told
from tests.chaos.simulator.world import World


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.simulator", description=__doc__)
    parser.add_argument("--schedules", type=int, default=1_000, help="how many to run (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (%(default)s); the others follow it")
    parser.add_argument("--bug", choices=sorted(BUGS), help="run with this seeded bug")
    parser.add_argument("--trace", action="store_true", help="tell everything that happens in the schedule of the seed")
    options = parser.parse_args()
    if options.trace:
        return _replay(options.seed, options.bug)
    failure = first_failure_of_many(range(options.seed, options.seed + options.schedules), options.bug)
    sys.stdout.write(f"{told(failure) if failure else f'{options.schedules} schedules: every invariant holds'}\n")
    return failure is not None


def _replay(seed: int, bug: str | None) -> int:
    violations = World(seed, BUGS[bug].parts if bug else Parts(), print).run()
    sys.stdout.write("\n".join(map(str, violations)) + "\n" if violations else "every invariant holds\n")
    return bool(violations)


if __name__ == "__main__":
    sys.exit(main())
