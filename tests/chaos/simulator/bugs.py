"""Bugs that the simulator must find: each replaces one part by one that is wrong in one way.

They are the mistakes that the design of delivery avoids. To add one, write the part and enter it in `BUGS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.chaos.simulator import bugs_of_events as events
from tests.chaos.simulator import bugs_of_jobs as jobs
from tests.chaos.simulator import bugs_of_schedules as schedules
from tests.chaos.simulator.roles import Parts


@dataclass(frozen=True, slots=True)
class Bug:
    """`shows`: the invariant that it must violate, whatever else it does. `seen_at`: a seed that is tried first."""

    parts: Parts
    shows: str
    seen_at: int = 0


BUGS: Mapping[str, Bug] = {
    "stages apart": Bug(Parts(api=events.StagesApart), "I2"),
    "forgets keys": Bug(Parts(api=events.ForgetsKeys), "I3"),
    "answers too early": Bug(Parts(api=events.AnswersTooEarly), "I1"),
    "naive cursor": Bug(Parts(sequencer_store=events.NaiveCursor), "I8"),
    "floor at the highest id": Bug(Parts(sequencer_store=events.FloorAtTheHighestId), "I8"),
    "sequences in two commits": Bug(Parts(sequencer_store=events.SequencesInTwoCommits), "I1"),
    "sequences the latest first": Bug(Parts(sequencer_store=events.SequencesTheLatestFirst), "I4"),
    "no sweep": Bug(Parts(sweep=jobs.NoSweep), "I8"),
    "looks once": Bug(Parts(consumer=jobs.LooksOnce), "I8", seen_at=259),
    "never forgets hints": Bug(Parts(feeder=jobs.NeverForgetsHints), "I8"),
    "never repeats hints": Bug(Parts(feeder=jobs.NeverRepeatsHints), "I8"),
    "remembers no hints": Bug(Parts(feeder=jobs.RemembersNoHints), "I9", seen_at=99),
    "claims without locks": Bug(Parts(consumer_store=events.ClaimsWithoutLocks), "I3"),
    "commits checkpoints apart": Bug(Parts(consumer_store=events.CommitsCheckpointsApart), "I3"),
    "moves to the end": Bug(Parts(consumer_store=events.MovesToTheEnd), "I1"),
    "forgets what is parked": Bug(Parts(consumer_store=events.ForgetsWhatIsParked), "I6"),
    "drops what waited": Bug(Parts(consumer_store=events.DropsWhatWaited), "I1"),
    "retries the latest first": Bug(Parts(consumer_store=events.RetriesTheLatestFirst), "I4"),
    "reads before it locks": Bug(Parts(index=events.ReadsBeforeItLocks), "I4", seen_at=115),
    "indexes once": Bug(Parts(index=events.IndexesOnce), "I5"),
    "makes jobs apart": Bug(Parts(journal=events.MakesJobsApart), "I3"),
    "ends in two commits": Bug(Parts(jobs=jobs.EndsInTwoCommits), "I3"),
    "ends without its lease": Bug(Parts(jobs=jobs.EndsWithoutItsLease), "I3"),
    "grants what is leased": Bug(Parts(job_store=jobs.GrantsWhatIsLeased), "I3"),
    "renews for others": Bug(Parts(job_store=jobs.RenewsForOthers), "I3", seen_at=112),
    "releases for others": Bug(Parts(job_store=jobs.ReleasesForOthers), "I3", seen_at=322),
    "rescues the living": Bug(Parts(job_store=jobs.RescuesTheLiving), "I3"),
    "no rescue": Bug(Parts(rescuer=jobs.NoRescue), "I8"),
    "counts hints": Bug(Parts(job_store=jobs.CountsHints), "I6"),
    "schedules without locks": Bug(Parts(schedule_store=schedules.HoldsNothing), "I3"),
    "makes moments apart": Bug(Parts(schedule_store=schedules.MakesApart), "I3"),
    "moves on first": Bug(Parts(schedule_store=schedules.MovesOnFirst), "I1"),
    "makes up the latest only": Bug(Parts(schedule_store=schedules.MakesUpTheLatest), "I1"),
    "makes up all": Bug(Parts(schedule_store=schedules.MakesUpAll), "I2"),
    "never gives up": Bug(Parts(job_store=jobs.NeverGivesUp), "I8"),
}
