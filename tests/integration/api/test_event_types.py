"""The catalogue of events, and that what happens is what it says: CloudEvents whose data fits their schemas."""

import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from rustok.catalog import MODULES
from rustok.kernel.ids import uuid7
from rustok.modules.access import Attempt, Circumstances, SignInRefused
from tests.integration.api.possessions import OPERATIONS, REGISTRY, Owner
from tests.integration.api.support import ApiUnderTest, assert_problem

TYPES = "/api/v1/events/types"
NOBODY = {"Authorization": ""}
ATTRIBUTES = {
    "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema",
    "tenantid", "correlationid", "causationid", "partitionkey", "data",
}  # fmt: skip
NEVER_HERE = {
    "alloy.run.emitted",  # what a hook says
    "alloy.script.checked",  # what workers find
    "alloy.script.disabled",
    "tenants.tenant.erased",  # nobody's
}
OF_THE_OPERATOR: list[tuple[str, dict[str, Any]]] = [
    ("tenants.domains.add", {"domain": "shop.example"}),
    ("tenants.domains.remove", {"domain": "shop.example"}),
    ("tenants.storefronts.open", {}),
    ("tenants.storefronts.close", {}),
    ("tenants.quotas.set", {"request_quota": "2000/s"}),
    ("tenants.tenants.disable", {}),
    ("tenants.tenants.enable", {}),
    ("tenants.modules.switch", {"module": "blog", "is_enabled": False}),
    ("tenants.modules.switch", {"module": "blog", "is_enabled": True}),
]
_ATTRIBUTE_NAME = re.compile(r"[a-z0-9]{1,20}")


async def catalogue(api: ApiUnderTest) -> list[dict[str, Any]]:
    answer = await api.client.get(TYPES, headers=NOBODY)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_everybody_may_see_the_catalogue(shared_api: ApiUnderTest) -> None:
    """All types in all versions: it tells nothing of a tenant."""
    found = await catalogue(shared_api)

    declared = sorted((event.type, event.version) for module in MODULES for event in module.events)
    assert [(entry["type"], entry["version"]) for entry in found] == declared


async def test_an_entry_says_what_the_events_are_and_where_their_schema_is(shared_api: ApiUnderTest) -> None:
    """For one of them."""
    [entry] = [entry for entry in await catalogue(shared_api) if entry["type"] == "commerce.product.updated"]

    assert entry == {
        "type": "commerce.product.updated",
        "version": 1,
        "is_newest": True,
        "cloudevents_type": "rustok.commerce.product.updated.v1",
        "aggregate": "product",
        "summary": "Fields of the product itself changed; `changed` names them.",
        "example": {"changed": ["tags", "vendor"]},
        "dataschema": "urn:rustok:event:commerce.product.updated.v1",
        "schema": f"{TYPES}/commerce.product.updated.v1/schema",
    }


async def test_every_entry_leads_to_a_schema_which_its_example_fits(shared_api: ApiUnderTest) -> None:
    """JSON Schema, draft 2020-12, named as the events name it."""
    for entry in await catalogue(shared_api):
        answer = await shared_api.client.get(entry["schema"], headers=NOBODY)

        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/schema+json")
        schema = answer.json()
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["$id"] == entry["dataschema"]
        Draft202012Validator.check_schema(schema)
        validator(schema).validate(entry["example"])


@pytest.mark.parametrize("name", ["commerce.product.created", "commerce.product.created.v2", "no.such.event.v1", "%00"])
async def test_an_event_that_is_not_declared_has_no_schema(shared_api: ApiUnderTest, name: str) -> None:
    """Nor has a version that is not."""
    assert_problem(await shared_api.client.get(f"{TYPES}/{name}/schema"), 404, "event_type_not_found")


async def test_all_that_happens_is_told_in_events_that_fit_the_catalogue(api: ApiUnderTest) -> None:
    """The history of a tenant who has used every command."""
    owner = await Owner.create(api)
    await use_everything(owner)
    await be_operated_on(owner)
    schemas = {entry["dataschema"]: await schema_of(api, entry) for entry in await catalogue(api)}

    events = await history(api, owner)

    for event in events:
        assert_cloud_event(event)
        assert event["dataschema"] == f"urn:rustok:event:{event['type'].removeprefix('rustok.')}"
        validator(schemas[event["dataschema"]]).validate(event["data"])
    assert len({(event["source"], event["id"]) for event in events}) == len(events)
    assert happened(events) == {name for name, _ in REGISTRY.events} - NEVER_HERE


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def assert_cloud_event(event: dict[str, Any]) -> None:
    """Check *event* against the specification, section "Context Attributes", and the JSON format."""
    assert event.keys() - {"traceparent"} == ATTRIBUTES
    assert all(_ATTRIBUTE_NAME.fullmatch(name) for name in event)
    texts = [value for name, value in event.items() if name != "data"]
    assert all(isinstance(value, str) and value for value in texts)
    assert (event["specversion"], event["datacontenttype"]) == ("1.0", "application/json")
    assert urlsplit(event["source"]).path == event["source"]
    assert urlsplit(event["dataschema"]).scheme == "urn"  # an absolute URI, which a path is not
    assert datetime.fromisoformat(event["time"]).tzinfo is not None


async def use_everything(owner: Owner) -> None:
    """Run every command that has a route, about something new each, and what takes something back."""
    for operation in OPERATIONS:
        if operation.name in REGISTRY.commands:
            answer = await owner.send(operation, await owner.possess())
            assert answer.is_success, (operation.name, answer.text)
    names = (await owner.possess()).names
    for action in ("publish", "unpublish"):
        await owner.run(f"commerce.products.{action}", product_id=names["product_id"])
        await owner.run(f"content.nodes.{action}", node_id=names["node_id"])
    key = await owner.run("access.api_keys.create", name="a key", role="editor")
    await owner.run("access.api_keys.revoke", key_id=key.key_id)
    await sign_in_and_out(owner)
    await owner.api.rustok.settle()


async def sign_in_and_out(owner: Owner) -> None:
    """Have a user of the tenant try a wrong password, then the right one, and sign out."""
    platform, about = owner.api.rustok.platform, Circumstances(uuid7(), None)
    user = await owner.run("access.users.create", email="ada@example.org", name="Ada")
    await owner.run("access.users.set_password", user_id=str(user.id), password="correct horse battery")
    with pytest.raises(SignInRefused):
        await platform.sign_ins.by_password(Attempt(owner.tenant_id, user.email, "a guess"), about)
    tokens = await platform.sign_ins.by_password(Attempt(owner.tenant_id, user.email, "correct horse battery"), about)
    await platform.sessions.sign_out(tokens.refresh_token, about)


async def be_operated_on(owner: Owner) -> None:
    """Have done about the tenant what only an operator does, and what would keep the others from answering."""
    for command, fields in OF_THE_OPERATOR:
        await owner.run(command, **fields)
    await owner.api.rustok.settle()


async def schema_of(api: ApiUnderTest, entry: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await api.client.get(entry["schema"])).json()
    return found


async def history(api: ApiUnderTest, owner: Owner) -> list[dict[str, Any]]:
    """Return all events of the tenant."""
    found: list[dict[str, Any]] = []
    parameters, has_more = {"limit": "100"}, True
    while has_more:
        answer = (await api.client.get("/api/v1/events", params=parameters, headers=dict(owner.headers))).json()
        found += answer["data"]
        parameters["after"], has_more = answer["page"]["next"], answer["page"]["has_more"]
    return found


def happened(events: list[dict[str, Any]]) -> set[str]:
    return {event["type"].removeprefix("rustok.").rpartition(".v")[0] for event in events}
