"""A cage with every layer, shared by the proofs of one file."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rustok.sandbox.cage import Cage, CageConfig
from tests.security.stage import Witness, watching


@pytest.fixture(scope="module")
async def cage() -> AsyncIterator[Cage]:
    async with Cage(CageConfig(wait_s=60)) as cage:
        assert cage.report.level in {"A", "B", "C"}, cage.report
        yield cage


@pytest.fixture(scope="module")
def witness() -> Iterator[Witness]:
    """In a folder that every user may enter, as pytest's are not."""
    with TemporaryDirectory() as folder, watching(Path(folder)) as witness:
        yield witness
