"""Puts a platform together from parts. Called by the roots, and by the tests with other parts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.unit_of_work import UnitOfWorkFactory
from rustok.dispatch import Dispatcher
from rustok.events.consumer import Consumer, ConsumerConfig, ConsumerStore
from rustok.index.projection import ProjectionHandler
from rustok.kernel.event import LoggedEvent
from rustok.kernel.module import Module, Subscription
from rustok.kernel.ports import Clock, MadeJob
from rustok.kernel.registry import Registry, build_registry
from rustok.kernel.secrets import Secrets
from rustok.kernel.transport import EventTransport
from rustok.modules.access import Authenticator, Sessions, SignIns
from rustok.modules.tenants import without_absences


@dataclass(frozen=True, slots=True)
class Platform:
    """What serves commands and queries."""

    registry: Registry
    units: UnitOfWorkFactory
    dispatcher: Dispatcher
    authenticator: Authenticator
    sessions: Sessions
    sign_ins: SignIns


def build_platform(
    modules: Sequence[Module],
    *,
    engine: AsyncEngine,
    transport: EventTransport,
    secrets: Secrets,
    clock: Clock,
    on_jobs_made: Callable[[Sequence[MadeJob]], None] = lambda _jobs: None,
) -> Platform:
    """Return the platform of *modules* on *engine*, which connects as the role app.

    *on_jobs_made* is called after each commit of a unit of work that made jobs, with those that are known.

    Raises:
        Misconfigured: the modules do not add up.

    """
    registry = build_registry(modules)
    units = UnitOfWorkFactory(engine, transport, clock, secrets, on_jobs_made, registry=registry)
    authenticator = Authenticator(engine, secrets, clock, registry.permissions.values())
    dispatcher = Dispatcher(units, registry.needed_module)
    sessions = Sessions(units, secrets, clock)
    return Platform(registry, units, dispatcher, authenticator, sessions, SignIns(units, secrets, sessions))


def build_consumers(
    registry: Registry,
    store: ConsumerStore,
    clock: Clock,
    config: ConsumerConfig | None = None,
    on_jobs_made: Callable[[], None] = lambda: None,
) -> Mapping[str, Consumer]:
    """Return every consumer of the platform by name. *store* connects as the role system.

    *on_jobs_made* is called after a commit in which a subscription handled events: it may have made jobs of them.
    """
    config = config or ConsumerConfig()
    projections = [ProjectionHandler(projection) for projection in registry.projections.values()]
    subscriptions = [_SubscriptionHandler(subscription, registry) for subscription in registry.subscriptions.values()]
    known = registry.known_events()
    return {
        **{handler.name: Consumer(config, store, clock, handler, known=known) for handler in projections},
        **{
            handler.name: Consumer(config, store, clock, handler, on_jobs_made, known=known)
            for handler in subscriptions
        },
    }


class _SubscriptionHandler:
    """The consumer of one subscription, which sees every event in its newest version.

    An event that cannot be brought there fails here, as one does that the subscription cannot handle. What happened
    while a tenant had its module off is not for it.
    """

    def __init__(self, subscription: Subscription, registry: Registry) -> None:
        self.name = subscription.name
        self.subscribes = subscription.subscribes
        self._handle = subscription.handle
        self._module = registry.module_of(subscription.name)
        self._upcast = registry.upcast

    async def handle(self, transaction: Any, events: Sequence[LoggedEvent]) -> None:
        if self._module.kind.may_be_off:
            events = await without_absences(transaction, self._module.name, events)
        if events:
            newest = [replace(event, envelope=self._upcast(event.envelope)) for event in events]
            await self._handle(transaction, newest)
