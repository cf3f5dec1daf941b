"""What a tenant sees of any history is the same with another tenant and without."""

import asyncio

import pytest
from hypothesis import given, settings

from rustok.testing import DatabaseServer
from tests.chaos.state_machine.world import opened
from tests.integration.api.fences import without_predicates, without_row_level_security
from tests.integration.api.histories import Step, StepClock, histories, view_of
from tests.integration.api.support import ApiUnderTest

FEW = settings(max_examples=12, derandomize=True)
MANY = settings(FEW, max_examples=150, derandomize=False, database=None)


@pytest.mark.parametrize(
    "effort",
    [pytest.param(FEW, id="few"), pytest.param(MANY, marks=[pytest.mark.deep, pytest.mark.timeout(1800)], id="many")],
)
def test_nothing_that_another_tenant_does_is_seen(database_server: DatabaseServer, effort: settings) -> None:
    """Answers, ETags, pages, what is found and in which order, events: of everything that has a route."""
    clock = StepClock()
    with asyncio.Runner() as runner, opened(runner, ApiUnderTest.alone(database_server, clock)) as api:

        @effort
        @given(histories)
        def is_the_same(history: list[Step]) -> None:
            alone = runner.run(view_of(api, clock, history, is_alone=True))
            assert runner.run(view_of(api, clock, history, is_alone=False)) == alone

        is_the_same()


@pytest.mark.parametrize("words", ["FROM products AS p", "FROM nodes AS n", "FROM scripts", "FROM dead_letters"])
def test_one_statement_that_forgets_the_tenant_is_seen(database_server: DatabaseServer, words: str) -> None:
    """Where row level security does not help it."""
    clock = StepClock()
    with (
        without_predicates(words),
        asyncio.Runner() as runner,
        opened(runner, ApiUnderTest.alone(database_server, clock)) as api,
    ):
        runner.run(without_row_level_security(api.database))
        views = [runner.run(view_of(api, clock, [], is_alone=is_alone)) for is_alone in (True, False)]

    assert views[0] != views[1]
