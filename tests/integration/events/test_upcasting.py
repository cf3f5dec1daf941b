"""An event that an older release has written, on its way to all who read it: they get the newest version of it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

import pytest

from rustok.catalog import MODULES
from rustok.db.unit_of_work import UnitOfWork
from rustok.events.dead_letters import Choice
from rustok.jobs.dead_letters import each_dead_letter
from rustok.kernel.event import Event, LoggedEvent
from rustok.kernel.module import Command, Input, Module, ModuleKind, Result, Subscription
from rustok.kernel.permission import Permission
from rustok.testing import Database, PlatformUnderTest
from tests.integration.events.log import connected

WRITE = "greetings.greetings.write"
HOOK = "async def handle(event, ctx):\n    ctx.log('seen')\n"


class Greeted(Event):
    """Somebody was greeted."""

    type: ClassVar = "greetings.greeting.sent"
    aggregate: ClassVar = "greeting"
    example: ClassVar = {"language": "en_GB"}

    language: str


class GreetedAnew(Event):
    """Somebody was greeted; the country has a field of its own."""

    type: ClassVar = Greeted.type
    version: ClassVar = 2
    aggregate: ClassVar = "greeting"
    example: ClassVar = {"language": "en", "country": "GB"}

    language: str
    country: str

    @classmethod
    def upcast(cls, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        language, country = payload["language"].split("_")
        return {"language": language, "country": country}


class SendGreeting(Input):
    language: str


class Greeting(Result):
    id: UUID


async def greet(uow: UnitOfWork, data: SendGreeting) -> Greeting:
    greeting_id = uow.new_id()
    uow.hold("greeting", greeting_id, version=0)
    uow.emit(Greeted(language=data.language), greeting_id)
    return Greeting(id=greeting_id)


class Guestbook:
    """What a subscription was given."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, Mapping[str, Any]]] = []

    async def enter(self, _transaction: Any, events: Sequence[LoggedEvent]) -> None:
        self.entries += [(event.envelope.schema_version, event.envelope.payload) for event in events]


def greetings(guestbook: Guestbook, *events: type[Event]) -> tuple[Module, ...]:
    """Return the platform with a module that declares these events, and notes those that it sees."""
    module = Module(
        name="greetings",
        kind=ModuleKind.DOMAIN,
        summary="Greets people.",
        permissions=(Permission(WRITE, "Greet"),),
        events=events,
        commands=(
            Command(
                name=WRITE,
                summary="Greet",
                permission=WRITE,
                input=SendGreeting,
                result=Greeting,
                handler=greet,
                route=None,
            ),
        ),
        subscriptions=(
            Subscription(
                name="greetings.guestbook", summary="Notes", subscribes=("greetings.*",), handle=guestbook.enter
            ),
        ),
    )
    return (*MODULES, module)


class Releases(NamedTuple):
    """The one that writes version 1, and the one that has version 2, of which only the new one reads."""

    old: PlatformUnderTest
    new: PlatformUnderTest
    tenant: UUID
    guestbook: Guestbook


@pytest.fixture
async def releases(database: Database, platform_class: type[PlatformUnderTest]) -> AsyncIterator[Releases]:
    async with AsyncExitStack() as stack:
        guestbook = Guestbook()
        old = platform_class.open(greetings(Guestbook(), Greeted), database)
        new = platform_class.open(greetings(guestbook, Greeted, GreetedAnew), database)
        writer = await stack.enter_async_context(old)
        reader = await stack.enter_async_context(new)
        yield Releases(writer, reader, await writer.create_tenant(), guestbook)


async def test_a_subscription_sees_the_newest_version(releases: Releases) -> None:
    """The log has what was written."""
    await releases.old.run(WRITE, releases.tenant, language="en_GB")

    await releases.new.settle()

    [*_, written] = await releases.new.events()
    assert (written.envelope.schema_version, written.envelope.payload) == (1, {"language": "en_GB"})
    assert releases.guestbook.entries == [(2, {"language": "en", "country": "GB"})]


@pytest.mark.under_fire
async def test_whoever_follows_the_events_sees_the_newest_version(releases: Releases) -> None:
    """Under the id that the event has had from the beginning."""
    await releases.old.run(WRITE, releases.tenant, language="en_GB")
    await releases.old.settle()

    [before] = (await releases.old.query("outbox.events.list", releases.tenant, type="greetings.*")).data
    [event] = (await releases.new.query("outbox.events.list", releases.tenant, type="greetings.*")).data

    assert (before.type, before.data) == ("rustok.greetings.greeting.sent.v1", {"language": "en_GB"})
    assert (event.type, event.data) == ("rustok.greetings.greeting.sent.v2", {"language": "en", "country": "GB"})
    assert event.dataschema == "urn:rustok:event:greetings.greeting.sent.v2"
    assert (event.id, event.time) == (before.id, before.time)


@pytest.mark.under_fire
async def test_a_script_runs_on_the_newest_version(releases: Releases) -> None:
    """Its job has the event so, and keeps it."""
    new, tenant = releases.new, releases.tenant
    trigger = {"kind": "event", "pattern": "greetings.*", "filter": {"payload.country": ["GB"]}}
    script = await new.run("alloy.scripts.create", tenant, name="a-script", triggers=[trigger])
    await new.run("alloy.versions.push", tenant, script_id=str(script.id), code=HOOK)
    async with connected(new.database.admin_url) as admin:
        await admin.execute("UPDATE script_versions SET state = 'ready'")
    await new.run("alloy.scripts.activate", tenant, script_id=str(script.id), number=1)

    await releases.old.run(WRITE, tenant, language="en_GB")
    await new.settle()

    async with connected(new.database.admin_url) as admin:
        [event] = await admin.fetchrow("SELECT args ->> 'event' FROM jobs WHERE kind = 'alloy.run'")
    assert '"version": 2' in event
    assert '"payload": {"country": "GB", "language": "en"}' in event


async def test_an_event_that_cannot_be_brought_there_parks_its_aggregate(releases: Releases) -> None:
    """Nobody else's, and nothing is lost: it waits for a release whose `upcast` takes it."""
    broken = await releases.old.run(WRITE, releases.tenant, language="Esperanto")
    await releases.old.run(WRITE, releases.tenant, language="en_GB")

    await releases.new.settle()

    assert releases.guestbook.entries == [(2, {"language": "en", "country": "GB"})]
    letters = await each_dead_letter(releases.new.system_engine, Choice())
    assert {(letter.id, letter.what) for letter in letters} == {
        (broken.id, "greetings.guestbook"),
        (broken.id, "access.audit"),
        (broken.id, "alloy.start_runs"),
    }


@pytest.mark.under_fire
async def test_the_feed_stops_at_an_event_that_cannot_be_brought_there(releases: Releases) -> None:
    """It is a defect, told as one: passing over the event would hide it."""
    await releases.old.run(WRITE, releases.tenant, language="Esperanto")
    await releases.new.settle()

    with pytest.raises(ValueError, match="unpack"):
        await releases.new.query("outbox.events.list", releases.tenant)
