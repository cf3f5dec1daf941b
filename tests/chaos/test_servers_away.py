"""PostgreSQL or Redis goes away under load: clients are told to come again, and everything resumes by itself."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.chaos.evidence import COME_AGAIN, Answer
from tests.chaos.opening import Plan, open_servers, open_stage
from tests.chaos.servers import redis_down, redis_hung
from tests.chaos.stage import Stage
from tests.checksums import index_checksums, source_checksums

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]

GOOD = {Answer(status, says_when_to_come_again=False) for status in (200, 201)}
TAKEN = Answer(409, says_when_to_come_again=False)
"""What a client is told that asks for a handle which is taken, as some do on purpose."""

LATE = Answer(412, says_when_to_come_again=False)
"""What a change is told that was done though its answer was lost, and is sent again: the client looks and compares."""


@pytest.fixture
def stage() -> Iterator[Stage]:
    """An API, a relay and a worker, without any other that could take over, on servers of this test's own."""
    with open_servers() as servers, open_stage(servers, Plan(tenants=1, hook=None, relays=1, workers=1)) as stage:
        yield stage


def assert_index_equals_source(stage: Stage) -> None:
    engine = stage.platform.system_engine
    assert stage.loop.run(index_checksums(engine)) == stage.loop.run(source_checksums(engine))


def test_writes_resume_when_postgresql_is_back(stage: Stage) -> None:
    """While PostgreSQL is away a write is answered 503 with Retry-After; a retry with its key is done once."""
    with stage.load():
        for _outage in range(2):
            stage.until_answered(20)
            stage.postgres.stop_immediately()
            stage.until_put_off(3)
            stage.postgres.start()
        stage.until_answered(20)

    stage.settle()
    assert stage.clients.answers.keys() <= {*GOOD, TAKEN, LATE, COME_AGAIN}
    assert_index_equals_source(stage)


@pytest.mark.parametrize("away", [redis_down, redis_hung])
def test_writes_do_not_notice_that_redis_is_away(
    stage: Stage, away: Callable[[Stage], AbstractContextManager[None]]
) -> None:
    """Redis moves hints only: without it every write is answered, and the index follows.

    Workers find their work in PostgreSQL after a few seconds, and take messages again once there are some.
    """
    with away(stage):
        with stage.load():
            stage.until_answered(100)
        stage.settle()
        assert_index_equals_source(stage)

    with stage.load():
        stage.until_answered(50)
    stage.settle()
    assert stage.clients.answers.keys() <= {*GOOD, TAKEN}
    assert_index_equals_source(stage)
