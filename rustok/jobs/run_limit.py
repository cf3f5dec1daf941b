"""An attempt at a job has an end: a handler that waits for ever would have its lease renewed for ever."""

import asyncio

from rustok.jobs.ledger import Leased
from rustok.jobs.runner import Done, JobHandler
from rustok.kernel.errors import RustokError
from rustok.kernel.module import JobKind


class RanTooLong(RustokError):
    """An attempt at a job took longer than its kind allows, and was stopped."""

    code = "job_ran_too_long"


def limited(kind: JobKind, handler: JobHandler) -> JobHandler:
    """Return *handler*, whose attempts are stopped after the kind's time and fail then.

    Raises:
        RanTooLong: when called, by an attempt that was stopped.

    """

    async def attempt(job: Leased) -> Done | None:
        try:
            async with asyncio.timeout(kind.max_run_s) as limit:
                return await handler(job)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise RanTooLong(f"It was not done after {kind.max_run_s:g} s: look what it waits for.") from error

    return attempt
