"""Who may call, and for which tenant."""

from datetime import timedelta

import pytest

from rustok.modules.access.api_key import ApiKey
from rustok.testing import FixedClock, PlatformUnderTest
from tests.integration.api.support import (
    PRODUCTS,
    UNKNOWN_ID,
    ApiUnderTest,
    a_product,
    administrator,
    assert_problem,
    bearer,
    pointers,
)

KEYS, SERVICES = "/api/v1/access/api-keys", "/api/v1/access/service-principals"
MISTYPED = "rtk_live_0123456789abcdef_0123456789abcdef_00000000"
UNKNOWN = str(ApiKey("live", "0123456789abcdef", "secret"))


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic abc", f"Bearer {MISTYPED}", f"Bearer {UNKNOWN}", "Bearer \xe9"],
)
async def test_a_request_without_a_valid_key_is_unauthenticated(shared_api: ApiUnderTest, authorization: str) -> None:
    """401 names the scheme (RFC 9110, section 11.6.1), and never what was wrong."""
    response = await shared_api.client.get(PRODUCTS, headers={b"Authorization": authorization.encode("latin-1")})

    problem = assert_problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"
    assert problem["detail"].startswith("Send `Authorization: Bearer <API key>` with a valid key")


async def test_the_scheme_is_compared_without_case(shared_api: ApiUnderTest) -> None:
    """RFC 9110, section 11.1."""
    token = shared_api.client.headers["authorization"].removeprefix("Bearer ")

    response = await shared_api.client.get(PRODUCTS, headers={"Authorization": f"bEARER {token}"})

    assert response.status_code == 200


@pytest.mark.under_fire
async def test_a_revoked_key_is_refused_at_the_next_request(api: ApiUnderTest) -> None:
    """Although this process remembers it."""
    token = await api.new_key()
    assert (await api.client.get(PRODUCTS, headers=bearer(token))).status_code == 200

    await api.rustok.run("access.api_keys.revoke", api.tenant_id, key_id=token.split("_")[2])

    for _ in range(2):
        assert_problem(await api.client.get(PRODUCTS, headers=bearer(token)), 401, "unauthenticated")


@pytest.mark.under_fire
async def test_a_revocation_does_not_disturb_other_keys(api: ApiUnderTest) -> None:
    """Their rights are read again, and found to be the same."""
    await api.client.get(PRODUCTS)
    token = await api.new_key()

    await api.rustok.run("access.api_keys.revoke", api.tenant_id, key_id=token.split("_")[2])

    assert (await api.client.get(PRODUCTS)).status_code == 200


@pytest.mark.under_fire
async def test_an_expired_key_is_refused(rustok: PlatformUnderTest) -> None:
    """From the very moment on, although this process remembers it."""
    clock = FixedClock()
    async with ApiUnderTest.open(rustok, clock=clock) as api:
        token = (await api.client.post(KEYS, json=expiring(clock, seconds=3600))).json()["token"]
        before = await api.client.get(PRODUCTS, headers=bearer(token))
        clock.advance(3600)
        after = await api.client.get(PRODUCTS, headers=bearer(token))

    assert before.status_code == 200
    assert_problem(after, 401, "unauthenticated")


@pytest.mark.parametrize("seconds", [-3600, 0])
async def test_no_key_is_made_that_has_expired(rustok: PlatformUnderTest, seconds: int) -> None:
    """Nor one that expires at this very moment; and no service principal for it."""
    clock = FixedClock()
    async with ApiUnderTest.open(rustok, clock=clock) as api:
        before = (await api.client.get(SERVICES)).json()
        answer = await api.client.post(KEYS, json=expiring(clock, seconds=seconds))
        after = (await api.client.get(SERVICES)).json()

    assert pointers(assert_problem(answer, 422, "invalid_input")) == [("#/expires_at", "in_the_past")]
    assert before == after


def expiring(clock: FixedClock, *, seconds: int) -> dict[str, str]:
    """Return the fields of an owner's key that expires so many seconds from now."""
    return {"name": "a key", "role": "owner", "expires_at": (clock.now() + timedelta(seconds=seconds)).isoformat()}


@pytest.mark.under_fire
async def test_a_missing_permission_is_named(api: ApiUnderTest) -> None:
    """403 says what would be needed."""
    token = await api.new_key(role="customer")

    response = await api.client.post(PRODUCTS, json=a_product(), headers=bearer(token))

    assert "commerce.products.write" in assert_problem(response, 403, "permission_denied")["detail"]


@pytest.mark.under_fire
async def test_a_granted_permission_holds_from_the_next_request(api: ApiUnderTest) -> None:
    """A remembered lack of a right is looked up again before it is final."""
    token = await api.new_key(role="customer")
    assert_problem(await api.client.get(PRODUCTS, headers=bearer(token)), 403, "permission_denied")

    async with administrator(api.database) as admin:
        await admin.execute("UPDATE principal_roles SET role = 'manager' WHERE role = 'customer'")
        await admin.execute("UPDATE tenants SET authz_version = authz_version + 1")

    assert (await api.client.get(PRODUCTS, headers=bearer(token))).status_code == 200


@pytest.mark.under_fire
async def test_a_disabled_tenant_is_refused(api: ApiUnderTest) -> None:
    """Reads and writes alike."""
    async with administrator(api.database) as admin:
        await admin.execute("UPDATE tenants SET is_active = false")

    assert_problem(await api.client.get(PRODUCTS), 403, "tenant_disabled")
    assert_problem(await api.client.post(PRODUCTS, json=a_product()), 403, "tenant_disabled")


@pytest.mark.under_fire
async def test_x_tenant_may_confirm_the_tenant_of_the_credential(api: ApiUnderTest) -> None:
    """By slug or by id."""
    for reference in ("acme", str(api.tenant_id)):
        response = await api.client.get(PRODUCTS, headers={"X-Tenant": reference})

        assert response.status_code == 200


@pytest.mark.parametrize("reference", ["globex", UNKNOWN_ID, "ACME", ""])
async def test_x_tenant_may_not_name_another_tenant(shared_api: ApiUnderTest, reference: str) -> None:
    """The tenant comes from the credential; whether the other one exists is not told."""
    response = await shared_api.client.get(PRODUCTS, headers={"X-Tenant": reference})

    assert_problem(response, 403, "tenant_mismatch")


@pytest.mark.parametrize("references", [("acme", "globex"), ("globex", "acme")])
async def test_no_x_tenant_may_name_another_tenant(shared_api: ApiUnderTest, references: tuple[str, str]) -> None:
    """A proxy in front may look at the last one, or at the first."""
    headers = [("X-Tenant", reference) for reference in references]

    assert_problem(await shared_api.client.get(PRODUCTS, headers=headers), 403, "tenant_mismatch")


@pytest.mark.under_fire
async def test_another_tenants_product_reads_as_one_that_never_was(api: ApiUnderTest) -> None:
    """Byte for byte the same answer, but for the request's id, whatever the method."""
    globex = await api.rustok.create_tenant("globex")
    stranger = {**bearer(await api.new_key(tenant_id=globex)), "If-Match": '"1"', "X-Request-Id": "same"}
    product = await api.create()
    path = f"{PRODUCTS}/{product['id']}"

    existing = [await api.client.request(method, path, headers=stranger) for method in ("GET", "DELETE")]
    await api.client.delete(path, headers={"If-Match": '"1"'})
    missing = [await api.client.request(method, path, headers=stranger) for method in ("GET", "DELETE")]

    assert_problem(existing[0], 404, "product_not_found")
    assert [response.content for response in existing] == [response.content for response in missing]
    assert [response.headers for response in existing] == [response.headers for response in missing]
