"""Every route in the hands of another tenant: what is not its own is as what never was, and stays as it is."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx2
import pytest
from starlette.routing import Route

from api.app import build_app
from api.routes import method_and_path
from rustok.catalog import MODULES
from rustok.db.transaction import begin
from rustok.jobs import NewJob, enqueue, fail
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.ids import uuid7
from rustok.kernel.module import Command, Input, Query, QueryInput
from rustok.kernel.registry import build_registry, placeholders
from rustok.modules.alloy import RUN
from rustok.testing import Database, DatabaseServer, PlatformUnderTest
from tests.integration.api.support import ApiUnderTest, administrator, assert_problem, bearer, settings_for
from tests.integration.db.tenant_tables import tenant_tables

REGISTRY = build_registry(MODULES)
MARK = "Xanthippe"
"""Stands in all that the first tenant has, and in no request of the other's."""
PUBLIC = {"/api/openapi.json", "/docs/errors", "/health/live", "/health/ready", "/health/modules", "/metrics"}
"""Routes that ask for no credential, and tell nothing of a tenant."""


_ATTEMPT = """
    INSERT INTO script_attempts (tenant_id, id, run_id, attempt, script_id, event_type, event_id, depth, outcome, error,
                                 effects, logs, usage, correlation_id, started_at, finished_at)
    VALUES ($1, gen_random_uuid(), $2, 1, $3, 'alloy.api', gen_random_uuid(), 1, 'raised',
            jsonb_build_object('message', $4::text), '[]', '[]', '{}', gen_random_uuid(), now(), now())
"""


class Operation(NamedTuple):
    name: str
    method: str
    path: str
    input: type[Input | QueryInput]
    checks_version: bool


def operations() -> list[Operation]:
    declared: list[Command | Query] = [*REGISTRY.commands.values(), *REGISTRY.queries.values()]
    found = [
        Operation(o.name, *method_and_path(REGISTRY, o), o.input, isinstance(o, Command) and o.checks_version)
        for o in declared
        if o.route is not None
    ]
    watched = REGISTRY.queries["jobs.operations.get"].input
    return [
        *found,
        Operation("events of an operation", "GET", "/api/v1/operations/{operation_id}/events", watched, False),
    ]


OPERATIONS = operations()
OF_SOMETHING = [operation for operation in OPERATIONS if placeholders(operation.path)]
LISTS = [operation for operation in OPERATIONS if "after" in operation.input.model_fields]


@dataclass(frozen=True, slots=True)
class Possessions:
    """What the fields of a path, or of a body, may name; and the version of what each id names."""

    names: Mapping[str, str]
    versions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TwoTenants:
    """The API, with a client of a tenant that has something and one of a tenant that wants it."""

    api: ApiUnderTest
    tenant_id: UUID
    own: Mapping[str, str]
    """The headers with the credential of the first."""
    other: Mapping[str, str]
    """Those with the other's."""

    async def run(self, command: str, **fields: Any) -> Any:
        return await self.api.rustok.run(command, self.tenant_id, **fields)

    async def send(
        self, operation: Operation, names: Mapping[str, str], versions: Mapping[str, int], headers: Mapping[str, str]
    ) -> httpx2.Response:
        """Send *operation* as its example has it, with *names* in the place of the example's."""
        in_path = placeholders(operation.path)
        fields = {name: names.get(name, value) for name, value in operation.input.example.items()}
        rest = {
            name: int(value) if name == "number" else value for name, value in fields.items() if name not in in_path
        }
        if operation.checks_version:
            headers = {"If-Match": f'"{versions.get(in_path[0], 1)}"', **headers}
        is_read = operation.method == "GET"
        return await self.api.client.request(
            operation.method,
            operation.path.format_map(names),
            params=rest if is_read else None,
            json=rest if rest and not is_read else None,
            headers=headers,
        )

    async def what_there_is(self) -> Mapping[str, str]:
        """Return all rows of the first tenant, by table."""
        async with administrator(self.api.database) as admin:
            return {
                table: await admin.fetchval(
                    f"SELECT string_agg(t::text, chr(10) ORDER BY t::text) FROM {table} AS t WHERE tenant_id = $1",
                    self.tenant_id,
                )
                for table in await tenant_tables(admin)
            }

    async def possess(self) -> Possessions:
        """Give the first tenant one more of everything."""
        title = {"title": f"{MARK} {uuid4()}"}
        texts = {"en": title, "de": title}
        product = await self.run(
            "commerce.products.create",
            translations=texts,
            vendor=MARK,
            options=[{"name": "Size", "choices": ["M", "L"]}],
            variants=[{"option1": "M", "prices": {"EUR": {"amount": 19900}}}],
        )
        node = await self.run("content.nodes.create", kind="faq", translations=texts, author=MARK)
        post = await self.run("blog.posts.create", translations=texts, author=MARK)
        slug = f"faq-{uuid4().hex}"
        page = await self.run("content.nodes.create", kind="faq", translations={"en": {**title, "slug": slug}})
        await self.run("content.nodes.publish", node_id=str(page.id))
        await self.run("commerce.products.create", status="active", translations={"en": {"title": f"{MARK} {slug}"}})
        script = await self._script()
        run_id = str(await self._dead_run(script.id))
        for key in ("a-key", "b-key"):
            await self.run("alloy.kv.set", script_id=str(script.id), key=key, value=MARK)
        secret = f"secret-{uuid4().hex}"
        await self.run("alloy.secrets.set", name=secret, value=MARK * 2)
        await self.api.rustok.settle()
        return Possessions(
            {
                "product_id": str(product.id),
                "variant_id": str(product.variants[0].id),
                "currency": "EUR",
                "node_id": str(node.id),
                "post_id": str(post.id),
                "locale": "en",
                "kind": "faq",
                "slug": slug,
                "script_id": str(script.id),
                "number": "2",
                "key": "a-key",
                "name": secret,
                "operation_id": run_id,
                "run_id": run_id,
            },
            {
                "product_id": product.version,
                "node_id": node.version,
                "post_id": post.version,
                "script_id": script.version,
            },
        )

    async def _script(self) -> Any:
        """Return an active script with a second version."""
        name = f"script-{uuid4().hex}"
        script = await self.run("alloy.scripts.create", name=name, description=MARK, triggers=[{"kind": "api"}])
        code = f"async def handle(event, ctx):\n    ctx.log('{MARK}')\n"
        for _ in range(2):
            await self.run("alloy.versions.push", script_id=str(script.id), code=code, message=MARK)
        async with administrator(self.api.database) as admin:
            await admin.execute("UPDATE script_versions SET state = 'ready'")
        return await self.run("alloy.scripts.activate", script_id=str(script.id), number=1)

    async def _dead_run(self, script_id: UUID) -> UUID:
        event = {"type": "alloy.api", "payload": {"name": MARK}}
        job = NewJob(kind=RUN, args={"script_id": str(script_id), "event": event, "depth": 1})
        async with self.api.rustok.platform.units.begin(self.api.rustok.context(self.tenant_id)) as uow:
            await enqueue(uow, [job])
        [leased] = await PostgresJobStore(self.api.rustok.system_engine).grant([job.id], 6.0)
        async with begin(self.api.rustok.system_engine, "BEGIN") as (transaction, _):
            await fail(transaction, leased, {"code": "raised", "message": MARK}, None)
        async with administrator(self.api.database) as admin:
            await admin.executemany(_ATTEMPT, [(self.tenant_id, job.id, script_id, MARK)] * 2)
        return job.id


@pytest.fixture(scope="module")
async def api(database_server: DatabaseServer) -> AsyncIterator[ApiUnderTest]:
    async with (
        database_server.throw_away() as database,
        PlatformUnderTest.open(MODULES, database) as rustok,
        ApiUnderTest.open(rustok) as api,
    ):
        yield api


@pytest.fixture
async def tenants(api: ApiUnderTest) -> TwoTenants:
    first, other = [await api.rustok.create_tenant(f"tenant-{uuid4().hex}") for _ in range(2)]
    own, others = [bearer(await api.new_key(tenant_id=tenant_id)) for tenant_id in (first, other)]
    return TwoTenants(api, first, own, others)


def test_every_route_is_an_operation_or_public(database: Database) -> None:
    """A new one is in the tests below, or in the list of those that are for everybody."""
    app = build_app(settings_for(database))
    paths = {route.path for route in app.routes if isinstance(route, Route)}

    assert paths == PUBLIC | {operation.path for operation in OPERATIONS}


@pytest.mark.parametrize("operation", OF_SOMETHING, ids=lambda operation: operation.name)
async def test_what_is_anothers_is_as_what_never_was(tenants: TwoTenants, operation: Operation) -> None:
    """The same answer, and no change; the tenant itself is answered 2xx."""
    possessions = await tenants.possess()
    names = possessions.names
    nobodys = {
        name: value if name in ("locale", "kind", "currency") else _none_like(value) for name, value in names.items()
    }
    before = await tenants.what_there_is()

    anothers = await tenants.send(operation, names, possessions.versions, tenants.other)
    nothing = await tenants.send(operation, nobodys, possessions.versions, tenants.other)

    assert await tenants.what_there_is() == before
    assert _told(anothers) == _told(nothing)
    assert MARK not in anothers.text
    own = await tenants.send(operation, names, possessions.versions, tenants.own)
    assert own.is_success, own.text


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_no_route_tells_of_another_tenant(tenants: TwoTenants, operation: Operation) -> None:
    """Nor does one name it with a credential of its own, or go without one."""
    possessions = await tenants.possess()
    before = await tenants.what_there_is()

    answered = await tenants.send(operation, possessions.names, possessions.versions, tenants.other)
    misnamed = await tenants.send(
        operation, possessions.names, {}, {**tenants.other, "X-Tenant": str(tenants.tenant_id)}
    )
    nobody = await tenants.send(operation, possessions.names, {}, {"Authorization": ""})

    assert MARK not in answered.text
    assert_problem(misnamed, 403, "tenant_mismatch")
    assert_problem(nobody, 401, "unauthenticated")
    assert await tenants.what_there_is() == before


@pytest.mark.parametrize("operation", LISTS, ids=lambda operation: operation.name)
async def test_a_cursor_is_of_no_use_to_another_tenant(tenants: TwoTenants, operation: Operation) -> None:
    """It is as one that somebody has made up."""
    possessions = [await tenants.possess() for _ in range(2)]
    path = operation.path.format_map(possessions[0].names)
    wanted = {name: value for name, value in operation.input.example.items() if name == "locale"}
    page = await tenants.api.client.get(path, params={**wanted, "limit": 1}, headers=tenants.own)
    cursor = page.json()["page"]["next"]

    assert cursor, "a list of one page has no cursor"
    used, invented = [
        await tenants.api.client.get(path, params={**wanted, "after": after}, headers=tenants.other)
        for after in (cursor, "invented")
    ]

    assert _told(used) == _told(invented)
    assert MARK not in used.text


async def test_nothing_is_put_below_anothers_node(tenants: TwoTenants) -> None:
    """Neither a new node nor one that moves; whether it exists is not told."""
    theirs = (await tenants.possess()).names["node_id"]
    create = Operation("", "POST", "/api/v1/content/nodes", REGISTRY.commands["content.nodes.create"].input, False)

    answers = []
    for parent in (theirs, str(uuid7())):
        body = {**create.input.example, "parent_id": parent}
        answers.append(await tenants.api.client.post(create.path, json=body, headers=tenants.other))

    assert answers[0].status_code >= 400
    assert _told(answers[0]) == _told(answers[1])


def _none_like(value: str) -> str:
    """Return what names nothing, of the form of *value*."""
    if value.isdecimal():
        return "77"
    try:
        UUID(value)
    except ValueError:
        return f"none-{uuid4().hex}"
    return str(uuid7())


def _told(answer: httpx2.Response) -> Any:
    """Return what a caller learns from *answer*."""
    if answer.is_success:
        return answer.status_code
    problem = answer.json()
    return answer.status_code, problem["code"], problem["detail"], problem["errors"]
