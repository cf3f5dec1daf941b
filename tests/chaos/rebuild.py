"""The product index from nothing: emptied, and made again from the whole log by one consumer in this process."""

from sqlalchemy import text

from rustok.testing import PlatformUnderTest
from tests.checksums import Checksums, index_checksums

INDEX = "commerce.index_products"

_EMPTY = (
    text("DELETE FROM index_products"),
    text(f"DELETE FROM index_versions WHERE projection = '{INDEX}'"),
    text(f"UPDATE checkpoints SET position = 0 WHERE consumer = '{INDEX}'"),
)


async def rebuild(platform: PlatformUnderTest) -> Checksums:
    """Rebuild the index and return its checksums; no other process may be at work."""
    async with platform.system_engine.begin() as connection:
        for statement in _EMPTY:
            await connection.execute(statement)
    while (await platform.consumers[INDEX].drain()).has_more:
        pass
    return await index_checksums(platform.system_engine)
