"""What brands has done later, and what again and again."""

from datetime import timedelta
from uuid import UUID

from rustok.db.unit_of_work import UnitOfWork
from rustok.jobs import NewJob, NewSchedule, enqueue, set_schedules
from rustok.kernel.module import JobKind

FORGET = JobKind(name="brands.forget", summary="Forget the pictures of a brand that is gone")
COUNT = JobKind(name="brands.count", summary="Count brands")


async def forget_tomorrow(uow: UnitOfWork, brand_id: UUID) -> None:
    job = NewJob(
        kind=FORGET,
        args={"brand_id": str(brand_id)},
        due_at=uow.now + timedelta(days=1),
        priority=-1,
        dedup_key=str(brand_id),
    )
    await enqueue(uow, [job])


async def count_each_night(uow: UnitOfWork) -> None:
    nightly = NewSchedule(cron="0 3 * * *", timezone="Europe/Berlin", missed="skip", kind=COUNT, args={})
    await set_schedules(uow, "brands", [nightly])
