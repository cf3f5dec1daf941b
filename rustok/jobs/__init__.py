"""Durable work: what modules ask for in their own transaction, and workers do afterwards, once."""

from rustok.jobs.ledger import Leased, LeaseLost, NewJob, enqueue, fail, finish, hand_back
from rustok.jobs.operations import Accepted
from rustok.jobs.schedules import NewSchedule, set_schedules

__all__ = [
    "Accepted",
    "LeaseLost",
    "Leased",
    "NewJob",
    "NewSchedule",
    "enqueue",
    "fail",
    "finish",
    "hand_back",
    "set_schedules",
]
