"""The durable work of the ledger itself."""

from rustok.kernel.module import JobKind

REDRIVE = JobKind(name="jobs.redrive", summary="Let dead letters be tried again")
DISCARD = JobKind(name="jobs.discard", summary="Give dead letters up for good")
