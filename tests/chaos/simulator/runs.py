"""Many schedules, up to the first that violates something."""

import gc
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from tests.chaos.simulator.bugs import BUGS
from tests.chaos.simulator.invariants import Violation
from tests.chaos.simulator.roles import Parts
from tests.chaos.simulator.world import World

_CHUNK = 125


@dataclass(frozen=True, slots=True)
class Failure:
    seed: int
    bug: str | None
    violations: tuple[Violation, ...]


def first_failure(seeds: Iterable[int], bug: str | None = None) -> Failure | None:
    """Run the schedules of *seeds* and return the first that violates an invariant.

    With a seeded *bug* that is the first that violates what this one must.
    """
    shows = BUGS[bug].shows if bug else ""
    parts = BUGS[bug].parts if bug else Parts()
    with _unhindered():
        for seed in seeds:
            try:
                violations = World(seed, parts).run()
            except Exception as error:
                error.add_note(f"This was seed {seed} of the simulator.")
                raise
            if any(violation.invariant.startswith(shows) for violation in violations):
                return Failure(seed, bug, tuple(violations))
    return None


def first_failure_of_many(seeds: range, bug: str | None = None) -> Failure | None:
    """Return what `first_failure` does, by all processors of the machine."""
    chunks = [seeds[start : start + _CHUNK] for start in range(0, len(seeds), _CHUNK)]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return next(filter(None, pool.map(partial(first_failure, bug=bug), chunks)), None)


def hunted(bugs: Collection[str], seeds: range) -> Mapping[str, Failure | None]:
    """Return what `first_failure` finds of each of *bugs*, by all processors of the machine."""
    tried = [[BUGS[bug].seen_at, *seeds] for bug in bugs]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return dict(zip(bugs, pool.map(first_failure, tried, bugs), strict=True))


def told(failure: Failure) -> str:
    """Return what was violated, and how to see it again."""
    bug = f" --bug '{failure.bug}'" if failure.bug else ""
    replay = f"python -m tests.chaos.simulator --seed {failure.seed}{bug} --trace"
    return "\n".join([f"Seed {failure.seed} fails; replay it with: {replay}", *map(str, failure.violations)])


@contextmanager
def _unhindered() -> Iterator[None]:
    """Keep the garbage collector from walking through all that the tests have imported, schedule after schedule."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
