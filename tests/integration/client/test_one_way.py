"""A command is sent in one way: a batch has another key, so that both might do it."""

import pytest

from rustok.client import RustokClient
from tests.integration.api.support import ApiUnderTest
from tests.integration.client.support import Written, a_product, written


async def test_what_was_sent_alone_does_not_go_into_a_batch(client: RustokClient, api: ApiUnderTest) -> None:
    """Neither when it was done nor when that is not known."""
    command = a_product(client)
    await command

    with pytest.raises(ValueError, match="await it alone"):
        client.commerce.batch([command], mode="independent")

    assert await written(api.database, api.tenant_id) == Written(rows=1, created=1)


async def test_what_was_put_into_a_batch_is_not_sent_alone(client: RustokClient, api: ApiUnderTest) -> None:
    """The batch may be awaited again, and does nothing twice."""
    command = a_product(client)
    batch = client.commerce.batch([command], mode="independent")
    await batch

    with pytest.raises(ValueError, match="await the batch again"):
        await command
    with pytest.raises(ValueError, match="await it alone"):
        client.commerce.batch([command], mode="independent")
    await batch

    assert await written(api.database, api.tenant_id) == Written(rows=1, created=1)


async def test_a_key_that_was_set_is_not_lost_in_a_batch(client: RustokClient) -> None:
    """Another process would not find what was done."""
    command = a_product(client)
    command.idempotency_key = "order-77"

    with pytest.raises(ValueError, match="await it alone"):
        client.commerce.batch([command], mode="atomic")
    await command
