"""Idempotency-Key on POST: a retry gets the first answer again, and nothing happens twice."""

import asyncio

import pytest

from tests.integration.api.support import (
    PRODUCTS,
    ApiUnderTest,
    a_product,
    administrator,
    assert_problem,
    bearer,
    pointers,
)

KEY = {"Idempotency-Key": "order 66"}


async def count(api: ApiUnderTest, table: str, condition: str = "true") -> int:
    async with administrator(api.database) as admin:
        return int(await admin.fetchval(f"SELECT count(*) FROM {table} WHERE {condition}"))


async def test_a_repeated_request_gets_the_first_answer(api: ApiUnderTest) -> None:
    """Status, body, ETag and Location byte for byte, marked as a replay."""
    first = await api.client.post(PRODUCTS, json=a_product(), headers=KEY)
    await api.client.patch(first.headers["location"], json={"vendor": "A"}, headers={"If-Match": '"1"'})

    second = await api.client.post(PRODUCTS, json=a_product(), headers=KEY)

    assert (second.status_code, second.content) == (201, first.content)
    assert [second.headers[name] for name in ("etag", "location")] == [
        first.headers[name] for name in ("etag", "location")
    ]
    assert second.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert await count(api, "products") == 1


@pytest.mark.under_fire
async def test_the_order_of_names_in_the_body_does_not_matter(api: ApiUnderTest) -> None:
    """A client's JSON library may sort them differently the second time."""
    first = await api.post_text('{"vendor": "A", "translations": {"en": {"title": "T"}}}', **KEY)

    second = await api.post_text('{"translations":{"en":{"title":"T"}},"vendor":"A"}', **KEY)

    assert second.content == first.content


@pytest.mark.under_fire
async def test_another_body_with_the_same_key_is_refused(api: ApiUnderTest) -> None:
    """The client has mixed two requests up."""
    await api.client.post(PRODUCTS, json=a_product(), headers=KEY)

    response = await api.client.post(PRODUCTS, json=a_product(vendor="B"), headers=KEY)

    assert_problem(response, 422, "idempotency_key_reused")


@pytest.mark.under_fire
async def test_the_same_key_for_another_product_is_refused(api: ApiUnderTest) -> None:
    """What the path names is part of the request, also where there is no body."""
    one = await api.create()
    other = await api.create(translations={"en": {"title": "Other"}})
    await api.client.post(f"{PRODUCTS}/{one['id']}/publish", headers=KEY)

    response = await api.client.post(f"{PRODUCTS}/{other['id']}/publish", headers=KEY)

    assert_problem(response, 422, "idempotency_key_reused")


async def test_ten_concurrent_requests_do_it_once(api: ApiUnderTest) -> None:
    """One product, one event; each answer is the product, or "still running" with Retry-After."""
    requests = [api.client.post(PRODUCTS, json=a_product(), headers=KEY) for _ in range(10)]

    responses = await asyncio.gather(*requests)

    created = [response for response in responses if response.status_code == 201]
    busy = [response for response in responses if response.status_code != 201]
    assert len({response.content for response in created}) == 1
    for response in busy:
        assert assert_problem(response, 409, "request_in_progress")["retryable"] is True
        assert response.headers["retry-after"] == "1"
    assert await count(api, "products") == 1
    assert await count(api, "outbox", "type = 'commerce.product.created'") == 1


@pytest.mark.under_fire
async def test_principals_and_tenants_do_not_share_keys(api: ApiUnderTest) -> None:
    """Everybody may number their requests from 1."""
    colleague = bearer(await api.new_key())
    globex = await api.rustok.create_tenant("globex")
    stranger = bearer(await api.new_key(tenant_id=globex))
    other = a_product(translations={"en": {"title": "Other"}})

    responses = [
        await api.client.post(PRODUCTS, json=a_product(), headers=KEY),
        await api.client.post(PRODUCTS, json=other, headers={**KEY, **colleague}),
        await api.client.post(PRODUCTS, json=a_product(), headers={**KEY, **stranger}),
    ]

    assert [response.status_code for response in responses] == [201, 201, 201]
    assert not any("idempotent-replayed" in response.headers for response in responses)


@pytest.mark.under_fire
async def test_a_refused_request_is_not_kept(api: ApiUnderTest) -> None:
    """After a 409 or a 422 the client mends its request and may use the key again."""
    await api.create()

    conflict = await api.client.post(PRODUCTS, json=a_product(), headers=KEY)
    invalid = await api.client.post(PRODUCTS, json=a_product(vendor=1), headers=KEY)
    mended = await api.client.post(PRODUCTS, json=a_product(translations={"en": {"title": "New"}}), headers=KEY)

    assert_problem(conflict, 409, "duplicate_handle")
    assert pointers(assert_problem(invalid, 422, "invalid_input")) == [("#/vendor", "string_type")]
    assert mended.status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9", "a\tb"])
async def test_a_key_of_another_form_is_refused(shared_api: ApiUnderTest, key: str) -> None:
    """1 to 255 printable ASCII characters."""
    headers = {b"Idempotency-Key": key.encode("latin-1")}

    response = await shared_api.client.post(PRODUCTS, json=a_product(), headers=headers)

    assert_problem(response, 400, "invalid_header")


async def test_a_method_that_is_idempotent_anyway_ignores_the_key(api: ApiUnderTest) -> None:
    """PATCH with If-Match cannot happen twice: the second finds another version."""
    product = await api.create()
    headers = {**KEY, "If-Match": '"1"'}

    await api.client.patch(f"{PRODUCTS}/{product['id']}", json={"vendor": "A"}, headers=headers)
    second = await api.client.patch(f"{PRODUCTS}/{product['id']}", json={"vendor": "A"}, headers=headers)

    assert_problem(second, 412, "version_mismatch")
