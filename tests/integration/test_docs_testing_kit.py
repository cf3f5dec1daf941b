"""The example of docs/testing.md: a module of four parts, and the tests that its author writes."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar
from uuid import UUID

import pytest
from pydantic import StringConstraints

from rustok.bootstrap import build_platform
from rustok.catalog import MODULES
from rustok.db.engine import open_engine
from rustok.db.unit_of_work import UnitOfWork
from rustok.dispatch import Call
from rustok.events.outbox import OutboxTransport
from rustok.kernel.errors import Forbidden, InvalidInput
from rustok.kernel.event import Event
from rustok.kernel.ids import uuid7
from rustok.kernel.module import Command, Input, Module, ModuleKind, Result
from rustok.kernel.permission import Permission
from rustok.kernel.secrets import Secrets
from rustok.testing import Database, FixedClock, PlatformUnderTest, RecordingTransport, a_context, an_envelope


class GreetingSent(Event):
    """Somebody was greeted."""

    type: ClassVar = "greetings.greeting.sent"
    aggregate: ClassVar = "greeting"
    example: ClassVar = {"language": "en"}

    language: str


class SendGreeting(Input):
    example: ClassVar = {"language": "de"}

    language: Annotated[str, StringConstraints(pattern="^[a-z]{2}$")]


class Greeting(Result):
    id: UUID
    version: int
    sent_at: datetime


async def send_greeting(uow: UnitOfWork, data: SendGreeting) -> Greeting:
    """Send a greeting. A module with tables would insert its row here."""
    greeting_id = uow.new_id()
    uow.hold("greeting", greeting_id, version=0)
    version = uow.emit(GreetingSent(language=data.language), greeting_id)
    return Greeting(id=greeting_id, version=version, sent_at=uow.now)


GREETINGS = Module(
    name="greetings",
    kind=ModuleKind.DOMAIN,
    summary="Greets people.",
    depends_on=("tenants",),
    permissions=(Permission("greetings.greetings.send", "Send greetings"),),
    events=(GreetingSent,),
    commands=(
        Command(
            name="greetings.greetings.send",
            summary="Send a greeting",
            permission="greetings.greetings.send",
            input=SendGreeting,
            result=Greeting,
            handler=send_greeting,
            route="POST /greetings",
            status=201,
        ),
    ),
)
WITH_GREETINGS = (*MODULES, GREETINGS)


async def test_a_greeting_gets_its_place_in_the_log(database: Database) -> None:
    """The whole platform in one process: `settle` sequences, and lets every consumer catch up."""
    async with PlatformUnderTest.open(WITH_GREETINGS, database) as rustok:
        tenant = await rustok.create_tenant()

        greeting = await rustok.run("greetings.greetings.send", tenant, language="de")
        await rustok.settle()

        [created, sent] = [event.envelope for event in await OutboxTransport(rustok.system_engine).read_all(0, 10)]
        assert (created.type, created.aggregate_id) == ("tenants.tenant.created", tenant)
        assert (sent.type, sent.aggregate_id, sent.payload) == (
            "greetings.greeting.sent",
            greeting.id,
            {"language": "de"},
        )


async def test_a_greeting_is_sent_at_the_time_of_the_clock(database: Database) -> None:
    """Time comes from a port; a fixed clock stands still until it is moved."""
    clock = FixedClock(datetime(2026, 2, 1, 12, tzinfo=UTC))
    async with PlatformUnderTest.open(WITH_GREETINGS, database, clock) as rustok:
        tenant = await rustok.create_tenant()
        clock.advance(60)

        greeting = await rustok.run("greetings.greetings.send", tenant, language="de")

        assert greeting.sent_at == datetime(2026, 2, 1, 12, 1, tzinfo=UTC)


async def test_a_refused_greeting_publishes_nothing(database: Database) -> None:
    """A recording transport keeps what committed transactions have published, and nothing else."""
    transport = RecordingTransport()
    async with open_engine(database.app_url) as engine:
        secrets = Secrets("a secret of the tests, long enough")
        platform = build_platform(
            WITH_GREETINGS, engine=engine, transport=transport, secrets=secrets, clock=FixedClock()
        )
        command = platform.registry.commands["greetings.greetings.send"]
        somebody = a_context(uuid7(), frozenset({"greetings.greetings.send"}))

        with pytest.raises(InvalidInput):
            await platform.dispatcher.run(Call(command, {"language": "German"}), somebody)
        await platform.dispatcher.run(Call(command, {"language": "de"}), somebody)

        assert transport.types == ["greetings.greeting.sent"]


async def test_a_greeting_needs_its_permission(database: Database) -> None:
    """Denied unless granted."""
    async with PlatformUnderTest.open(WITH_GREETINGS, database) as rustok:
        tenant = await rustok.create_tenant()
        visitor = a_context(tenant, frozenset({"index.products.read"}))
        call = Call(rustok.registry.commands["greetings.greetings.send"], {"language": "de"})

        with pytest.raises(Forbidden, match=r"greetings\.greetings\.send"):
            await rustok.platform.dispatcher.run(call, visitor)


def test_an_event_is_built_from_its_example() -> None:
    """A builder fills what a test does not care about."""
    envelope = an_envelope(GreetingSent, version=7, language="ru")

    assert (envelope.type, envelope.aggregate_version, envelope.payload) == (
        "greetings.greeting.sent",
        7,
        {"language": "ru"},
    )
