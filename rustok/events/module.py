"""Descriptor of the outbox: the log and those who read it."""

from rustok.kernel.module import Module, ModuleKind

OUTBOX = Module(
    name="outbox",
    kind=ModuleKind.INFRASTRUCTURE,
    summary="The event log: staging, sequencer, checkpoints, parked aggregates.",
    tables=("outbox", "event_log", "log_state", "checkpoints", "parked_aggregates"),
)
