"""A word that a tenant has in everything it owns is told to nobody else: by no answer, line of a log, metric or hint.

A line may have ids, a tenant's slug, and names of what is the platform's own: routes, operations, consumers, kinds of
jobs, codes of errors.
"""

import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import httpx2
import pytest
import redis

from rustok.embedded import free_port
from rustok.testing import DatabaseServer, PlatformUnderTest
from tests.bench.stage import Processes, Shop, Stage
from tests.integration.api.possessions import OPERATIONS, Owner, Possessions
from tests.integration.api.support import PRODUCTS, ApiUnderTest, a_product, administrator
from tests.integration.api.texts import places, send_text
from tests.waiting import eventually_async

EVENTS = (
    *("http_request_finished", "http_request_crashed", "events_consumed", "aggregate_parked", "jobs_done"),
    *("relay_started", "worker_started"),
)
"""Some lines that must be there."""
DEBUG = {"RUSTOK_LOG_LEVEL": "DEBUG"}
HOOKS = (
    "ctx.log('{word}', word='{word}'); ctx.emit('told', word='{word}')",
    "ctx.kv.set('{word}', '{word}'); ctx.create('commerce.products', translations={{'en': {{'title': '{word}'}}}})",
    "raise ValueError('{word}')",
    "ctx.update('commerce.products', '{word}', vendor='{word}')",
    "'{word}'.join(['{word}'] * 10**9)",
)
"""What hooks do with the word of their tenant."""
_OVER = "That is all."
_IS_DONE = """
    SELECT NOT EXISTS (SELECT FROM outbox)
       AND NOT EXISTS (SELECT FROM jobs WHERE state = 'leased' OR state = 'ready' AND due_at <= now())
       AND NOT EXISTS (SELECT FROM consumer_figures() WHERE lag_events > 0)
"""

_DEFECTS = """
    UPDATE script_attempts SET usage = (SELECT jsonb_build_object('cpu_ms', name) FROM tenants WHERE id = tenant_id);
    ALTER TABLE products ADD CHECK (vendor NOT LIKE '%crash%');
    ALTER TABLE index_products ADD CHECK (title NOT LIKE '%poison%')
"""
"""What nobody has foreseen: errors tell of values, or of the whole row, then."""


class Eavesdropper:
    """Hears every command that Redis is sent."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.heard: list[str] = []

    @classmethod
    @contextmanager
    def listening(cls, url: str) -> Iterator[Self]:
        """Listen meanwhile, to an empty Redis at first."""
        with redis.Redis.from_url(url, socket_timeout=None) as client, client.monitor() as monitor:
            client.flushall()
            eavesdropper = cls(client)
            thread = threading.Thread(target=eavesdropper._listen, args=(monitor,))
            thread.start()
            try:
                yield eavesdropper
            finally:
                client.echo(_OVER)
                thread.join()

    def _listen(self, monitor: Any) -> None:
        for command in monitor.listen():
            self.heard.append(command["command"])
            if _OVER in command["command"]:
                return

    def kept(self) -> list[str]:
        """Return every key with its value, as Redis dumps it."""
        return [f"{key!r} {self._client.dump(key)!r}" for key in self._client.scan_iter()]


@asynccontextmanager
async def client_of(port: int) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client


@pytest.mark.timeout(300)
async def test_nothing_of_a_tenant_is_told_to_anybody_else(
    database_server: DatabaseServer, rustok: PlatformUnderTest, redis_url: str, tmp_path: Path
) -> None:
    """Whatever it sends, to whichever route, and whatever its hooks do."""
    stage = Stage(
        database_server, redis_url, tmp_path, quick=True, catalogue=None, pinned_minutes=0, overload_requests=0
    )
    operator = await rustok.create_tenant("operator")
    ports = [free_port() for _ in range(3)]
    async with client_of(ports[0]) as client:
        api = ApiUnderTest(rustok, client, operator)
        tenants = [await furnished(api) for _ in range(2)]
        async with administrator(rustok.database) as admin:
            await admin.execute(_DEFECTS)
        with (
            Eavesdropper.listening(redis_url) as eavesdropper,
            Processes(stage, Shop(rustok.database, operator, "")) as processes,
        ):
            processes.start_api(ports[0], **DEBUG)
            processes.start("-m", "workers.relay", RUSTOK_RELAY_METRICS_PORT=str(ports[1]), **DEBUG)
            processes.start("-m", "workers.main", RUSTOK_WORKER_METRICS_PORT=str(ports[2]), **DEBUG)
            answers = [
                [answer async for answer in everything_sent(owner, things)]
                + [answer async for answer in mistakes(owner)]
                for owner, things in tenants
            ]
            await eventually_async(lambda: is_done(api), within_s=120)
            for (owner, things), (_, others), told in zip(tenants, reversed(tenants), answers, strict=True):
                told += [await owner.send(operation, things) for operation in OPERATIONS]
                told += [await owner.send(operation, within_reach(things, others)) for operation in OPERATIONS]
            in_redis = [*eavesdropper.heard, *eavesdropper.kept()]
            metrics = "".join([(await client.get(f"http://127.0.0.1:{port}/metrics")).text for port in ports])

    logs = (tmp_path / f"{rustok.database.name}.log").read_text().splitlines()
    words = [owner.mark for owner, _ in tenants]
    told_to = [[answer.text + str(answer.headers) for answer in told] for told in answers]
    assert [holding(told, [word]) for told, word in zip(told_to, reversed(words), strict=True)] == [[], []]
    assert holding(logs, words) == []
    assert holding(in_redis, words) == []
    assert holding(metrics.splitlines(), words) == []
    assert all(holding(told, [word]) for told, word in zip(told_to, words, strict=True))  # it was there to be told
    assert all(holding(logs, [event]) for event in EVENTS)
    assert holding(in_redis, ["XADD"])
    assert all(holding(metrics.splitlines(), [name]) for name in ("rustok_http", "rustok_outbox", "rustok_job"))


async def furnished(api: ApiUnderTest) -> tuple[Owner, Possessions]:
    """Return a tenant with a word of its own, and what it has: nothing has a name without it."""
    word = f"canary-{uuid4().hex}"
    names = (f"{word}-{number}" for number in count())
    owner = await Owner.create(api, lambda: next(names), word)
    return owner, await owner.possess()


async def everything_sent(owner: Owner, things: Possessions) -> AsyncIterator[httpx2.Response]:
    """Have hooks run, and send the word at every place of every route that takes a text."""
    for number, does in enumerate(HOOKS):
        script = await owner.run(
            "alloy.scripts.create",
            name=f"{owner.mark}-hook-{number}",
            triggers=[{"kind": "api"}],
            grants=["commerce.products.read", "commerce.products.write"],
        )
        code = f"async def handle(event, ctx):\n    {does.format(word=owner.mark)}\n"
        await owner.run("alloy.versions.push", script_id=str(script.id), code=code, activate=True)
        await eventually_async(partial(is_active, owner, script.id))
        yield await owner.api.client.post(
            f"/api/v1/alloy/scripts/{script.id}/runs", json={"input": {"word": owner.mark}}, headers=owner.headers
        )
    numbers = count()
    for operation in OPERATIONS:
        for where, place in places(operation):
            answer = await send_text(owner, operation, things, (where, place, owner.mark), next(numbers))
            things = things.seen_in(operation, answer)
            yield answer


async def mistakes(owner: Owner) -> AsyncIterator[httpx2.Response]:
    """Send the word where it meets a defect, and where it is refused before there is an operation."""
    client, word = owner.api.client, owner.mark
    for defect in (
        {"vendor": f"{word} crash"},
        {"status": "active", "translations": {"en": {"title": f"{word} poison"}}},
    ):
        yield await client.post(PRODUCTS, json=a_product(**defect), headers=owner.headers)
    for path in (f"/{word}", f"{PRODUCTS}/{word}", f"{PRODUCTS}?{word}={word}", f"{PRODUCTS}?after={word}"):
        yield await client.get(path, headers=owner.headers)
    for body in (f'{{"{word}": "{word}"}}', f'{{"{word}', f'["{word}"]', f'{{"a": "{word}", "a": "{word}"}}'):
        yield await client.post(PRODUCTS, content=body, headers={**owner.headers, "Content-Type": "application/json"})
    yield await client.post(PRODUCTS, content=word, headers={**owner.headers, "Content-Type": f"text/{word}"})
    for headers in ({"Authorization": f"Bearer {word}"}, {"X-Tenant": word}, {"If-Match": word}, {"Prefer": word}):
        yield await client.get(PRODUCTS, headers={**owner.headers, **headers})


def within_reach(own: Possessions, others: Possessions) -> Possessions:
    """Return what the other tenant has, as far as it has no words: whoever sends them knows them."""
    ids = {name: value for name, value in others.names.items() if "canary" not in value}
    return replace(others, names={**own.names, **ids})


async def is_active(owner: Owner, script_id: Any) -> bool:
    script = await owner.api.rustok.query("alloy.scripts.get", owner.tenant_id, script_id=str(script_id))
    return bool(script.status == "active")


async def is_done(api: ApiUnderTest) -> bool:
    """Tell whether relay and worker have nothing to do."""
    async with administrator(api.database) as admin:
        return bool(await admin.fetchval(_IS_DONE))


def holding(lines: Iterable[str], words: Iterable[str]) -> list[str]:
    return [line for line in lines if any(word in line for word in words)]
