"""Every PATCH is a merge patch (RFC 7396) of what its thing has of its own."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustok.catalog import MODULES
from rustok.kernel.merge_patch import merge_patch
from rustok.kernel.registry import placeholders
from rustok.testing import DatabaseServer, PlatformUnderTest
from tests.integration.api.possessions import OPERATIONS, Operation, Owner, Possessions
from tests.integration.api.support import ApiUnderTest, assert_problem, pointers

PATCHES = [operation for operation in OPERATIONS if operation.method == "PATCH"]
FIELDS = [
    (operation, field)
    for operation in PATCHES
    for field in operation.input.model_fields
    if field not in placeholders(operation.path)
]
FREE_FORM = [(operation, field) for operation, field in FIELDS if field in {"seo", "metadata", "rich_description"}]
NEW: dict[str, Any] = {
    "tags": [], "seo": {}, "metadata": {}, "rich_description": {}, "inventory_policy": "deny", "position": 0,
    "description": "", "triggers": [], "grants": [], "hosts": [], "secrets": [], "is_active": True, "summary": "",
    "parents": [], "own_grants": [],
}  # fmt: skip
"""What a new thing has in a field; null in all others."""
OTHERWISE: dict[str, Any] = {
    "tags": ["a"], "seo": {"a": 1}, "metadata": {"a": 1}, "rich_description": {"a": 1}, "inventory_policy": "continue",
    "position": 4, "description": "Does it.", "triggers": [{"kind": "api"}], "grants": ["commerce.products.read"],
    "hosts": ["example.com"], "secrets": ["a-secret"], "vendor": "Acme", "product_type": "bike", "sku": "S",
    "barcode": "B", "weight_g": 3, "author": "Ada", "is_active": False, "summary": "Helps.", "parents": ["customer"],
    "own_grants": ["content.nodes.write"],
}  # fmt: skip
WANTED = {"name": "invalid_input", "option1": "options_mismatch"}
"""What things must have, and the code of its refusal: a script its name, the variant of `possess` its size."""
NAMES = st.sampled_from(["a", "b", "c"])
OBJECTS = st.dictionaries(
    NAMES,
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text("xyz", max_size=2),
        lambda below: st.lists(below, max_size=2) | st.dictionaries(NAMES, below, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)


class Patcher:
    """A tenant with one of everything, which it patches at the version that it has."""

    def __init__(self, owner: Owner, about: Possessions) -> None:
        self._owner = owner
        self._about = about

    async def patch(self, operation: Operation, body: Any) -> httpx2.Response:
        path = operation.path.format_map(self._about.names)
        root = "/".join(path.split("/")[:6])
        client, headers = self._owner.api.client, self._owner.headers
        version = (await client.get(root, headers=headers)).headers["etag"]
        return await client.patch(path, json=body, headers={"If-Match": version, **headers})

    async def patched(self, operation: Operation, field: str, value: Any) -> Any:
        """Return what *field* is after a patch that has nothing but *value* for it."""
        answer = await self.patch(operation, {field: value})
        assert answer.status_code == 200, answer.text
        thing = answer.json()
        return (thing["variants"][0] if "{variant_id}" in operation.path else thing)[field]


@pytest.fixture(scope="module")
async def patcher(database_server: DatabaseServer) -> AsyncIterator[Patcher]:
    async with (
        database_server.throw_away() as database,
        PlatformUnderTest.open(MODULES, database) as rustok,
        ApiUnderTest.open(rustok) as api,
    ):
        owner = await Owner.create(api)
        yield Patcher(owner, await owner.possess())


@pytest.mark.parametrize(("operation", "field"), FIELDS, ids=lambda part: getattr(part, "name", part))
async def test_null_gives_a_field_what_a_new_thing_has(patcher: Patcher, operation: Operation, field: str) -> None:
    """A member is removed; where there must be one, the answer says so, and nothing is changed."""
    if field in WANTED:
        refused = assert_problem(await patcher.patch(operation, {field: None}), 422, WANTED[field])
        assert [pointer for pointer, _ in pointers(refused)] == [f"#/{field}"]
        return
    if field in OTHERWISE:
        assert await patcher.patched(operation, field, OTHERWISE[field]) == OTHERWISE[field]

    assert await patcher.patched(operation, field, None) == NEW.get(field)


@pytest.mark.parametrize(("operation", "field"), FREE_FORM, ids=lambda part: getattr(part, "name", part))
@settings(max_examples=12)
@given(stored=OBJECTS, patch=OBJECTS)
async def test_a_free_form_object_is_merged(
    patcher: Patcher, operation: Operation, field: str, stored: Any, patch: Any
) -> None:
    """Down to its last member: null removes it, a list is replaced, and what is not named stays."""
    await patcher.patched(operation, field, None)

    first = await patcher.patched(operation, field, stored)
    second = await patcher.patched(operation, field, patch)

    assert first == merge_patch({}, stored)
    assert second == merge_patch(first, patch)


@pytest.mark.parametrize(("operation", "field"), FREE_FORM, ids=lambda part: getattr(part, "name", part))
async def test_what_a_patch_makes_too_large_is_refused(patcher: Patcher, operation: Operation, field: str) -> None:
    """The limit holds for the object that comes of it, not for the patch alone."""
    await patcher.patched(operation, field, {"a": "x" * 40_000})

    answer = await patcher.patch(operation, {field: {"b": "x" * 40_000}})

    assert pointers(assert_problem(answer, 422, "invalid_input")) == [(f"#/{field}", "value_error")]
