"""Optimistic concurrency: ETag, If-Match, If-None-Match (RFC 9110, section 13)."""

import pytest

from tests.integration.api.support import PRODUCTS, ApiUnderTest, a_product, assert_problem


async def test_a_change_with_the_current_version_gets_the_next(api: ApiUnderTest) -> None:
    """The ETag of one answer is the If-Match of the next request."""
    product = await api.create()
    path = f"{PRODUCTS}/{product['id']}"

    first = await api.client.patch(path, json={"vendor": "A"}, headers={"If-Match": '"1"'})
    second = await api.client.patch(path, json={"vendor": "B"}, headers={"If-Match": first.headers["etag"]})

    assert (first.headers["etag"], second.headers["etag"]) == ('"2"', '"3"')


async def test_a_change_of_an_older_version_is_refused(api: ApiUnderTest) -> None:
    """412, and nothing is written: somebody else's change is not lost."""
    product = await api.create()
    path = f"{PRODUCTS}/{product['id']}"
    await api.client.patch(path, json={"vendor": "A"}, headers={"If-Match": '"1"'})

    response = await api.client.patch(path, json={"vendor": "B"}, headers={"If-Match": '"1"'})

    assert_problem(response, 412, "version_mismatch")
    assert (await api.client.get(path)).json()["vendor"] == "A"


async def test_a_change_without_a_version_is_refused(api: ApiUnderTest) -> None:
    """428 (RFC 6585): the caller must say what it has seen."""
    product = await api.create()

    response = await api.client.patch(f"{PRODUCTS}/{product['id']}", json={"vendor": "A"})

    assert_problem(response, 428, "version_required")


@pytest.mark.parametrize(
    "value", ["*", 'W/"1"', "1", '""', '"01"', '"0"', '"-1"', '"1", "2"', '"x"', '"9999999999999999999"', ""]
)
async def test_an_if_match_of_another_form_is_refused(api: ApiUnderTest, value: str) -> None:
    """Only one strong tag of ours says which version the caller has seen."""
    product = await api.create()

    response = await api.client.patch(f"{PRODUCTS}/{product['id']}", json={"vendor": "A"}, headers={"If-Match": value})

    assert_problem(response, 400, "invalid_header")


async def test_if_match_sent_twice_is_refused(api: ApiUnderTest) -> None:
    """Two headers are two opinions."""
    product = await api.create()
    twice = [("If-Match", '"1"'), ("If-Match", '"2"')]

    response = await api.client.patch(f"{PRODUCTS}/{product['id']}", json={"vendor": "A"}, headers=twice)

    assert_problem(response, 400, "invalid_header")


async def test_if_match_on_what_has_no_version_changes_nothing(api: ApiUnderTest) -> None:
    """412, instead of a check that there was not (RFC 9110, section 13.1.1)."""
    created = await api.client.post(PRODUCTS, json=a_product(), headers={"If-Match": '"1"'})
    redriven = await api.client.post(
        "/api/v1/operations/dead-letters/redrive", json={}, headers={"If-Match": '"1"', "Idempotency-Key": "1"}
    )

    assert_problem(created, 412, "version_mismatch")
    assert_problem(redriven, 412, "version_mismatch")
    assert (await api.client.get(PRODUCTS)).json()["data"] == []


@pytest.mark.parametrize("value", ['"1"', 'W/"1"', '"7", "1"', "*"])
async def test_a_read_of_a_known_version_is_not_sent_again(api: ApiUnderTest, value: str) -> None:
    """304 with the ETag and no body; If-None-Match compares weakly."""
    product = await api.create()

    response = await api.client.get(f"{PRODUCTS}/{product['id']}", headers={"If-None-Match": value})

    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", '"1"')


async def test_a_read_of_another_version_is_sent(api: ApiUnderTest) -> None:
    """The client's copy is of another version."""
    product = await api.create()

    response = await api.client.get(f"{PRODUCTS}/{product['id']}", headers={"If-None-Match": '"2"'})

    assert (response.status_code, response.json()) == (200, product)
