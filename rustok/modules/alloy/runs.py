"""The rules of runs, as people see them: start one, look at the log, drive dead ones again."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rustok.db.unit_of_work import UnitOfWork
from rustok.jobs import GetOperation, NewJob, enqueue, find_args, get_operation, redrive
from rustok.modules.alloy import documents, errors, events, run_repository, schemas, service
from rustok.modules.alloy.kinds import CALL, RUN
from rustok.modules.alloy.schemas import Attempt

_OPERATOR = "operator"


async def start_run(uow: UnitOfWork, data: schemas.StartRun) -> schemas.StartedRun:
    """Have an active script run on an input."""
    script = await service.find(uow, data.script_id)
    by_hand = uow.context.principal.kind == _OPERATOR
    kinds = {trigger["kind"] for trigger in script.triggers}
    if script.status != "active" or not kinds & ({"api", "manual"} if by_hand else {"api"}):
        raise errors.NotStartable("Activate the script, and give it the trigger `api` (or `manual`, for operators).")
    run_id = uow.new_id()
    uow.hold("run", run_id, version=0)
    uow.emit(events.RunRequested(script_id=data.script_id), run_id)
    kind = documents.MANUAL if by_hand else documents.API
    event = documents.of_start(kind, run_id, uow.context, uow.now, data.input)
    args = {"script_id": data.script_id, "event": event, "depth": 1}
    await _enqueue(uow, run_id, args)
    return schemas.StartedRun(operation_id=run_id, script_id=data.script_id)


async def replay_run(uow: UnitOfWork, data: schemas.ReplayRun) -> schemas.StartedRun:
    """Have an active script run on an event that need not be one that starts it."""
    script = await service.find(uow, data.script_id)
    if script.status != "active":
        raise errors.NotStartable("Activate the script first.")
    run_id = uow.new_id()
    args = {"script_id": data.script_id, "event": data.event.model_dump(mode="json"), "depth": 1}
    await _enqueue(uow, run_id, args)
    return schemas.StartedRun(operation_id=run_id, script_id=data.script_id)


async def list_runs(uow: UnitOfWork, data: schemas.ListRuns) -> schemas.RunPage:
    """Return attempts at runs of a script, newest first; also of a script that was deleted."""
    page = await run_repository.list_attempts(uow, data.script_id, data.outcome, data.after, data.limit)
    return schemas.RunPage(data=[Attempt(**row._mapping) for row in page.rows], page=page.links)


async def latest_attempts(uow: UnitOfWork, limit: int) -> list[Attempt]:
    """Return the latest attempts at runs of all scripts of the tenant, newest first."""
    return [Attempt(**row._mapping) for row in await run_repository.latest_attempts(uow, limit)]


async def get_run(uow: UnitOfWork, data: schemas.GetRun) -> schemas.Run:
    """Return a run with its event and every attempt at it."""
    args = await find_args(uow, RUN, data.run_id)
    if args is None:
        raise errors.RunNotFound("There is no such run.")
    operation = await get_operation(uow, GetOperation(operation_id=data.run_id))
    attempts = [Attempt(**row._mapping) for row in await run_repository.attempts_of(uow, data.run_id)]
    return schemas.Run(
        id=data.run_id,
        status=operation.status,
        script_id=args["script_id"],
        event=args.get("event") or {"type": documents.CRON, "payload": {"due_at": args["due_at"]}},
        attempts=attempts,
    )


async def redrive_run(uow: UnitOfWork, data: schemas.RunReference) -> schemas.Redriven:
    """Let a run that was given up be tried again, by the version that is active by then."""
    count = await redrive(uow, RUN, {}, data.run_id)
    if not count:
        raise errors.RunNotDead("There is no such run among those that were given up.")
    return schemas.Redriven(count=count)


async def redrive_runs(uow: UnitOfWork, data: schemas.ScriptReference) -> schemas.Redriven:
    """Let all runs of a script that were given up be tried again, and all that it wanted sent."""
    of_script = {"script_id": str(data.script_id)}
    return schemas.Redriven(count=await redrive(uow, RUN, of_script) + await redrive(uow, CALL, of_script))


async def _enqueue(uow: UnitOfWork, run_id: UUID, args: Mapping[str, Any]) -> None:
    """Make the job of a run; a tenant with a quota has it when a minute has room for it."""
    booked = await run_repository.book_runs(uow, {uow.tenant_id: 1})
    [due_at] = booked.get(uow.tenant_id, [None])
    await enqueue(uow, [NewJob(id=run_id, kind=RUN, args=args, due_at=due_at)])
