"""The main job through real processes: from a new tenant to a storefront's answer and back to nothing."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.e2e.conftest import RunningPlatform, rustok_command
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(600)  # the first test waits for the platform of the session


def rustok(platform: RunningPlatform, *arguments: str) -> Any:
    """Run the command line against the running platform and return what it prints as JSON."""
    command = [str(rustok_command()), *arguments, "--json"]
    finished = subprocess.run(command, env=dict(platform.env), capture_output=True, text=True, check=True)  # noqa: S603 - ours
    return json.loads(finished.stdout)


@pytest.fixture(scope="module")
def shop(platform: RunningPlatform) -> Iterator[httpx2.Client]:
    """A client of a tenant that did not exist before."""
    rustok(platform, "tenant", "create", "main-job")
    [key] = rustok(platform, "apikey", "create", "--tenant", "main-job", "--role", "manager")
    with httpx2.Client(base_url=platform.url, headers={"Authorization": f"Bearer {key['token']}"}) as client:
        yield client


def test_a_product_lives_from_its_creation_to_its_end(shop: httpx2.Client) -> None:
    """Tenant, key, product, publish, found in the right locale, updated, deleted, gone."""
    created = shop.post(
        "/api/v1/commerce/products",
        json={
            "translations": {"en": {"title": "Red kettle"}, "ru": {"title": "Красный чайник"}},
            "variants": [{"sku": "KETTLE", "prices": {"EUR": {"amount": 2500}}}],
        },
    )
    path = created.headers["Location"]

    published = shop.post(f"{path}/publish")
    eventually(lambda: titles(shop, "ru", "чайники") == ["Красный чайник"])
    found_in_english = titles(shop, "en", "kettles")
    found_in_german = titles(shop, "de", "kettle")
    updated = shop.put(
        f"{path}/translations/en",
        headers={"If-Match": published.headers["ETag"]},
        json={"title": "Blue kettle"},
    )
    eventually(lambda: titles(shop, "en", "blue") == ["Blue kettle"])
    unpublished = shop.post(f"{path}/unpublish")
    deleted = shop.delete(path, headers={"If-Match": unpublished.headers["ETag"]})
    eventually(lambda: titles(shop, "ru", "чайник") == titles(shop, "en", "kettle") == [])

    assert [answer.status_code for answer in (created, published, updated, unpublished, deleted)] == [
        *(201, 200, 200, 200, 200)
    ]
    assert found_in_english == ["Red kettle"]
    assert found_in_german == []
    assert shop.get(path).status_code == 404


def test_another_tenant_sees_nothing_of_it(platform: RunningPlatform, shop: httpx2.Client) -> None:
    """The demo tenant's products are not in this tenant's search, and its ids do not exist here."""
    with httpx2.Client(base_url=platform.url, headers={"Authorization": f"Bearer {platform.token}"}) as demo:
        theirs = demo.get("/api/v1/commerce/products", params={"limit": 1}).json()["data"][0]

        assert demo.get(f"/api/v1/commerce/products/{theirs['id']}").status_code == 200
    assert shop.get(f"/api/v1/commerce/products/{theirs['id']}").status_code == 404
    assert shop.get("/api/v1/search/products", params={"locale": "en"}).json()["data"] == []


def titles(client: httpx2.Client, locale: str, query: str) -> list[str]:
    answer = client.get("/api/v1/search/products", params={"locale": locale, "q": query})
    return [hit["title"] for hit in answer.json()["data"]]
