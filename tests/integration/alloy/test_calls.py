"""HTTP effects: sent after the run is committed, at least once, with the same id, to named hosts only."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.transaction import run_alone
from rustok.jobs import Leased
from rustok.jobs.store import PostgresJobStore
from tests.integration.alloy.workshop import Workshop

_CALLS = text(
    "SELECT state, attempts, error, CAST(extract(epoch FROM due_at - now()) AS double precision) AS due_in_s"
    "  FROM jobs WHERE kind = 'alloy.call'"
)
_LAST_WEEK = text("UPDATE jobs SET created_at = created_at - interval '7 days' WHERE attempts = 0")


@dataclass
class Receiver:
    """A server that answers with the given statuses in turn, quotes the credential, and remembers what it was told."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    heard: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.heard.append((head[0], headers, orjson.loads(body) if body else None))
        status = self.statuses.pop(0) if self.statuses else 200
        told = headers.get("authorization", "").encode()
        answer = f"HTTP/1.1 {status} X\r\nContent-Length: {len(told)}\r\nConnection: close\r\n\r\n"
        writer.write(answer.encode() + told)
        await writer.drain()
        writer.close()


class GrantedBefore(PostgresJobStore):
    """Something happens between the lease of a job and its beginning."""

    def __init__(self, engine: AsyncEngine, happening: Callable[[], Awaitable[object]]) -> None:
        super().__init__(engine)
        self._happening = happening

    async def grant(self, ids: Sequence[UUID], lease_s: float) -> Sequence[Leased]:
        granted = await super().grant(ids, lease_s)
        await self._happening()
        return granted


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver


async def test_a_request_is_sent_with_its_secret_and_its_id(workshop: Workshop, receiver: Receiver) -> None:
    """The secret is put in when the request is sent: it is in no effect, log or job."""
    await workshop.run("alloy.secrets.set", name="token", value="Bearer hunter2")
    script = await workshop.script(
        f"ctx.http.post('{receiver.host}/hook?a=1', json={{'n': 1}}, secret_headers={{'Authorization': 'token'}})",
        on=None,
        hosts=[receiver.host],
        secrets=["token"],
    )

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    [(line, headers, body)] = receiver.heard
    assert (line, body) == ("POST /hook?a=1 HTTP/1.1", {"n": 1})
    assert (headers["authorization"], headers["content-type"]) == ("Bearer hunter2", "application/json")
    [attempt] = await workshop.attempts(script)
    assert "hunter2" not in attempt.model_dump_json()


async def test_a_call_whose_tenant_is_switched_off_is_made_when_it_is_on_again(
    workshop: Workshop, receiver: Receiver
) -> None:
    """Its worker has leased it when that happens: it does not get the secret, and the call is no dead letter."""
    await workshop.run("alloy.secrets.set", name="token", value="Bearer hunter2")
    script = await workshop.script(
        f"ctx.http.post('{receiver.host}/', secret_headers={{'Authorization': 'token'}})",
        on=None,
        hosts=[receiver.host],
        secrets=["token"],
    )
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work_on(await workshop.ready())
    switch_off = partial(workshop.run, "tenants.tenants.disable")
    workshop.runner._store = GrantedBefore(workshop.platform.system_engine, switch_off)

    await workshop.work_on(await workshop.ready())
    heard_while_off = list(receiver.heard)
    await workshop.run("tenants.tenants.enable")
    workshop.runner = workshop.fresh_runner()
    await workshop.hurry()
    await workshop.work()

    assert (heard_while_off, len(receiver.heard)) == ([], 1)
    assert await workshop.dead("alloy.call") == []


async def test_a_request_that_failed_is_sent_again_with_the_same_id(workshop: Workshop, receiver: Receiver) -> None:
    """At least once: the receiver knows a repetition by the id."""
    receiver.statuses = [500, 429]
    script = await workshop.script(f"ctx.http.post('{receiver.host}/')", on=None, hosts=[receiver.host])

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work(retries=True)

    assert len(receiver.heard) == 3
    assert len({headers["rustok-delivery"] for _, headers, _ in receiver.heard}) == 1


async def test_a_refused_request_is_a_dead_letter(workshop: Workshop, receiver: Receiver) -> None:
    """A 404 will be one again."""
    receiver.statuses = [404]
    script = await workshop.script(f"ctx.http.post('{receiver.host}/')", on=None, hosts=[receiver.host])

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work(retries=True)

    assert len(receiver.heard) == 1
    [letter] = await workshop.dead("alloy.call")
    assert (letter.error["code"], letter.error["status"]) == ("call_refused", 404)


async def test_what_was_sent_can_be_followed_and_driven_again(workshop: Workshop, receiver: Receiver) -> None:
    """The run tells the operation of each request; what was given up is sent again when somebody asks for it."""
    receiver.statuses = [404]
    script = await workshop.script(f"ctx.http.post('{receiver.host}/')", on=None, hosts=[receiver.host])
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()
    [attempt] = await workshop.attempts(script)
    operation_id = attempt.effects[0]["operation_id"]
    failed = await workshop.query("jobs.operations.get", operation_id=operation_id)

    redriven = await workshop.run("alloy.runs.redrive_all", script_id=str(script.id))
    await workshop.work()

    sent = await workshop.query("jobs.operations.get", operation_id=operation_id)
    assert (failed.status, redriven.count) == ("failed", 1)
    assert (sent.status, sent.result["status"]) == ("done", 200)


async def test_a_secret_that_the_server_quotes_is_not_kept(workshop: Workshop, receiver: Receiver) -> None:
    """Who may see operations may not see secrets."""
    receiver.statuses = [401]
    await workshop.run("alloy.secrets.set", name="token", value="Bearer hunter2")
    script = await workshop.script(
        f"ctx.http.post('{receiver.host}/', secret_headers={{'Authorization': 'token'}})",
        on=None,
        hosts=[receiver.host],
        secrets=["token"],
    )

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    [letter] = await workshop.dead("alloy.call")
    assert letter.error["body"] == "***"


@pytest.mark.under_fire
async def test_nothing_is_sent_to_a_host_that_the_script_does_not_name(workshop: Workshop, receiver: Receiver) -> None:
    """The allow-list is the script's."""
    script = await workshop.script(f"ctx.http.post('{receiver.host}/')", on=None, hosts=["example.com"])

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work(retries=True)

    assert receiver.heard == []
    [letter] = await workshop.dead("alloy.call")
    assert letter.error["code"] == "host_not_allowed"


@pytest.mark.under_fire
async def test_nothing_is_sent_by_a_run_that_failed(workshop: Workshop, receiver: Receiver) -> None:
    """The request is an effect as any other: all or none."""
    body = f"ctx.http.post('{receiver.host}/')\nctx.command('commerce.nothing.here')"
    script = await workshop.script(body, on=None, hosts=[receiver.host])

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    assert receiver.heard == []


@pytest.mark.under_fire
@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("ctx.http.request('TRACE', 'https://example.com')", "The method is one of"),
        ("ctx.http.post('https://example.com', headers=[1])", "headers maps texts to texts"),
        ("ctx.http.post('https://example.com', secret_headers={'A': 'b'})", "does not name b among its secrets"),
        ("for _ in range(11): ctx.http.post('https://example.com')", "at most 10 requests"),
    ],
)
async def test_a_request_that_cannot_be_is_told_with_the_run(workshop: Workshop, call: str, told: str) -> None:
    """Not later, by a job that the author does not see."""
    script = await workshop.script(call, on=None, hosts=["example.com"])

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    [attempt] = await workshop.attempts(script)
    assert attempt.error is not None
    assert told in attempt.error["message"]


async def test_a_server_that_fails_again_and_again_is_left_alone(workshop: Workshop, receiver: Receiver) -> None:
    """Further calls are put off with the reason, and cost no attempt; it is tried again after a while."""
    receiver.statuses = [500] * 5
    script = await workshop.script(f"ctx.http.post('{receiver.host}/')", on=None, hosts=[receiver.host])
    for _ in range(5):
        await workshop.run("alloy.runs.start", script_id=str(script.id))
        await workshop.work()

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    assert len(receiver.heard) == 5
    [put_off] = [call for call in await run_alone(workshop.platform.system_engine, _CALLS) if not call.attempts]
    assert (put_off.state, put_off.error["code"]) == ("ready", "circuit_open")
    assert 20 < put_off.due_in_s <= 60


async def test_a_call_that_was_put_off_for_a_day_uses_up_its_attempts(workshop: Workshop, receiver: Receiver) -> None:
    """A server that never comes back must not keep calls for ever."""
    receiver.statuses = [500] * 5
    script = await workshop.script(f"ctx.http.post('{receiver.host}/')", on=None, hosts=[receiver.host])
    for _ in range(5):
        await workshop.run("alloy.runs.start", script_id=str(script.id))
        await workshop.work()
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()
    await run_alone(workshop.platform.system_engine, _LAST_WEEK)

    await workshop.hurry()
    await workshop.work()

    assert len(receiver.heard) == 5
    assert {call.attempts for call in await run_alone(workshop.platform.system_engine, _CALLS)} == {1}
