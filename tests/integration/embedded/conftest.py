"""Fixtures over both embedded servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rustok.embedded import embedded_postgres, temporary_state_dir
from tests.integration.embedded.support import OrdinaryUser, PostgresSubject, RedisSubject, Subject


@pytest.fixture(params=[PostgresSubject(), RedisSubject()], ids=lambda subject: subject.name)
def subject(request: pytest.FixtureRequest) -> Subject:
    """Each of the two servers in turn."""
    assert isinstance(request.param, Subject)
    return request.param


@pytest.fixture
def empty_state_dir() -> Iterator[Path]:
    """Here the first start is a cold one."""
    with temporary_state_dir() as path:
        yield path


@pytest.fixture(scope="session")
def cluster() -> Iterator[Path]:
    """What one cold start of PostgreSQL leaves behind."""
    with temporary_state_dir() as path:
        with embedded_postgres(path, durable=False):
            pass
        yield path / "postgres"


@pytest.fixture
def state_dir(empty_state_dir: Path, cluster: Path) -> Iterator[Path]:
    """With a cluster on loan, for initdb takes most of a cold start; a test that damages it starts cold instead."""
    loan = cluster.rename(empty_state_dir / "postgres")
    yield empty_state_dir
    loan.rename(cluster)


@pytest.fixture(scope="session")
def ordinary_user() -> Iterator[OrdinaryUser]:
    with temporary_state_dir() as commons:
        yield OrdinaryUser(commons)
