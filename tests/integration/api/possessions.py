"""A tenant that has one of everything, and every operation of the API as a request about it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx2

from api.batches import batch_path
from api.routes import method_and_path
from rustok.catalog import MODULES
from rustok.db.transaction import begin
from rustok.jobs import NewJob, enqueue, fail
from rustok.jobs.kinds import DISCARD, REDRIVE
from rustok.jobs.runner import JobRunner, RunnerConfig
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.module import Command, Input, Query, QueryInput
from rustok.kernel.registry import build_registry, placeholders
from rustok.modules.alloy import RUN
from rustok.runtime import SystemClock
from tests.integration.api.support import ApiUnderTest, administrator, bearer
from tests.integration.db.tenant_tables import tenant_tables
from workers.dead_letters import Discarding, Redriving

REGISTRY = build_registry(MODULES)
MARK = "Xanthippe"
"""Stands in all that such a tenant has."""

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


@dataclass(frozen=True, slots=True)
class Possessions:
    """What the fields of a path, or of a body, may name; and the version of what each id names."""

    names: Mapping[str, str]
    versions: Mapping[str, int]

    def seen_in(self, operation: Operation, answer: httpx2.Response) -> "Possessions":
        """Return the same, with the version that *answer* states of what *operation* is about."""
        in_path = placeholders(operation.path)
        if not answer.is_success or "ETag" not in answer.headers or not in_path or in_path[0] not in self.versions:
            return self
        return replace(self, versions={**self.versions, in_path[0]: int(answer.headers["ETag"].strip('"'))})


def request_of(operation: Operation, about: Possessions) -> dict[str, Any]:
    """Return the example of *operation*, about these possessions, as httpx takes a request."""
    in_path = placeholders(operation.path)
    fields = {name: about.names.get(name, value) for name, value in operation.input.example.items()}
    rest = {name: int(value) if name == "number" else value for name, value in fields.items() if name not in in_path}
    is_read = operation.method == "GET"
    version = about.versions.get(in_path[0], 1) if operation.checks_version else None
    return {
        "method": operation.method,
        "url": operation.path.format_map(about.names),
        "params": rest if is_read else {},
        "json": rest if rest and not is_read else None,
        "headers": {} if version is None else {"If-Match": f'"{version}"'},
    }


def _any_name() -> str:
    return uuid4().hex


@dataclass(frozen=True, slots=True)
class Owner:
    """A tenant; `headers` has its credential, `new_name` what its things are called; `mark` is in all that it has."""

    api: ApiUnderTest
    tenant_id: UUID
    headers: Mapping[str, str]
    new_name: Callable[[], str] = _any_name
    mark: str = MARK

    @classmethod
    async def create(cls, api: ApiUnderTest, new_name: Callable[[], str] = _any_name, mark: str = MARK) -> "Owner":
        tenant_id = await api.rustok.create_tenant(f"tenant-{uuid4().hex}", name=mark)
        token = await api.new_key(tenant_id=tenant_id)
        return cls(api, tenant_id, bearer(token), new_name, mark)

    async def run(self, command: str, **fields: Any) -> Any:
        return await self.api.rustok.run(command, self.tenant_id, **fields)

    async def send(
        self, operation: Operation, about: "Possessions", headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        """Send the example of *operation*, with this tenant's credential, about something, whoever has it."""
        request = request_of(operation, about)
        return await self.api.client.request(
            **request | {"headers": request["headers"] | self.headers | (headers or {})}
        )

    async def send_in_batch(self, operation: Operation, about: "Possessions", mode: str) -> httpx2.Response:
        """Send what `send` does as the one item of a batch."""
        in_path = placeholders(operation.path)
        fields = {name: about.names.get(name, value) for name, value in operation.input.example.items()}
        item: dict[str, Any] = {
            "command": operation.name,
            "input": {name: int(value) if name == "number" else value for name, value in fields.items()},
        }
        if operation.checks_version:
            item["version"] = about.versions.get(in_path[0], 1)
        path = batch_path(REGISTRY.module_of(operation.name))
        return await self.api.client.post(path, json={"mode": mode, "items": [item]}, headers=dict(self.headers))

    async def what_there_is(self) -> Mapping[str, str]:
        """Return all rows of this tenant, by table, once workers have done what they were asked."""
        await self.work()
        async with administrator(self.api.database) as admin:
            rows = {
                table: await admin.fetchval(
                    f"SELECT string_agg(t::text, chr(10) ORDER BY t::text) FROM {table} AS t WHERE tenant_id = $1",
                    self.tenant_id,
                )
                for table in await tenant_tables(admin)
            }
            tenant = await admin.fetchval("SELECT t::text FROM tenants AS t WHERE id = $1", self.tenant_id)
            return {**rows, "tenants": tenant}

    async def work(self) -> None:
        """Do the operations that anybody has asked for."""
        engine = self.api.rustok.system_engine
        handlers = {REDRIVE.name: Redriving(engine).__call__, DISCARD.name: Discarding(engine).__call__}
        runner = JobRunner(RunnerConfig(), PostgresJobStore(engine), handlers, SystemClock())
        while await runner.work_on_ready(REDRIVE.queue, 100):
            pass

    async def possess(self) -> Possessions:
        """Give this tenant one more of everything."""
        title = {"title": f"{self.mark} {self.new_name()}"}
        texts = {"en": title, "de": title}
        product = await self.run(
            "commerce.products.create",
            translations=texts,
            vendor=self.mark,
            options=[{"name": "Size", "choices": ["M", "L"]}],
            variants=[{"option1": "M", "prices": {"EUR": {"amount": 19900}}}],
        )
        node = await self.run("content.nodes.create", kind="faq", translations=texts, author=self.mark)
        post = await self.run("blog.posts.create", translations=texts, author=self.mark)
        slug = f"faq-{self.new_name()}"
        page = await self.run("content.nodes.create", kind="faq", translations={"en": {**title, "slug": slug}})
        await self.run("content.nodes.publish", node_id=str(page.id))
        await self.run(
            "commerce.products.create", status="active", translations={"en": {"title": f"{self.mark} {slug}"}}
        )
        script = await self._script()
        run_id = str(await self._dead_run(script.id))
        for key in ("a-key", "b-key"):
            await self.run("alloy.kv.set", script_id=str(script.id), key=key, value=self.mark)
        secret = f"secret-{self.new_name()}"
        await self.run("alloy.secrets.set", name=secret, value=self.mark * 2)
        user = await self.run("access.users.create", email=f"{self.new_name()}@example.com", name=self.mark)
        principal = await self.run("access.service_principals.create", name=self.mark)
        role = await self.run("access.roles.create", name=f"role-{self.new_name()}", summary=self.mark)
        key = await self.run("access.api_keys.create", name=self.mark, principal_id=str(principal.id))
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
                "module": "blog",
                "user_id": str(user.id),
                "principal_id": str(principal.id),
                "role": role.name,
                "key_id": key.key_id,
                "operation_id": run_id,
                "run_id": run_id,
                "q": self.mark,
            },
            {
                "product_id": product.version,
                "node_id": node.version,
                "post_id": post.version,
                "script_id": script.version,
                "user_id": user.version,
                "principal_id": principal.version,
                "role": role.version,
            },
        )

    async def _script(self) -> Any:
        """Return an active script with a second version."""
        name = f"script-{self.new_name()}"
        script = await self.run("alloy.scripts.create", name=name, description=self.mark, triggers=[{"kind": "api"}])
        code = f"async def handle(event, ctx):\n    ctx.log('{self.mark}')\n"
        for _ in range(2):
            await self.run("alloy.versions.push", script_id=str(script.id), code=code, message=self.mark)
        async with administrator(self.api.database) as admin:
            await admin.execute("UPDATE script_versions SET state = 'ready' WHERE tenant_id = $1", self.tenant_id)
        return await self.run("alloy.scripts.activate", script_id=str(script.id), number=1)

    async def _dead_run(self, script_id: UUID) -> UUID:
        event = {"type": "alloy.api", "payload": {"name": self.mark}}
        job = NewJob(kind=RUN, args={"script_id": str(script_id), "event": event, "depth": 1})
        async with self.api.rustok.platform.units.begin(self.api.rustok.context(self.tenant_id)) as uow:
            await enqueue(uow, [job])
        [leased] = await PostgresJobStore(self.api.rustok.system_engine).grant([job.id], 6.0)
        async with begin(self.api.rustok.system_engine, "BEGIN") as (transaction, _):
            await fail(transaction, leased, {"code": "raised", "message": self.mark}, None)
        async with administrator(self.api.database) as admin:
            await admin.executemany(_ATTEMPT, [(self.tenant_id, job.id, script_id, self.mark)] * 2)
        return job.id
