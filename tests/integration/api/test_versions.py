"""Optimistic concurrency: ETag, If-Match, If-None-Match (RFC 9110, section 13)."""

import asyncio
from collections import Counter

import pytest

from tests.integration.api.possessions import OPERATIONS, REGISTRY, Operation, Owner
from tests.integration.api.support import PRODUCTS, ApiUnderTest, a_product, assert_problem

CREATES = {
    "access.api_keys.create",
    "alloy.runs.start",
    *(command.name for command in REGISTRY.commands.values() if command.location),
}
NAMED = {"alloy.kv.set", "alloy.secrets.set"}
"""Commands that make what has a name of its own, or change it."""
CHANGES = [o for o in OPERATIONS if o.name in REGISTRY.commands.keys() - CREATES]


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


@pytest.mark.under_fire
async def test_a_change_without_a_version_is_refused(api: ApiUnderTest) -> None:
    """428 (RFC 6585): the caller must say what it has seen."""
    product = await api.create()

    response = await api.client.patch(f"{PRODUCTS}/{product['id']}", json={"vendor": "A"})

    assert_problem(response, 428, "version_required")


@pytest.mark.under_fire
@pytest.mark.parametrize(
    "value", ["*", 'W/"1"', "1", '""', '"01"', '"0"', '"-1"', '"1", "2"', '"x"', '"9999999999999999999"', ""]
)
async def test_an_if_match_of_another_form_is_refused(api: ApiUnderTest, value: str) -> None:
    """Only one strong tag of ours says which version the caller has seen."""
    product = await api.create()

    response = await api.client.patch(f"{PRODUCTS}/{product['id']}", json={"vendor": "A"}, headers={"If-Match": value})

    assert_problem(response, 400, "invalid_header")


@pytest.mark.under_fire
async def test_if_match_sent_twice_is_refused(api: ApiUnderTest) -> None:
    """Two headers are two opinions."""
    product = await api.create()
    twice = [("If-Match", '"1"'), ("If-Match", '"2"')]

    response = await api.client.patch(f"{PRODUCTS}/{product['id']}", json={"vendor": "A"}, headers=twice)

    assert_problem(response, 400, "invalid_header")


@pytest.mark.under_fire
async def test_if_match_on_what_has_no_version_changes_nothing(api: ApiUnderTest) -> None:
    """412, instead of a check that there was not (RFC 9110, section 13.1.1)."""
    created = await api.client.post(PRODUCTS, json=a_product(), headers={"If-Match": '"1"'})
    redriven = await api.client.post(
        "/api/v1/operations/dead-letters/redrive", json={}, headers={"If-Match": '"1"', "Idempotency-Key": "1"}
    )

    assert_problem(created, 412, "version_mismatch")
    assert_problem(redriven, 412, "version_mismatch")
    assert (await api.client.get(PRODUCTS)).json()["data"] == []


@pytest.mark.under_fire
@pytest.mark.parametrize("value", ['"1"', 'W/"1"', '"7", "1"', "*"])
async def test_a_read_of_a_known_version_is_not_sent_again(api: ApiUnderTest, value: str) -> None:
    """304 with the ETag and no body; If-None-Match compares weakly."""
    product = await api.create()

    response = await api.client.get(f"{PRODUCTS}/{product['id']}", headers={"If-None-Match": value})

    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", '"1"')


@pytest.mark.under_fire
async def test_a_read_of_another_version_is_sent(api: ApiUnderTest) -> None:
    """The client's copy is of another version."""
    product = await api.create()

    response = await api.client.get(f"{PRODUCTS}/{product['id']}", headers={"If-None-Match": '"2"'})

    assert (response.status_code, response.json()) == (200, product)


@pytest.mark.parametrize("name", sorted(NAMED))
async def test_a_put_of_what_must_not_be_there_makes_it_once(api: ApiUnderTest, name: str) -> None:
    """412 from then on, with what is there unchanged; it may be made again once it is gone."""
    path, body = await a_named_thing(api, name)

    first = await api.client.put(path, json=body, headers={"If-None-Match": "*"})
    second = await api.client.put(path, json={"value": "another-value"}, headers={"If-None-Match": "*"})
    unchanged = await api.client.delete(path, headers={"If-Match": first.headers["etag"]})
    again = await api.client.put(path, json=body, headers={"If-None-Match": "*"})

    assert_problem(second, 412, "version_mismatch")
    assert [response.status_code for response in (first, unchanged, again)] == [200, 200, 200]


@pytest.mark.parametrize("name", sorted(NAMED))
async def test_of_those_who_make_it_at_once_one_does(api: ApiUnderTest, name: str) -> None:
    """None of them sees what the others have not committed; the others are refused as if they had come later."""
    path, body = await a_named_thing(api, name)

    answers = await asyncio.gather(*(api.client.put(path, json=body, headers={"If-None-Match": "*"}) for _ in range(8)))

    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 7}


@pytest.mark.under_fire
async def test_a_create_is_always_of_something_new(api: ApiUnderTest) -> None:
    """What a name of its belongs to already is a conflict, with the header and without it."""
    first = await api.client.post(PRODUCTS, json=a_product(), headers={"If-None-Match": "*"})
    second = await api.client.post(PRODUCTS, json=a_product(), headers={"If-None-Match": "*"})

    assert first.status_code == 201
    assert_problem(second, 409, "duplicate_handle")


@pytest.mark.parametrize("operation", CHANGES, ids=lambda operation: operation.name)
async def test_nothing_that_is_there_is_changed_by_who_wants_it_absent(api: ApiUnderTest, operation: Operation) -> None:
    """The condition is compared, or the write is refused; it is never ignored."""
    owner = await Owner.create(api)
    about = await owner.possess()
    before = await owner.what_there_is()

    answer = await owner.send(operation._replace(checks_version=False), about, {"If-None-Match": "*"})

    code = "version_required" if operation.checks_version else "version_mismatch"
    assert_problem(answer, 428 if operation.checks_version else 412, code)
    assert await owner.what_there_is() == before


@pytest.mark.under_fire
@pytest.mark.parametrize(
    "headers",
    [
        [("If-None-Match", '"1"')],
        [("If-None-Match", 'W/"1"')],
        [("If-None-Match", "")],
        [("If-None-Match", "*"), ("If-None-Match", "*")],
    ],
)
async def test_an_if_none_match_of_another_form_is_refused_on_a_write(
    api: ApiUnderTest, headers: list[tuple[str, str]]
) -> None:
    """A version that must not be the present one is no condition that a writer has."""
    assert_problem(await api.client.post(PRODUCTS, json=a_product(), headers=headers), 400, "invalid_header")


@pytest.mark.under_fire
async def test_nothing_is_at_a_version_and_absent_at_once(api: ApiUnderTest) -> None:
    """Both conditions hold together, or the write is refused (RFC 9110, section 13.2.2)."""
    path, body = await a_named_thing(api, "alloy.secrets.set")

    answer = await api.client.put(path, json=body, headers={"If-None-Match": "*", "If-Match": '"1"'})

    assert_problem(answer, 412, "version_mismatch")


async def a_named_thing(api: ApiUnderTest, name: str) -> tuple[str, dict[str, str]]:
    """Return the path of one that is not there, and a body for it."""
    if name == "alloy.secrets.set":
        return "/api/v1/alloy/secrets/mail-token", {"value": "a-value-of-it"}
    script = await api.rustok.run("alloy.scripts.create", api.tenant_id, name="a-script")
    return f"/api/v1/alloy/scripts/{script.id}/kv/a-key", {"value": "a-value-of-it"}
