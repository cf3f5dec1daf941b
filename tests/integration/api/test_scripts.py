"""Scripts over HTTP: what a client sends, and what it is answered before any worker has done anything."""

from typing import Any

import pytest

from tests.integration.api.support import UNKNOWN_ID, ApiUnderTest, assert_problem, bearer, pointers

ALLOY = "/api/v1/alloy"
CODE = "async def handle(event, ctx):\n    return 1\n"


async def create(api: ApiUnderTest, **fields: Any) -> dict[str, Any]:
    answer = await api.client.post(f"{ALLOY}/scripts", json={"name": "greeter", **fields})
    assert answer.status_code == 201, answer.text
    script: dict[str, Any] = answer.json()
    return script


@pytest.mark.under_fire
async def test_a_script_is_created_read_and_listed(api: ApiUnderTest) -> None:
    """A draft, with an ETag and its place."""
    script = await create(api, triggers=[{"kind": "event", "pattern": "commerce.product.*"}])

    answer = await api.client.get(f"{ALLOY}/scripts/{script['id']}")
    page = (await api.client.get(f"{ALLOY}/scripts", params={"name": "greeter"})).json()

    assert (answer.json(), answer.headers["etag"]) == (script, '"1"')
    assert (script["status"], script["active_version"]) == ("draft", None)
    assert page == {"data": [script], "page": {"next": None, "prev": None}}


@pytest.mark.under_fire
async def test_a_push_is_accepted_and_has_an_operation(api: ApiUnderTest) -> None:
    """Nothing is compiled here: the answer says where the outcome will be."""
    script = await create(api)

    answer = await api.client.post(f"{ALLOY}/scripts/{script['id']}/versions", json={"code": CODE, "activate": True})

    pushed = answer.json()
    assert (answer.status_code, pushed["number"]) == (202, 1)
    assert answer.headers["location"] == f"/api/v1/operations/{pushed['operation_id']}"
    operation = (await api.client.get(answer.headers["location"])).json()
    assert (operation["kind"], operation["status"]) == ("alloy.check", "queued")
    version = (await api.client.get(f"{ALLOY}/scripts/{script['id']}/versions/1")).json()
    assert (version["state"], version["code"]) == ("checking", CODE)


@pytest.mark.under_fire
async def test_a_push_that_is_repeated_with_its_key_makes_one_version(api: ApiUnderTest) -> None:
    """As any other write."""
    script = await create(api)
    url, key = f"{ALLOY}/scripts/{script['id']}/versions", {"Idempotency-Key": "push-1"}

    first, second = [await api.client.post(url, json={"code": CODE}, headers=key) for _ in range(2)]

    assert (second.json(), second.headers["idempotent-replayed"]) == (first.json(), "true")
    assert len((await api.client.get(url)).json()["data"]) == 1


@pytest.mark.under_fire
async def test_a_script_that_is_not_active_cannot_be_started(api: ApiUnderTest) -> None:
    """The answer says what is missing."""
    script = await create(api, triggers=[{"kind": "api"}])

    answer = await api.client.post(f"{ALLOY}/scripts/{script['id']}/runs", json={"input": {"n": 1}})

    assert_problem(answer, 409, "script_not_startable")


@pytest.mark.under_fire
async def test_a_version_that_was_not_checked_cannot_be_activated(api: ApiUnderTest) -> None:
    """Neither by its number nor without one."""
    script = await create(api)
    await api.client.post(f"{ALLOY}/scripts/{script['id']}/versions", json={"code": CODE})

    for body in ({}, {"number": 1}):
        answer = await api.client.post(f"{ALLOY}/scripts/{script['id']}/activate", json=body)
        assert_problem(answer, 409, "script_version_not_ready")


async def test_values_are_written_read_and_compared(api: ApiUnderTest) -> None:
    """`expected_version` makes a write one that takes nobody else's away."""
    script = await create(api)
    url = f"{ALLOY}/scripts/{script['id']}/kv/seen:1"

    written = await api.client.put(url, json={"value": {"n": [1, None]}, "expected_version": 0})
    again = await api.client.put(url, json={"value": 2, "expected_version": 0})
    read = await api.client.get(url)
    gone = [await api.client.delete(url) for _ in range(2)]

    assert (written.status_code, read.json()) == (200, written.json())
    assert_problem(again, 412, "version_mismatch")
    assert gone[0].status_code == 200
    assert_problem(gone[1], 404, "value_not_found")


@pytest.mark.parametrize("path", ["scripts/{script}/kv/seen", "secrets/mail"])
async def test_what_was_written_meanwhile_is_neither_overwritten_nor_deleted(api: ApiUnderTest, path: str) -> None:
    """The ETag of a value or a secret is that of its latest version."""
    script = (await api.client.post(f"{ALLOY}/scripts", json={"name": "keeper"})).json()
    url = f"{ALLOY}/{path.format(script=script['id'])}"
    first = await api.client.put(url, json={"value": "one-of-many"})
    seen, stale = first.headers["etag"], '"999"'

    answers = [
        await api.client.put(url, json={"value": "two-of-many"}, headers={"If-Match": stale}),
        await api.client.delete(url, headers={"If-Match": stale}),
        await api.client.put(url, json={"value": "two-of-many"}, headers={"If-Match": seen}),
        await api.client.delete(url, headers={"If-Match": seen}),
    ]

    assert [answer.status_code for answer in answers] == [412, 412, 200, 412]


async def test_a_secret_is_never_answered(api: ApiUnderTest) -> None:
    """Neither when it is set nor later, and not to a repeated request."""
    key = {"Idempotency-Key": "secret-1"}
    answers = [
        await api.client.put(f"{ALLOY}/secrets/mail", json={"value": "hunter2-hunter2"}),
        await api.client.post(f"{ALLOY}/scripts", json={"name": "other"}, headers=key),
        await api.client.get(f"{ALLOY}/secrets"),
    ]

    assert [answer.status_code for answer in answers] == [200, 201, 200]
    assert not any("hunter2" in answer.text for answer in answers)
    assert [secret["name"] for secret in answers[2].json()["data"]] == ["mail"]


@pytest.mark.under_fire
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"name": "UPPER"}, ("#/name", "string_pattern_mismatch")),
        ({"name": "x", "triggers": [{"kind": "event"}]}, ("#/triggers/0/event/pattern", "missing")),
        ({"name": "x", "triggers": [{"kind": "later"}]}, ("#/triggers/0", "union_tag_invalid")),
        ({"name": "x", "grants": ["alloy.scripts.write"]}, ("#/grants/0", "grant_not_allowed")),
        ({"name": "x", "code": "pass"}, ("#/code", "extra_forbidden")),
    ],
)
async def test_a_fault_is_told_with_its_place(api: ApiUnderTest, body: dict[str, Any], fault: tuple[str, str]) -> None:
    """As for every other input."""
    answer = await api.client.post(f"{ALLOY}/scripts", json=body)

    assert fault in pointers(assert_problem(answer, 422, answer.json()["code"]))


@pytest.mark.under_fire
@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", f"/scripts/{UNKNOWN_ID}", "script_not_found"),
        ("POST", f"/scripts/{UNKNOWN_ID}/activate", "script_not_found"),
        ("GET", f"/scripts/{UNKNOWN_ID}/versions", "script_not_found"),
        ("GET", f"/scripts/{UNKNOWN_ID}/versions/1", "script_version_not_found"),
        ("GET", f"/runs/{UNKNOWN_ID}", "run_not_found"),
        ("GET", f"/scripts/{UNKNOWN_ID}/kv/k", "value_not_found"),
        ("DELETE", "/secrets/unknown", "secret_not_found"),
    ],
)
async def test_what_is_not_there_is_not_found(api: ApiUnderTest, method: str, path: str, code: str) -> None:
    """With a code that says what."""
    answer = await api.client.request(method, f"{ALLOY}{path}", json={} if method == "POST" else None)

    assert_problem(answer, 404, code)


@pytest.mark.under_fire
async def test_an_editor_sees_no_scripts_and_a_manager_changes_none(api: ApiUnderTest) -> None:
    """Roles say who works with scripts: owner and admin; a manager may look."""
    script = await create(api)
    editor, manager = [bearer(await api.new_key(role)) for role in ("editor", "manager")]
    url = f"{ALLOY}/scripts/{script['id']}"

    assert_problem(await api.client.get(url, headers=editor), 403, "permission_denied")
    assert (await api.client.get(url, headers=manager)).status_code == 200
    push = await api.client.post(f"{url}/versions", json={"code": CODE}, headers=manager)
    assert_problem(push, 403, "permission_denied")
