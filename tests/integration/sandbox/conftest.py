"""One cage for the tests that leave it as it was."""

from collections.abc import AsyncIterator

import pytest

from rustok.sandbox.cage import Cage, CageConfig


@pytest.fixture(scope="session")
async def cage() -> AsyncIterator[Cage]:
    """A cage with every layer that this machine allows."""
    async with Cage(CageConfig(children=2)) as cage:
        assert cage.report.level in {"A", "B", "C"}, cage.report
        yield cage
