"""Hypothesis tries whatever may happen, in any order, on real PostgreSQL, and shows the fewest steps that break it."""

import asyncio
import re
from collections.abc import Callable, Iterable

import asyncpg
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from rustok.db.failures import sqlstate
from rustok.testing import Database
from tests.chaos.state_machine.bugs import DELIVERY_BUGS, LEDGER_BUGS, Bug, all_seen
from tests.chaos.state_machine.delivery_machine import DeliveryMachine
from tests.chaos.state_machine.delivery_world import DeliveryWorld, open_delivery_world
from tests.chaos.state_machine.ledger_machine import LedgerMachine
from tests.chaos.state_machine.ledger_world import LedgerWorld, open_ledger_world
from tests.chaos.state_machine.world import World, opened

FEW = settings(max_examples=12, stateful_step_count=30, derandomize=True)
SOME = settings(FEW, max_examples=80, stateful_step_count=40)
MANY = settings(FEW, max_examples=300, stateful_step_count=50, derandomize=False, database=None)
HUNT = settings(FEW, max_examples=2000, stateful_step_count=40, phases=[Phase.generate])
EFFORTS = (
    pytest.param(FEW, id="few"),
    pytest.param(MANY, marks=[pytest.mark.deep, pytest.mark.timeout(900)], id="many"),
)


@pytest.mark.parametrize("effort", EFFORTS)
def test_the_ledger_does_what_its_model_does(ledger_world: LedgerWorld, effort: settings) -> None:
    """Jobs are conserved, leases exclusive, attempts counted by grants only; stale tokens are refused."""
    explore(lambda: LedgerMachine(ledger_world), effort)


@pytest.mark.parametrize("effort", EFFORTS)
def test_the_delivery_keeps_its_promise(delivery_world: DeliveryWorld, effort: settings) -> None:
    """Events are conserved, in order, in a log without gaps; each takes effect once, in every interruption."""
    explore(lambda: DeliveryMachine(delivery_world), effort)


def test_the_bugs_of_the_ledger_fit_what_it_sends(runner: asyncio.Runner, world_database: Database) -> None:
    """The hunts for them take long: a bug that fits nothing by now should be known before."""
    with all_seen() as statements, opened(runner, open_ledger_world(runner, world_database)) as world:
        explore(lambda: LedgerMachine(world), SOME)
        assert misfits(LEDGER_BUGS, statements, world) == []


def test_the_bugs_of_the_delivery_fit_what_it_sends(runner: asyncio.Runner, world_database: Database) -> None:
    with all_seen() as statements, opened(runner, open_delivery_world(runner, world_database)) as world:
        explore(lambda: DeliveryMachine(world), SOME)
        assert misfits(DELIVERY_BUGS, statements, world) == []


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", LEDGER_BUGS, ids=str, indirect=True)
def test_a_bug_of_the_ledger_is_found(ledger_world: LedgerWorld) -> None:
    """Else the machine would prove nothing."""
    assert is_found(lambda: LedgerMachine(ledger_world))


@pytest.mark.deep
@pytest.mark.timeout(900)
@pytest.mark.parametrize("bug", DELIVERY_BUGS, ids=str, indirect=True)
def test_a_bug_of_the_delivery_is_found(delivery_world: DeliveryWorld) -> None:
    """Else the machine would prove nothing."""
    assert is_found(lambda: DeliveryMachine(delivery_world))


_NO_SQL = "42"
"""The class of SQLSTATE of what PostgreSQL does not understand: that would be a bug in the bug."""

Machine = Callable[[], RuleBasedStateMachine]


def explore(machine: Machine, effort: settings) -> None:
    run_state_machine_as_test(machine, settings=effort)  # type: ignore[arg-type] # it takes any factory


def misfits(bugs: Iterable[Bug], statements: Iterable[str], world: World) -> list[Bug]:
    """Return the bugs that change none of *statements*, or have a script that finds nothing to change."""
    return [
        bug
        for bug in bugs
        if (bug.statement and not any(re.search(bug.statement[0], statement) for statement in statements))
        or (bug.script and not world.run(succeeds(world.admin, bug.script)))
    ]


async def succeeds(admin: asyncpg.Connection, script: str) -> bool:
    """Tell whether *script* can be run; it is undone."""
    attempt = admin.transaction()
    await attempt.start()
    try:
        await admin.execute(script)
    except asyncpg.PostgresError:
        return False
    finally:
        await attempt.rollback()
    return True


def is_found(machine: Machine) -> bool:
    """Tell whether some example ends otherwise than the machine expects, whatever it is that shows it.

    Also a race that does not come again, which Hypothesis calls flaky: without a bug there is none.
    """
    try:
        explore(machine, HUNT)
    except Exception as error:  # a broken invariant, a refused statement, a lease that was lost
        if (sqlstate(error) or "").startswith(_NO_SQL):
            raise
        return True
    return False
