"""One cage for the tests that leave it as it was."""

import math
from collections.abc import AsyncIterator

import pytest

from rustok.sandbox.cage import Cage, CageConfig


@pytest.fixture(scope="session")
async def cage() -> AsyncIterator[Cage]:
    """A cage with every layer that this machine allows.

    Its zygote is never replaced: tests of other cages count the processes that are left.
    """
    async with Cage(CageConfig(children=2, generation_s=math.inf)) as cage:
        assert cage.report.level in {"A", "B", "C"}, cage.report
        yield cage
