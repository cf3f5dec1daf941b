"""Durable work: what modules ask for in their own transaction, and workers do afterwards, once."""

from rustok.jobs.cron import next_due
from rustok.jobs.ledger import (
    Asker,
    Leased,
    LeaseLost,
    NewJob,
    enqueue,
    enqueue_for,
    fail,
    finish,
    finish_all,
    hand_back,
    put_off,
    redrive,
    report,
)
from rustok.jobs.operations import Accepted, GetOperation, Operation, OperationStatus, find_args, get_operation
from rustok.jobs.schedules import Missed, NewSchedule, set_schedules, suspend_schedules

__all__ = [
    "Accepted",
    "Asker",
    "GetOperation",
    "LeaseLost",
    "Leased",
    "Missed",
    "NewJob",
    "NewSchedule",
    "Operation",
    "OperationStatus",
    "enqueue",
    "enqueue_for",
    "fail",
    "find_args",
    "finish",
    "finish_all",
    "get_operation",
    "hand_back",
    "next_due",
    "put_off",
    "redrive",
    "report",
    "set_schedules",
    "suspend_schedules",
]
