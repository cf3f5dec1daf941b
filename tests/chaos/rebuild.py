"""What the product index would be if it were made from nothing."""

import asyncpg

from rustok.testing import PlatformUnderTest
from tests.checksums import Checksums, index_checksums

INDEX = "commerce.index_products"

_EMPTY = f"""
    CREATE SCHEMA kept;
    CREATE TABLE kept.index_products AS TABLE index_products;
    CREATE TABLE kept.index_versions AS TABLE index_versions;
    CREATE TABLE kept.checkpoints AS TABLE checkpoints;
    DELETE FROM index_products;
    DELETE FROM index_versions WHERE projection = '{INDEX}';
    UPDATE checkpoints SET position = 0 WHERE consumer = '{INDEX}';
"""
_RESTORE = """
    DELETE FROM index_products; INSERT INTO index_products SELECT * FROM kept.index_products;
    DELETE FROM index_versions; INSERT INTO index_versions SELECT * FROM kept.index_versions;
    DELETE FROM checkpoints; INSERT INTO checkpoints SELECT * FROM kept.checkpoints;
    DROP SCHEMA kept CASCADE;
"""


async def rebuilt_checksums(platform: PlatformUnderTest) -> Checksums:
    """Empty the index, let one consumer read the whole log, return the checksums, and put the index back as it was.

    Nobody else may be at work.
    """
    admin = await asyncpg.connect(platform.database.admin_url)
    try:
        await admin.execute(_EMPTY)
        while (await platform.consumers[INDEX].drain()).has_more:
            pass
        checksums = await index_checksums(platform.system_engine)
        await admin.execute(_RESTORE)
    finally:
        await admin.close()
    return checksums
