"""Descriptor of jobs: the ledger of durable work."""

from rustok.jobs import operations
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
    ),
    queries=(GET_OPERATION,),
    tables=("jobs", "finished_jobs", "schedules", "disabled_schedules", "job_pauses", "job_limits"),
)
