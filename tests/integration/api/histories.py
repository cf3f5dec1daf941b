"""Histories of two tenants, and what the first one sees of them."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import httpx2
from hypothesis import strategies as st

from rustok.runtime import SystemClock
from tests.integration.api.possessions import MARK, OPERATIONS, Operation, Owner, Possessions, request_of
from tests.integration.api.support import ApiUnderTest, administrator

TRIED = [o for o in OPERATIONS if o.name not in ("events of an operation", "access.audit.list")]
"""All but a stream that would end only with the operation, and a log in the order in which shards are read."""
READS = [operation for operation in TRIED if operation.method == "GET"]
_SEARCHES = [
    {"locale": "en", "q": MARK},
    {"locale": "en", "q": "bicycle"},
    {"locale": "en", "q": "about"},
    {"locale": "de"},
    {"locale": "en", "sort": "title"},
    {"locale": "en", "tags": "city"},
]
_DAY = datetime(2026, 2, 1, tzinfo=UTC)
_ID = re.compile(r"\b(?:[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})\b")
"""Of a row, a trace, an API key."""
_TOKEN = re.compile(r"rtk_[a-z]+_[0-9a-f_]+")
_NOT_OF_THE_CLOCK = re.compile(r'"(?!2026-02-01)\d{4}-\d\d-\d\dT[^"]*"')
_CURSOR = re.compile(r'"(next|prev)":"[^"]+"')
_VERSION = re.compile(r'"version":\d+')
"""Of what scripts keep: it tells one write from another and is no count."""

_EVENTS = """
    SELECT (to_jsonb(e) - '{position,shard,recorded_at}'::text[])::text FROM event_log AS e
     WHERE tenant_id = $1 ORDER BY position
"""


class StepClock(SystemClock):
    """Tells the time of a step: the same, however long the steps before took and whoever took them."""

    step = 0

    def now(self) -> datetime:
        return _DAY + timedelta(seconds=self.step)


class Request(NamedTuple):
    """An operation about the latest thing of its kind: the other tenant's, or one's own; `key` makes it idempotent."""

    is_first: bool
    operation: Operation
    about_the_other: bool
    key: str | None


class Settle(NamedTuple):
    """Relay and workers do what there is to do."""


class Possess(NamedTuple):
    """A tenant gets one more of everything."""

    is_first: bool


Step = Request | Settle | Possess

requests = st.builds(
    Request, st.booleans(), st.sampled_from(TRIED), st.booleans(), st.sampled_from([None, None, "key-1", "key-2"])
)
steps = st.one_of(requests, requests, requests, requests, st.just(Settle()), st.builds(Possess, st.booleans()))
histories = st.lists(steps, min_size=5, max_size=25)


class Tenant:
    """One that acts: it states the versions that it has seen."""

    def __init__(self, owner: Owner, things: Possessions) -> None:
        self.owner = owner
        self.things = things

    @classmethod
    async def create(cls, api: ApiUnderTest) -> "Tenant":
        """Create one whose things are called as any other's."""
        names = (f"name-{number}" for number in count())
        owner = await Owner.create(api, lambda: next(names))
        return cls(owner, await owner.possess())

    async def do(self, step: Request, things: Possessions) -> httpx2.Response:
        key = {"Idempotency-Key": step.key} if step.key and step.operation.method == "POST" else {}
        answer = await self.owner.send(step.operation, things, key)
        if things is self.things:
            self.things = things.seen_in(step.operation, answer)
        return answer


class Notes:
    """What was seen, with ids by the order of their appearance, so that two histories can be compared."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self.lines: list[str] = []

    def of_answer(self, operation: Operation, answer: httpx2.Response) -> None:
        told = [answer.text, answer.headers.get("ETag", ""), answer.headers.get("Location", "")]
        if operation.name.startswith(("alloy.kv.", "alloy.secrets.")):
            told = [_VERSION.sub('"version":0', answer.text)]
        self.add(f"{operation.name} {answer.status_code} {told}")

    def add(self, line: str) -> None:
        line = _TOKEN.sub("a token", line)
        line = _CURSOR.sub(r'"\1":"a cursor"', _NOT_OF_THE_CLOCK.sub('"now"', line))
        self.lines.append(_ID.sub(lambda found: self._names.setdefault(found[0], f"#{len(self._names)}"), line))


async def view_of(api: ApiUnderTest, clock: StepClock, history: Sequence[Step], *, is_alone: bool) -> list[str]:
    """Play *history*, the other tenant's part too unless the first *is_alone*; return what the first one sees."""
    clock.step = 0
    first = await Tenant.create(api)
    other = None if is_alone else await Tenant.create(api)
    notes = Notes()
    for clock.step, step in enumerate(history, start=1):
        if isinstance(step, Settle):
            await settle(api, first)
        elif isinstance(step, Possess):
            if step.is_first:
                first.things = await first.owner.possess()
            elif other is not None:
                other.things = await other.owner.possess()
        elif step.is_first:
            notes.of_answer(step.operation, await first.do(step, first.things))
        elif other is not None:
            await other.do(step, (first if step.about_the_other else other).things)
    await settle(api, first)
    await look_around(first, notes)
    return notes.lines


async def settle(api: ApiUnderTest, tenant: Tenant) -> None:
    await api.rustok.settle()
    await tenant.owner.work()


async def look_around(tenant: Tenant, notes: Notes) -> None:
    """Read all there is: every read, every page of every list, every search, and the events."""
    client, headers = tenant.owner.api.client, dict(tenant.owner.headers)
    for operation in READS:
        for asked in _asked_of(operation, tenant.things):
            after: dict[str, Any] = {}
            while True:
                answer = await client.request(**operation_request(operation, tenant.things, asked | after, headers))
                notes.of_answer(operation, answer)
                page = answer.json().get("page", {}) if answer.is_success else {}
                if page.get("next") is None or not page.get("has_more", True):  # that of the events is always there
                    break
                after = {"after": page["next"]}
    async with administrator(tenant.owner.api.database) as admin:
        for row in await admin.fetch(_EVENTS, tenant.owner.tenant_id):
            notes.add(row[0])


def _asked_of(operation: Operation, things: Possessions) -> Iterator[dict[str, Any]]:
    if operation.name in ("index.products.search", "index.content.search"):
        yield from _SEARCHES
    elif "after" in operation.input.model_fields:
        yield {"limit": 2}
    else:
        yield request_of(operation, things)["params"]


def operation_request(
    operation: Operation, things: Possessions, params: dict[str, Any], headers: dict[str, str]
) -> dict[str, Any]:
    return request_of(operation, things) | {"params": params, "headers": headers}
