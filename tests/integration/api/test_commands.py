"""Commands over HTTP."""

import pytest

from tests.integration.api.support import PRODUCTS, UNKNOWN_ID, ApiUnderTest, a_product, assert_problem, pointers


@pytest.mark.under_fire
async def test_a_created_product_is_answered_with_its_version_and_place(api: ApiUnderTest) -> None:
    """201, the representation, a strong ETag of its version, and a Location that can be read."""
    response = await api.client.post(PRODUCTS, json=a_product())

    product = response.json()
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json"
    assert response.headers["etag"] == '"1"'
    assert response.headers["location"] == f"{PRODUCTS}/{product['id']}"
    assert (await api.client.get(response.headers["location"])).json() == product


async def test_path_and_body_together_are_the_input(api: ApiUnderTest) -> None:
    """Placeholders of the route are fields of the input; the other fields are the body."""
    product = await api.create()

    response = await api.client.put(
        f"{PRODUCTS}/{product['id']}/translations/de", json={"title": "Rad"}, headers={"If-Match": '"1"'}
    )

    assert response.status_code == 200
    assert response.json()["translations"]["de"]["title"] == "Rad"


@pytest.mark.under_fire
async def test_a_body_may_not_repeat_what_the_path_says(api: ApiUnderTest) -> None:
    """One of the two would have to be ignored."""
    product = await api.create()

    response = await api.client.patch(
        f"{PRODUCTS}/{product['id']}", json={"product_id": UNKNOWN_ID}, headers={"If-Match": '"1"'}
    )

    assert pointers(assert_problem(response, 422, "invalid_input")) == [("#/product_id", "extra_forbidden")]


@pytest.mark.under_fire
@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_a_command_without_a_body_takes_none_or_an_empty_object(api: ApiUnderTest, body: bytes) -> None:
    """Everything is in the path; clients send `{}` or nothing."""
    product = await api.create()

    response = await api.client.post(
        f"{PRODUCTS}/{product['id']}/publish", content=body, headers={"Content-Type": "application/json"}
    )

    assert (response.status_code, response.json()["status"]) == (200, "active")


@pytest.mark.under_fire
async def test_a_command_with_a_body_wants_one(api: ApiUnderTest) -> None:
    """An empty text is not JSON (RFC 8259)."""
    assert_problem(await api.post_text(""), 400, "malformed_json")


@pytest.mark.parametrize("media_type", ["application/json", "application/merge-patch+json"])
async def test_a_patch_may_say_that_it_is_a_merge_patch(api: ApiUnderTest, media_type: str) -> None:
    """RFC 7396: present fields replace the stored ones, null clears one."""
    product = await api.create(vendor="Acme", product_type="bike")

    response = await api.client.patch(
        f"{PRODUCTS}/{product['id']}",
        content=b'{"vendor": null}',
        headers={"Content-Type": media_type, "If-Match": '"1"'},
    )

    assert response.status_code == 200
    assert (response.json()["vendor"], response.json()["product_type"]) == (None, "bike")


@pytest.mark.under_fire
async def test_a_duplicate_handle_is_a_conflict(api: ApiUnderTest) -> None:
    """A rule of the module answers with the module's own code."""
    await api.create()

    response = await api.client.post(PRODUCTS, json=a_product())

    assert assert_problem(response, 409, "duplicate_handle")["retryable"] is False
    assert "retry-after" not in response.headers


@pytest.mark.under_fire
async def test_a_rule_over_several_fields_is_named_with_its_place(api: ApiUnderTest) -> None:
    """Violations of a module's own rules carry pointers, too."""
    variants = [{"sku": "A", "option1": "red"}]

    response = await api.client.post(PRODUCTS, json=a_product(variants=variants))

    problem = assert_problem(response, 422, "options_mismatch")
    assert pointers(problem) == [("#/variants/0/option1", "invalid_option")]
