"""The end of every scenario: it settles, everything stops, and what is there is compared with what was promised."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import text

from tests.chaos.evidence import Bound, Evidence, Hits
from tests.chaos.invariants import check
from tests.chaos.rebuild import rebuilt_checksums
from tests.chaos.report import Result, unproven
from tests.chaos.stage import Stage

SETTLE_S = 60.0

_COUNTS = text(
    """
    SELECT (SELECT count(*) FROM event_log) AS events,
           (SELECT count(*) FROM finished_jobs WHERE kind = 'alloy.run') AS runs,
           (SELECT count(*) FROM jobs WHERE state = 'dead') AS dead_jobs,
           (SELECT count(*) FROM parked_aggregates) AS parked
    """
)


def conclude(
    stage: Stage,
    figures: Mapping[str, Any],
    targets: Mapping[str, Bound] | None = None,
    *,
    controls: Mapping[str, Hits] | None = None,
    settle_s: float = SETTLE_S,
    retries: bool = True,
) -> Result:
    """Let *stage* settle, for which it may never have needed more than *settle_s*; stop it, and check every invariant.

    Args:
        controls: how often the faults hit what they were to hit, by name; too seldom is a fault of the run. So is a
            peak that was never looked at.
        retries: wait for what has failed to succeed or to be given up.

    """
    stage.settle(retries=retries)
    settled_s = Bound(round(stage.longest_settle_s, 2), settle_s)
    stage.processes.stop()
    evidence = Evidence(
        promises=frozenset(stage.clients.promises),
        rebuilt=stage.loop.run(rebuilt_checksums(stage.platform)),
        hooks=stage.hooks,
        answers=stage.clients.answers,
        settled_s=settled_s,
        bounds=stage.peaks.bounds,
    )
    faults = stage.loop.run(check(stage.platform.system_engine, evidence))
    counts = stage.ask(_COUNTS)
    return Result(
        {
            **figures,
            **counts._mapping,
            "writes": len(evidence.promises),
            "refused": stage.clients.refused,
            "unanswered_and_repeated": stage.clients.unanswered,
            "answers": {str(status): count for status, count in sorted(_by_status(stage).items())},
            "lost": len(faults["I1"]),
            "ghosts": len(faults["I2"]),
            "doubled": len(faults["I3"]),
            "reordered": len(faults["I4"]),
            "checksums_equal": not faults["I5"],
            "peaks": {name: round(bound.measured) for name, bound in stage.peaks.bounds.items()},
            "controls": {name: asdict(hits) for name, hits in (controls or {}).items()},
        },
        {"seconds to settle": settled_s, **(targets or {})},
        {**faults, "control": unproven({**stage.peaks.controls, **(controls or {})})},
    )


def _by_status(stage: Stage) -> Mapping[int, int]:
    statuses: dict[int, int] = {}
    for answer, count in stage.clients.answers.items():
        statuses[answer.status] = statuses.get(answer.status, 0) + count
    return statuses
