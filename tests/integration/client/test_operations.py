"""Operations of a typed client against the real API: objects, versions, lists, batches, problems."""

from uuid import UUID

import pytest

from rustok.client import (
    ABSENT,
    CallFailed,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    Problem,
    RustokClient,
    Unauthenticated,
    VersionMismatch,
)
from tests.integration.api.support import UNKNOWN_ID, ApiUnderTest
from tests.integration.client.support import Written, a_product, client_of, written


async def test_what_was_created_is_read_as_a_typed_object(client: RustokClient) -> None:
    """Ids, times and what is nested have their types."""
    created = await a_product(client, vendor="Acme", variants=[{"sku": "RED", "prices": {"EUR": {"amount": 19900}}}])

    read = await client.commerce.products.get(created.id)

    assert read == created
    assert isinstance(read.id, UUID)
    assert read.created_at.tzinfo is not None
    assert (read.version, read.status, read.vendor) == (1, "draft", "Acme")
    assert read.translations["en"].title == "Red bicycle"
    assert read.variants[0].prices["EUR"].amount == 19900


async def test_an_argument_that_is_left_out_leaves_its_field_as_it_is(client: RustokClient) -> None:
    """None is something else: it clears the field."""
    product = await a_product(client, vendor="Acme", product_type="bicycle")

    changed = await client.commerce.products.update(product.id, expected_version=product.version, vendor=None)

    assert (changed.vendor, changed.product_type, changed.version) == (None, "bicycle", 2)


async def test_a_version_that_is_not_the_stored_one_changes_nothing(client: RustokClient) -> None:
    """The first writer wins, and the second is told that its write is certainly not done."""
    product = await a_product(client)
    await client.commerce.products.update(product.id, expected_version=1, vendor="Acme")

    with pytest.raises(VersionMismatch, match=r"commerce\.products\.update: 412 version_mismatch") as raised:
        await client.commerce.products.update(product.id, expected_version=1, vendor="Zenith")

    assert (raised.value.may_be_done, raised.value.attempts) == (False, 1)
    assert (await client.commerce.products.get(product.id)).vendor == "Acme"


async def test_what_must_not_exist_yet_is_made_once(client: RustokClient) -> None:
    """ABSENT as the expected version, of a value of a script."""
    script = await client.alloy.scripts.create(name="counter")
    value = await client.alloy.kv.set(script.id, "visits", value=1, expected_version=ABSENT)

    with pytest.raises(VersionMismatch):
        await client.alloy.kv.set(script.id, "visits", value=2, expected_version=ABSENT)

    assert (await client.alloy.kv.get(script.id, "visits")) == value


async def test_a_list_is_read_page_by_page_as_far_as_it_is_iterated(client: RustokClient) -> None:
    """Things one after the other over the ends of pages; pages; the first page alone; and on from a cursor."""
    made = [(await a_product(client, f"Number {number}")).id for number in range(5)]
    newest_first = made[::-1]
    products = client.commerce.products.list(limit=2)

    first = await products.first()

    assert [product.id async for product in products] == newest_first
    assert [[product.id for product in page.data] async for page in products.by_page()] == [
        newest_first[:2],
        newest_first[2:4],
        newest_first[4:],
    ]
    assert [product.id for product in first.data] == newest_first[:2]
    assert [product.id async for product in client.commerce.products.list(limit=2, after=first.next)] == made[2::-1]


async def test_the_log_of_events_is_read_to_what_is_its_end_now(client: RustokClient, api: ApiUnderTest) -> None:
    """Its cursor goes on for ever; what happens later is read with it."""
    await a_product(client)
    await api.rustok.settle()
    pages = [page async for page in client.outbox.events.list(type="commerce.*", limit=1).by_page()]
    await a_product(client, "Blue bicycle")
    await api.rustok.settle()

    later = [event async for event in client.outbox.events.list(type="commerce.*", after=pages[-1].next)]

    assert [event.type for page in pages for event in page.data] == ["rustok.commerce.product.created.v1"]
    assert [event.type for event in later] == ["rustok.commerce.product.created.v1"]


async def test_a_command_that_is_awaited_again_is_done_once(client: RustokClient, api: ApiUnderTest) -> None:
    """It has a key of its own, and the result of the first time."""
    command = a_product(client)

    first, second = await command, await command

    assert first == second
    assert await written(api.database, api.tenant_id) == Written(rows=1, created=1)


async def test_two_processes_that_share_a_key_write_once(client: RustokClient, api: ApiUnderTest) -> None:
    """A key that outlives the process is set on the command."""
    one, other = a_product(client), a_product(client)
    one.idempotency_key = other.idempotency_key = "import 17"

    assert await one == await other
    assert await written(api.database, api.tenant_id) == Written(rows=1, created=1)


async def test_a_command_that_nobody_awaits_warns(client: RustokClient) -> None:
    """As a coroutine does: nothing was written."""
    with pytest.warns(RuntimeWarning, match=r"commerce\.products\.create was never sent"):
        a_product(client)


async def test_a_batch_that_nobody_awaits_warns(client: RustokClient) -> None:
    """Its commands count as sent once they are in it. One that cannot be made has lost nothing: its exception tells."""
    batched = a_product(client)

    with pytest.warns(RuntimeWarning, match=r"commerce\.batch of 1 commands was never sent"):
        client.commerce.batch([batched], mode="atomic")
    with pytest.raises(ValueError, match="await it alone"):
        client.commerce.batch([batched], mode="atomic")


async def test_an_independent_batch_has_a_result_or_a_problem_for_each_command(client: RustokClient) -> None:
    """Typed, in their order, with the place of each fault."""
    product = await a_product(client)

    made, refused, changed = await client.commerce.batch(
        [
            a_product(client, "Helmet"),
            client.commerce.products.create(translations={}),
            client.commerce.products.update(product.id, expected_version=1, vendor="Acme"),
        ],
        mode="independent",
    )

    assert not isinstance(made, Problem)
    assert made.translations["en"].title == "Helmet"
    assert isinstance(refused, InvalidInput)
    assert [fault.pointer for fault in refused.errors] == ["#/items/1/input/translations"]
    assert not isinstance(changed, Problem)
    assert (changed.id, changed.vendor) == (product.id, "Acme")


async def test_an_atomic_batch_raises_the_problem_of_the_command_that_failed(
    client: RustokClient, api: ApiUnderTest
) -> None:
    """Nothing of it is done."""
    batch = client.commerce.batch([a_product(client), client.commerce.products.create(translations={})], mode="atomic")

    with pytest.raises(InvalidInput, match=r"commerce\.batch: 422 invalid_input.*#/items/1/input/translations"):
        await batch

    assert await written(api.database, api.tenant_id) == Written(rows=0, created=0)


async def test_a_batch_that_is_awaited_again_does_nothing_twice(client: RustokClient, api: ApiUnderTest) -> None:
    """As a command."""
    batch = client.commerce.batch([a_product(client, "One"), a_product(client, "Two")], mode="atomic")

    assert await batch == await batch
    assert await written(api.database, api.tenant_id) == Written(rows=2, created=2)


async def test_problems_are_exceptions_by_what_a_caller_does_about_them(
    client: RustokClient, api: ApiUnderTest
) -> None:
    """Each says what was called, where the fault lies, and under which id the server has logged it."""
    product = await a_product(client, status="active")
    reader = client_of(api, await api.new_key("customer"))

    with pytest.raises(NotFound) as missing:
        await client.commerce.products.get(UNKNOWN_ID)
    with pytest.raises(Conflict) as published:
        await client.commerce.products.delete(product.id, expected_version=product.version)
    with pytest.raises(InvalidInput) as invalid:
        await client.commerce.products.create(translations={"en": {"title": ""}})
    with pytest.raises(Forbidden):
        await a_product(reader)
    with pytest.raises(Unauthenticated):
        await client_of(api, "rtk_test_no_such_key").commerce.products.get(product.id)

    assert (missing.value.code, published.value.code) == ("product_not_found", "product_published")
    assert [fault.pointer for fault in invalid.value.errors] == ["#/translations/en/title"]
    assert "#/translations/en/title" in str(invalid.value)
    assert str(invalid.value.request_id) in str(invalid.value)


@pytest.mark.parametrize("part", ["", ".", "..", "a/b"])
async def test_a_part_of_a_path_cannot_lead_elsewhere(client: RustokClient, part: str) -> None:
    """It would be the path of the list, or of the thing above: a DELETE of something else."""
    script = await client.alloy.scripts.create(name="counter")

    with pytest.raises(ValueError, match="key must not be"):
        await client.alloy.kv.delete(script.id, part)


@pytest.mark.parametrize("base_url", ["api.test", "ftp://api.test", ""])
def test_an_address_that_is_none_of_http_is_refused(base_url: str) -> None:
    """At once, not at the first call."""
    with pytest.raises(ValueError, match="base_url must begin with"):
        RustokClient(base_url, "token")


@pytest.mark.parametrize("text", ["", " ", "two\nlines", "ключ"])
async def test_a_text_that_cannot_be_a_header_is_refused(client: RustokClient, text: str) -> None:
    """As a token, a tenant or a key: it would be another header, or none."""
    command = a_product(client)
    batch = client.commerce.batch([a_product(client)], mode="atomic")
    command.idempotency_key = batch.idempotency_key = text

    with pytest.raises(ValueError, match="a token must be printable ASCII"):
        RustokClient("http://api.test", text)
    with pytest.raises(ValueError, match="tenant must be printable ASCII"):
        RustokClient("http://api.test", tenant=text)
    for keyed in (command, batch):
        with pytest.raises(ValueError, match="idempotency_key must be printable ASCII"):
            await keyed


async def test_whatever_goes_wrong_is_one_exception(client: RustokClient) -> None:
    """Callers who only want to know that it failed catch CallFailed."""
    with pytest.raises(CallFailed):
        await client.commerce.products.get(UNKNOWN_ID)
