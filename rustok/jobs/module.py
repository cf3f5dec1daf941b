"""Descriptor of jobs: the ledger of durable work."""

from rustok.events.dead_letters import Choice
from rustok.jobs import dead_letters, operations
from rustok.jobs.kinds import DISCARD, REDRIVE
from rustok.kernel.module import Command, Module, ModuleKind, Query
from rustok.kernel.permission import Permission

GET_OPERATION = Query(
    name="jobs.operations.get",
    summary="See how an operation is doing, or what came of it",
    permission="jobs.operations.read",
    input=operations.GetOperation,
    result=operations.Operation,
    handler=operations.get_operation,
    route="GET /{operation_id}",
    errors=(operations.OperationNotFound,),
)

JOBS = Module(
    name="jobs",
    kind=ModuleKind.INFRASTRUCTURE,
    summary="Durable work: operations that were answered 202, retries, schedules, dead letters.",
    path="operations",
    depends_on=("tenants",),
    permissions=(
        Permission("jobs.operations.read", "See how operations are doing"),
        Permission("jobs.operations.cancel", "Cancel operations"),
        Permission("jobs.dead_letters.read", "See what was given up, and why"),
        Permission("jobs.dead_letters.redrive", "Let what was given up be tried again"),
        Permission("jobs.dead_letters.discard", "Give it up for good"),
    ),
    commands=(
        Command(
            name="jobs.operations.cancel",
            summary="Cancel an operation",
            permission="jobs.operations.cancel",
            input=operations.CancelOperation,
            result=operations.Operation,
            handler=operations.cancel_operation,
            route="DELETE /{operation_id}",
            is_critical=True,
            errors=(operations.OperationNotFound,),
        ),
        Command(
            name="jobs.dead_letters.redrive",
            summary="Let dead letters be tried again",
            permission="jobs.dead_letters.redrive",
            input=Choice,
            result=operations.Accepted,
            handler=dead_letters.redrive_dead_letters,
            route="POST /dead-letters/redrive",
            status=202,
        ),
        Command(
            name="jobs.dead_letters.discard",
            summary="Discard dead letters",
            permission="jobs.dead_letters.discard",
            input=dead_letters.DiscardChoice,
            result=operations.Accepted,
            handler=dead_letters.discard_dead_letters,
            route="POST /dead-letters/discard",
            status=202,
        ),
    ),
    queries=(
        Query(
            name="jobs.dead_letters.list",
            summary="See what was given up, or waits for another release, by cause",
            permission="jobs.dead_letters.read",
            input=dead_letters.ListDeadLetters,
            result=dead_letters.DeadLetterGroups,
            handler=dead_letters.list_dead_letters,
            route="GET /dead-letters",
        ),
        GET_OPERATION,
    ),
    jobs=(REDRIVE, DISCARD),
    tables=("jobs", "finished_jobs", "schedules", "disabled_schedules", "job_pauses", "job_limits"),
)
