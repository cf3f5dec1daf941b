"""Erases a tenant a row at a time: `python -m tests.integration.erase_slowly URL TENANT_ID`, to be killed."""

import asyncio
import sys
from uuid import UUID

from rustok.db.engine import open_engine
from rustok.modules.tenants.erasure import Erasure, ErasureConfig
from rustok.runtime import SystemClock


async def main(system_url: str, tenant_id: UUID) -> None:
    async with open_engine(system_url) as engine:
        erasure = Erasure(engine, SystemClock(), config=ErasureConfig(rows=1, pages=1))
        await erasure.erase(tenant_id, "operator:somebody")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], UUID(sys.argv[2])))
