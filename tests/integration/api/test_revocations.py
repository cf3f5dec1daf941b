"""Rights that have ended are refused at the next request, as a problem, whatever the request is.

Also where it would have been answered without a look into the database.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import asyncpg
import pytest

from api.consistency import TOKEN
from rustok.catalog import MODULES
from rustok.db.engine import open_engine
from rustok.modules.tenants import Erasure
from rustok.runtime import SystemClock
from rustok.testing import DatabaseServer, PlatformUnderTest
from tests.connections import connections_chosen
from tests.integration.api.graphql.support import PATH, fault, post
from tests.integration.api.house import EMAIL, PASSWORD, SESSIONS, USERS, House
from tests.integration.api.possessions import Owner
from tests.integration.api.support import PRODUCTS, UNKNOWN_ID, ApiUnderTest, a_product, assert_problem, bearer
from tests.unit.modules_by_hand import Lamp, LightLamp, a_command, lamps

SEARCH = "/api/v1/search/products?locale=en"
KEYS, SERVICES = "/api/v1/access/api-keys", "/api/v1/access/service-principals"

_CREATE = 'createNode(input: {{kind: "faq", translations: [{{locale: "en", title: "{}"}}]}}) {{ id }}'.format
_UNACCEPTABLE = _CREATE("x" * 300)
DOCUMENTS = {
    "introspection": {"query": "{ __schema { mutationType { fields { name description } } } }"},
    "its own name": {"query": "{ __typename }"},
    "an unknown field": {"query": "{ nope }"},
    "no GraphQL": {"query": "{"},
    "an unknown operation": {"query": "query a { __typename }", "operationName": "b"},
    "variables that do not fit": {"query": "query ($n: Int!) { products(first: $n) { edges { cursor } } }"},
    "no request": {"quarry": "{ __typename }"},
    "a query": {"query": '{ searchProducts(locale: "en") { edges { cursor } } }'},
    "many queries": {
        "query": '{ a: searchProducts(locale: "en") { edges { cursor } } b: searchProducts(locale: "de")'
        " { edges { cursor } } }"
    },
    "a query of what is not permitted": {"query": "{ products { edges { cursor } } }"},
    "an argument that does not fit": {"query": '{ searchProducts(locale: "?") { edges { cursor } } }'},
    "a mutation": {"query": f"mutation {{ {_CREATE('Late')} }}"},
    "many mutations": {"query": f"mutation {{ a: {_UNACCEPTABLE} b: {_CREATE('Late')} c: {_CREATE('Later')} }}"},
}
REQUESTS: dict[str, dict[str, Any]] = {
    "an unknown parameter": {"method": "GET", "url": f"{SEARCH}&zz=1"},
    "a parameter that does not fit": {"method": "GET", "url": f"{SEARCH}&limit=many"},
    "a body that is no JSON": {"content": "{", "headers": {"Content-Type": "application/json"}},
    "a body of another type": {"content": "{", "headers": {"Content-Type": "text/plain"}},
    "a body that does not fit": {"json": {"status": "x"}},
    "a key that is none": {"json": a_product(), "headers": {"Idempotency-Key": ""}},
    "a version that is none": {"method": "PATCH", "url": f"{PRODUCTS}/x", "headers": {"If-Match": "1"}, "json": {}},
    "two versions": {
        "method": "PATCH",
        "url": f"{PRODUCTS}/x",
        "headers": {"If-Match": '"1"', "If-None-Match": "*"},
        "json": {},
    },
    "no version": {"method": "PATCH", "url": f"{PRODUCTS}/x", "json": {}},
    "a batch that does not fit": {"url": "/api/v1/commerce:batch", "json": {"mode": "both", "items": []}},
    "a batch whose items do not fit": {
        "url": "/api/v1/commerce:batch",
        "json": {"mode": "independent", "items": [{"command": "commerce.products.create", "input": {"status": "x"}}]},
    },
    "an atomic batch whose items do not fit": {
        "url": "/api/v1/commerce:batch",
        "json": {"mode": "atomic", "items": [{"command": "commerce.products.create", "input": {"status": "x"}}]},
    },
    "another tenant": {"method": "GET", "url": PRODUCTS, "headers": {"X-Tenant": "globex"}},
}


@pytest.fixture(scope="module")
async def house(database_server: DatabaseServer, platform_class: type[PlatformUnderTest]) -> AsyncIterator[House]:
    """One for all: each test has a tenant of its own."""
    async with (
        database_server.throw_away() as database,
        platform_class.open(MODULES, database) as rustok,
        House.open(rustok) as house,
    ):
        del house.api.client.headers["Authorization"]
        yield house


@dataclass
class Tenant:
    """A tenant of its own, with a user who may do everything."""

    house: House
    owner: Owner

    @classmethod
    async def create(cls, house: House) -> "Tenant":
        return cls(house, await Owner.create(house.api))

    async def send(self, method: str, path: str, seen: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
        """Do something as the owner; *seen*: what is changed by it."""
        versions = {} if seen is None else {"If-Match": f'"{seen["version"]}"'}
        client = self.house.api.client
        answer = await client.request(method, path, json=body or None, headers={**self.owner.headers, **versions})
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def with_user(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Return a user and the tokens of a session."""
        user = await self.send("POST", USERS, email=EMAIL, name="Ada", roles=["owner"])
        user = await self.send("PUT", f"{USERS}/{user['id']}/password", password=PASSWORD)
        body, name = {"email": EMAIL, "password": PASSWORD}, {"X-Tenant": str(self.owner.tenant_id)}
        answer = await self.house.post(SESSIONS, body, **name)
        assert answer.status_code == 201, answer.text
        return user, answer.json()

    async def open_storefront(self) -> dict[str, str]:
        """Return what a visitor sends."""
        await self.owner.run("tenants.storefronts.open")
        return {"X-Tenant": str(self.owner.tenant_id)}

    async def switch_off(self) -> None:
        await self.owner.run("tenants.tenants.disable")


@dataclass
class Rights:
    """What a request is sent with, how that ends, and what it is answered then."""

    headers: dict[str, str]
    end: Callable[[], Awaitable[object]]
    status: int = 401
    code: str = "unauthenticated"


async def a_revoked_key(tenant: Tenant) -> Rights:
    key = await tenant.send("POST", KEYS, name="a key", role="owner")
    return Rights(bearer(key["token"]), lambda: tenant.send("DELETE", f"{KEYS}/{key['key_id']}"))


async def an_expired_key(tenant: Tenant) -> Rights:
    ends_at = tenant.house.clock.now() + timedelta(hours=1)
    key = await tenant.send("POST", KEYS, name="a key", role="owner", expires_at=ends_at.isoformat())

    async def expire() -> None:
        tenant.house.clock.advance(3600)

    return Rights(bearer(key["token"]), expire)


async def a_service_that_is_deleted(tenant: Tenant) -> Rights:
    service = await tenant.send("POST", SERVICES, name="Till", roles=["owner"])
    key = await tenant.send("POST", KEYS, name="a key", principal_id=service["id"])
    return Rights(bearer(key["token"]), lambda: tenant.send("DELETE", f"{SERVICES}/{service['id']}", service))


async def a_session_that_was_left(tenant: Tenant) -> Rights:
    _, tokens = await tenant.with_user()
    body = {"refresh_token": tokens["refresh_token"]}
    return Rights(bearer(tokens["access_token"]), lambda: tenant.house.post(f"{SESSIONS}/sign-out", body))


async def a_user_who_is_switched_off(tenant: Tenant) -> Rights:
    user, tokens = await tenant.with_user()
    path = f"{USERS}/{user['id']}"
    return Rights(bearer(tokens["access_token"]), lambda: tenant.send("PATCH", path, user, is_active=False))


async def a_tenant_that_is_switched_off(tenant: Tenant) -> Rights:
    return Rights(dict(tenant.owner.headers), tenant.switch_off, 403, "tenant_disabled")


async def a_tenant_that_is_erased(tenant: Tenant) -> Rights:
    async def erase() -> None:
        await tenant.switch_off()
        erasure = Erasure(tenant.house.api.rustok.system_engine, SystemClock())
        await erasure.erase(tenant.owner.tenant_id, "operator:somebody")

    return Rights(dict(tenant.owner.headers), erase)


async def a_storefront_that_is_closed(tenant: Tenant) -> Rights:
    return Rights(await tenant.open_storefront(), lambda: tenant.owner.run("tenants.storefronts.close"))


async def a_storefront_of_a_tenant_that_is_switched_off(tenant: Tenant) -> Rights:
    return Rights(await tenant.open_storefront(), tenant.switch_off, 403, "tenant_disabled")


CREDENTIALS = [
    a_revoked_key,
    an_expired_key,
    a_service_that_is_deleted,
    a_session_that_was_left,
    a_user_who_is_switched_off,
    a_tenant_that_is_switched_off,
    a_tenant_that_is_erased,
]
STOREFRONTS = [a_storefront_that_is_closed, a_storefront_of_a_tenant_that_is_switched_off]
ALL = [*CREDENTIALS, *STOREFRONTS]
FEW = [a_revoked_key, a_session_that_was_left, a_storefront_that_is_closed]
Make = Callable[[Tenant], Awaitable[Rights]]


async def remembered(house: House, make: Make) -> Rights:
    """Return rights that this process has seen in force, and that have ended since."""
    rights = await make(await Tenant.create(house))
    assert (await house.api.client.get(SEARCH, headers=rights.headers)).status_code == 200
    await rights.end()
    return rights


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
@pytest.mark.parametrize("make", [each if each in FEW else pytest.param(each, marks=pytest.mark.deep) for each in ALL])
async def test_a_document_is_refused(house: House, make: Make, document: dict[str, Any]) -> None:
    """Twice: the process remembers nothing of the rights by then."""
    rights = await remembered(house, make)

    for _ in range(2):
        answer = await house.api.client.post(PATH, json=document, headers=rights.headers)
        assert_problem(answer, rights.status, rights.code)


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("make", [a_revoked_key, a_session_that_was_left, a_tenant_that_is_switched_off])
async def test_bad_input_is_refused_as_the_good_is(house: House, make: Make, request_: dict[str, Any]) -> None:
    """What was wrong with it is told to nobody whose rights have ended."""
    rights = await remembered(house, make)
    headers = {**rights.headers, **request_.get("headers", {})}

    for _ in range(2):
        answer = await house.api.client.request(
            **{"method": "POST", "url": PRODUCTS, **request_, "headers": headers},
        )
        assert_problem(answer, rights.status, rights.code)


@pytest.mark.parametrize("make", STOREFRONTS)
async def test_a_visitor_with_bad_input_is_refused_as_with_good(house: House, make: Make) -> None:
    rights = await remembered(house, make)

    for _ in range(2):
        answer = await house.api.client.get(f"{SEARCH}&zz=1", headers=rights.headers)
        assert_problem(answer, rights.status, rights.code)


async def test_a_strict_reader_is_refused_too(house: House) -> None:
    """Whose writes the index does not show: a key is not held to be good for as long as that."""
    rights = await a_revoked_key(await Tenant.create(house))
    written = await house.api.client.post(PRODUCTS, json=a_product(status="active"), headers=rights.headers)
    await rights.end()
    strict = {TOKEN: written.headers[TOKEN], "Prefer": "handling=strict", **rights.headers}

    document = {"query": '{ searchProducts(locale: "en") { edges { cursor } } }'}

    by_graphql = await house.api.client.post(PATH, json=document, headers=strict)
    by_rest = await house.api.client.get(SEARCH, headers=strict)

    for answer in (by_graphql, by_rest):
        assert_problem(answer, rights.status, rights.code)


async def test_what_a_document_has_done_before_is_told(rustok: PlatformUnderTest) -> None:
    """The key is revoked while its first mutation is done: those behind it are refused, each as a field."""
    key_id = ""

    async def light(_uow: object, data: LightLamp) -> Lamp:
        await rustok.run("access.api_keys.revoke", api.tenant_id, key_id=key_id)
        return Lamp(lamp_id=data.lamp_id)

    module = lamps(commands=(a_command(handler=light),), queries=(), projections=())
    document = (
        'mutation { a: lightLamp(input: {lampId: "a"}) { lampId } b: lightLamp(input: {lampId: "b"}) { lampId } }'
    )
    async with ApiUnderTest.open(rustok, modules=(*MODULES, module)) as api:
        key = await api.new_key()
        key_id = key.split("_")[2]
        first = await post(api, document, bearer(key))
        second = await post(api, document, bearer(key))

    assert (first.status_code, first.json()["data"]) == (200, {"a": {"lampId": "a"}, "b": None})
    assert fault(first)["code"] == "unauthenticated"
    assert_problem(second, 401, "unauthenticated")


class Heard(asyncpg.Connection):  # type: ignore[misc] # asyncpg ships no types
    """The transactions that are begun on it are in `begun`, with what began them."""

    begun: ClassVar[list[str]]

    async def execute(self, query: str, *arguments: Any, **options: Any) -> Any:
        if "BEGIN READ" in query:
            self.begun.append(query)
        return await super().execute(query, *arguments, **options)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"method": "GET", "url": PRODUCTS}, 200),
        ({"json": a_product()}, 201),
        ({"url": "/api/v1/commerce:batch", "json": REQUESTS["a batch whose items do not fit"]["json"]}, 200),
        ({"url": PATH, "json": DOCUMENTS["a query"]}, 200),
        ({"url": PATH, "json": DOCUMENTS["a mutation"]}, 200),
        ({"url": PATH, "json": DOCUMENTS["introspection"]}, 200),
        ({"url": PATH, "json": DOCUMENTS["no GraphQL"]}, 400),
        (REQUESTS["an unknown parameter"], 400),
        (REQUESTS["a body that does not fit"], 422),
        ({"method": "GET", "url": f"{PRODUCTS}/{UNKNOWN_ID}"}, 404),
        ({"method": "DELETE", "url": f"{PRODUCTS}/{UNKNOWN_ID}", "headers": {"If-Match": '"1"'}}, 404),
    ],
)
async def test_a_request_has_one_transaction(rustok: PlatformUnderTest, request_: dict[str, Any], status: int) -> None:
    """That which it works in, where it works, has compared the rights; else it is for nothing but that."""
    begun: list[str] = []
    heard = type("Heard", (Heard,), {"begun": begun})
    async with open_engine(rustok.database.app_url) as engine:
        with connections_chosen(lambda parameters: heard if parameters["user"] == "rustok_app" else None):
            async with ApiUnderTest.open(rustok, engine=engine) as api:
                begun.clear()
                answer = await api.client.request(**{"method": "POST", "url": PRODUCTS, **request_})

    assert (answer.status_code, len(begun)) == (status, 1), answer.text
