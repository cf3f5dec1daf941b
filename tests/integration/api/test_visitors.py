"""Which tenant a request is about: the credential says, X-Tenant and the host must agree; visitors name theirs."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from rustok.modules.access import is_for_visitors
from rustok.testing import FixedClock, PlatformUnderTest
from tests.integration.api.possessions import OPERATIONS, REGISTRY, Owner, request_of
from tests.integration.api.support import UNKNOWN_ID, ApiUnderTest, assert_problem, bearer, settings_for

pytestmark = pytest.mark.under_fire

SEARCH = "/api/v1/search/products?locale=en"
BASE = "shops.example"
OF_VISITORS = {
    operation.name
    for operation in OPERATIONS
    if operation.name in REGISTRY.queries and is_for_visitors(REGISTRY.queries[operation.name].permission)
}
Anywhere = dict[str, str]


@pytest.fixture
async def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
async def api(rustok: PlatformUnderTest, clock: FixedClock) -> AsyncIterator[ApiUnderTest]:
    """Tenants have hosts below a domain, and acme has published a product."""
    settings = settings_for(rustok.database, tenant_base_domain=BASE)
    async with ApiUnderTest.open(rustok, settings=settings, clock=clock) as api:
        await api.create(status="active")
        await rustok.settle()
        yield api


@pytest.fixture
async def visitor(api: ApiUnderTest) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody without a credential, at the host of the platform."""
    async with httpx2.AsyncClient(transport=api.client._transport, base_url="http://api.test") as client:
        yield client


async def open_storefront(api: ApiUnderTest) -> None:
    await api.rustok.run("tenants.storefronts.open", api.tenant_id)


def titles(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [hit["title"] for hit in answer.json()["data"]]


def told(answer: httpx2.Response) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return all that a visitor learns, but for what names the request."""
    problem = {name: value for name, value in answer.json().items() if name not in ("request_id", "trace_id")}
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
    return answer.status_code, problem, headers


@pytest.mark.parametrize("form", ["slug", "id", "host", "domain", "domain with port"])
async def test_a_visitor_reads_what_an_open_storefront_has(
    api: ApiUnderTest, visitor: httpx2.AsyncClient, form: str
) -> None:
    """However it names the tenant."""
    await open_storefront(api)
    await api.rustok.run("tenants.domains.add", api.tenant_id, domain="Bücher.example")
    names: dict[str, Anywhere] = {
        "slug": {"X-Tenant": "acme"},
        "id": {"X-Tenant": str(api.tenant_id)},
        "host": {"Host": f"acme.{BASE}"},
        "domain": {"Host": "XN--bcher-kva.example."},
        "domain with port": {"Host": "xn--bcher-kva.example:8443"},
    }

    assert titles(await visitor.get(SEARCH, headers=names[form])) == ["Red bicycle"]


async def test_a_visitor_may_search_and_read_what_is_published_and_nothing_else(
    api: ApiUnderTest, visitor: httpx2.AsyncClient
) -> None:
    """Every other route asks for a credential, as if there were no storefronts."""
    owner = await Owner.create(api)
    theirs = await owner.possess()
    await api.rustok.settle()
    await owner.run("tenants.storefronts.open")

    for operation in OPERATIONS:
        request = request_of(operation, theirs)
        answer = await visitor.request(
            **request | {"headers": {**request["headers"], "X-Tenant": str(owner.tenant_id)}}
        )
        if operation.name in OF_VISITORS:
            assert answer.status_code == 200, answer.text
        else:
            assert_problem(answer, 401, "unauthenticated")
    assert {"index.products.search", "index.content.search", "index.content.get"} == OF_VISITORS


async def test_who_asks_does_not_learn_which_tenants_there_are(api: ApiUnderTest, visitor: httpx2.AsyncClient) -> None:
    """One without an open storefront, one that there is not, and a name that none could have are answered alike."""
    names: list[Anywhere] = [
        {"X-Tenant": "acme"},
        {"X-Tenant": str(api.tenant_id)},
        {"X-Tenant": "globex"},
        {"X-Tenant": UNKNOWN_ID},
        {"X-Tenant": "' OR true --"},
        {"X-Tenant": ""},
        {"Host": f"acme.{BASE}"},
        {"Host": f"globex.{BASE}"},
    ]

    first, *others = [told(await visitor.get(SEARCH, headers=name)) for name in names]

    assert first[:2][0] == 401
    assert all(other == first for other in others)


@pytest.mark.parametrize("host", ["api.test", BASE, f"a.b.{BASE}", "[::1]:8000", "127.0.0.1", "?"])
async def test_a_visitor_has_to_name_the_tenant(api: ApiUnderTest, visitor: httpx2.AsyncClient, host: str) -> None:
    """A host that is no tenant's is the platform's own."""
    await open_storefront(api)

    assert_problem(await visitor.get(SEARCH, headers={"Host": host}), 400, "tenant_missing")


async def test_what_names_two_tenants_names_none(api: ApiUnderTest, visitor: httpx2.AsyncClient) -> None:
    """Whoever sends a request and whoever passes it on would not agree."""
    await open_storefront(api)
    globex = await api.rustok.create_tenant("globex")
    await api.rustok.run("tenants.storefronts.open", globex)
    host = {"Host": f"acme.{BASE}"}

    both = await visitor.get(SEARCH, headers={**host, "X-Tenant": "globex"})
    same = await visitor.get(SEARCH, headers={**host, "X-Tenant": "acme"})
    twice = await visitor.get(SEARCH, headers=[("X-Tenant", "acme"), ("X-Tenant", "acme")])

    assert_problem(both, 401, "unauthenticated")
    assert titles(same) == ["Red bicycle"]
    assert_problem(twice, 400, "invalid_header")


async def test_one_tenant_is_one_by_two_names_whatever_is_remembered_of_each(
    api: ApiUnderTest, visitor: httpx2.AsyncClient
) -> None:
    """Its rules have changed between the looks at the two."""
    await open_storefront(api)
    host = {"Host": f"acme.{BASE}"}

    before = await visitor.get(SEARCH, headers=host)
    role = await api.client.post("/api/v1/access/roles", json={"name": "clerk"})
    after = await visitor.get(SEARCH, headers={**host, "X-Tenant": str(api.tenant_id)})

    assert role.status_code == 201, role.text
    assert titles(before) == titles(after) == ["Red bicycle"]


async def test_a_credential_that_does_not_hold_makes_nobody_a_visitor(
    api: ApiUnderTest, visitor: httpx2.AsyncClient
) -> None:
    """A client whose key was revoked hears of it."""
    await open_storefront(api)

    for authorization in ("", "Bearer", "Bearer rtk_live_0123456789abcdef_secret_00000000"):
        headers = {"X-Tenant": "acme", "Authorization": authorization}
        assert_problem(await visitor.get(SEARCH, headers=headers), 401, "unauthenticated")


async def test_a_closed_storefront_is_closed_from_the_next_request_on(
    api: ApiUnderTest, visitor: httpx2.AsyncClient
) -> None:
    """Also in a process that remembers that it was open; so is a tenant that is switched off."""
    await open_storefront(api)
    name = {"X-Tenant": "acme"}
    assert titles(await visitor.get(SEARCH, headers=name)) == ["Red bicycle"]

    await api.rustok.run("tenants.tenants.disable", api.tenant_id)
    assert_problem(await visitor.get(SEARCH, headers=name), 403, "tenant_disabled")
    await api.rustok.run("tenants.tenants.enable", api.tenant_id)
    assert titles(await visitor.get(SEARCH, headers=name)) == ["Red bicycle"]
    await api.rustok.run("tenants.storefronts.close", api.tenant_id)
    assert_problem(await visitor.get(SEARCH, headers=name), 401, "unauthenticated")


async def test_a_storefront_that_is_opened_is_seen_within_a_minute(
    api: ApiUnderTest, visitor: httpx2.AsyncClient, clock: FixedClock
) -> None:
    """That a tenant has none is remembered for so long, lest whoever asks has PostgreSQL asked each time."""
    name = {"X-Tenant": "acme"}
    assert_problem(await visitor.get(SEARCH, headers=name), 401, "unauthenticated")
    await open_storefront(api)

    at_once = await visitor.get(SEARCH, headers=name)
    clock.advance(60)
    later = await visitor.get(SEARCH, headers=name)

    assert_problem(at_once, 401, "unauthenticated")
    assert titles(later) == ["Red bicycle"]


async def test_a_credential_is_of_no_use_at_the_host_of_another_tenant(api: ApiUnderTest) -> None:
    """At its own, and at the platform's, it is; whether or not there is a storefront."""
    globex = await api.rustok.create_tenant("globex")
    token = bearer(await api.new_key(tenant_id=globex))
    await api.rustok.run("tenants.domains.add", api.tenant_id, domain="shop.example")

    for host in (f"acme.{BASE}", f"nobody.{BASE}", "shop.example", "SHOP.example:443"):
        assert_problem(await api.client.get(SEARCH, headers={**token, "Host": host}), 403, "tenant_mismatch")
    for host in (f"globex.{BASE}", "api.test", "nobodys.example"):
        assert titles(await api.client.get(SEARCH, headers={**token, "Host": host})) == []


async def test_a_tenant_that_is_new_has_its_host_at_once(api: ApiUnderTest, visitor: httpx2.AsyncClient) -> None:
    """Also in a process that remembers that there was none: the name tells whose host it is."""
    host = {"Host": f"globex.{BASE}"}
    assert_problem(await visitor.get(SEARCH, headers=host), 401, "unauthenticated")
    globex = await api.rustok.create_tenant("globex")
    await api.rustok.run("tenants.storefronts.open", globex)
    token = bearer(await api.new_key(tenant_id=globex))

    assert titles(await visitor.get(SEARCH, headers={**host, "X-Tenant": str(globex)})) == []
    assert titles(await api.client.get(SEARCH, headers={**host, **token})) == []


async def test_a_domain_that_moves_is_the_others_from_the_next_request_on(
    api: ApiUnderTest, visitor: httpx2.AsyncClient
) -> None:
    """For visitors, and for those who were refused there."""
    globex = await api.rustok.create_tenant("globex")
    token = bearer(await api.new_key(tenant_id=globex))
    host = {"Host": "shop.example"}
    for tenant in (api.tenant_id, globex):
        await api.rustok.run("tenants.storefronts.open", tenant)
    await api.rustok.run("tenants.domains.add", api.tenant_id, domain="shop.example")
    assert titles(await visitor.get(SEARCH, headers=host)) == ["Red bicycle"]
    assert_problem(await api.client.get(SEARCH, headers={**token, **host}), 403, "tenant_mismatch")

    await api.rustok.run("tenants.domains.remove", api.tenant_id, domain="shop.example")
    await api.rustok.run("tenants.domains.add", globex, domain="shop.example")

    assert titles(await api.client.get(SEARCH, headers={**token, **host})) == []
    assert titles(await visitor.get(SEARCH, headers=host)) == []


async def test_a_forwarded_host_is_not_believed(api: ApiUnderTest, visitor: httpx2.AsyncClient) -> None:
    """Anybody may send it; the proxy passes Host on."""
    await open_storefront(api)
    names = {"X-Forwarded-Host": f"acme.{BASE}", "Forwarded": f"host=acme.{BASE}"}

    assert_problem(await visitor.get(SEARCH, headers=names), 400, "tenant_missing")
