"""A worker that ends hands back what it has in hand before its connections are closed."""

import asyncio
from typing import Any

from sqlalchemy import text

from rustok.db.transaction import run_alone
from rustok.jobs import NewJob, enqueue
from rustok.modules.alloy import CALL
from rustok.settings import Settings
from rustok.testing import PlatformUnderTest
from workers.parts import open_parts

CALLS = 5

_JOBS = text("SELECT state, attempts FROM jobs")


class SilentServer:
    """Takes calls and answers none; `all_called` once *count* of them are there."""

    def __init__(self, count: int) -> None:
        self._missing = count
        self.all_called = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self._missing -= 1
        if not self._missing:
            self.all_called.set()
        await reader.read()  # until the caller goes away
        writer.close()


async def test_calls_under_way_are_handed_back(rustok: PlatformUnderTest, settings: Settings) -> None:
    """Uncounted: another worker makes them at once."""
    tenant, silent = await rustok.create_tenant(), SilentServer(CALLS)
    server = await asyncio.start_server(silent.serve, "127.0.0.1", 0)
    host = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    script = await rustok.run(
        "alloy.scripts.create", tenant, name="caller", triggers=[{"kind": "api"}], grants=[], hosts=[host]
    )
    args: dict[str, Any] = {"method": "POST", "url": host, "headers": {}, "secret_headers": {}, "json": None}
    jobs = [NewJob(kind=CALL, args={"script_id": str(script.id), **args}) for _ in range(CALLS)]
    async with rustok.platform.units.begin(rustok.context(tenant)) as uow:
        await enqueue(uow, jobs)

    async with server:
        async with open_parts(settings.model_copy(update={"egress_allowed_networks": "127.0.0.0/8"})) as parts:
            working = asyncio.create_task(parts.runner.work([job.id for job in jobs]))
            await asyncio.wait_for(silent.all_called.wait(), 20)

        assert (await run_alone(rustok.system_engine, _JOBS)).all() == [("ready", 0)] * CALLS
        assert await working == CALLS
