"""Each fence between tenants holds by itself, at every route; without them every route is open."""

import pytest
from structlog.testing import capture_logs

from rustok.testing import DatabaseServer
from tests.integration.api.fences import without_predicates, without_row_level_security, without_tenants_in_keys
from tests.integration.api.possessions import OPERATIONS, Owner
from tests.integration.api.support import ApiUnderTest
from tests.integration.api.trespass import gives_away

pytestmark = pytest.mark.timeout(600)

NOTHING_TO_GIVE_AWAY = {
    "access.api_keys.create": "makes something of its own",
    "access.me.get": "tells whoever asks of themselves",
    "access.roles.create": "makes something of its own",
    "access.service_principals.create": "makes something of its own",
    "access.users.create": "makes something of its own",
    "access.audit.list": "events hold no words of a tenant: test_audit.py",
    "alloy.limits.get": "figures alone",
    "alloy.scripts.create": "makes something of its own",
    "alloy.secrets.list": "names alone, in which no mark is",
    "alloy.secrets.set": "makes something of its own",
    "blog.posts.create": "makes something of its own",
    "commerce.products.create": "makes something of its own",
    "content.nodes.create": "makes something of its own",
    "index.content.search": "a function, which compares the tenant itself: test_row_level_security.py",
    "index.products.search": "a function, which compares the tenant itself: test_row_level_security.py",
    "jobs.dead_letters.discard": "makes a job of its own",
    "jobs.dead_letters.redrive": "makes a job of its own",
    "outbox.events.list": "events hold no words of a tenant: test_events.py",
    "tenants.modules.list": "reads the row of the tenant by its id",
    "tenants.modules.switch": "reads the row of the tenant by its id",
}
"""Operations that these two fences keep nothing from, and why."""


async def given_away(api: ApiUnderTest) -> dict[str, list[str]]:
    """Return what each operation gives away of a tenant to another one, where it does."""
    first = await Owner.create(api)
    found = {}
    theirs = await first.possess()
    for operation in OPERATIONS:
        other = await Owner.create(api)
        if what := await gives_away(first, other, operation, theirs):
            found[operation.name] = what
            theirs = await first.possess()
    return found


async def test_the_words_of_statements_hold_alone(database_server: DatabaseServer) -> None:
    """Nobody is above a repository."""
    async with ApiUnderTest.alone(database_server) as api:
        await without_row_level_security(api.database)
        await without_tenants_in_keys(api.database)

        assert await given_away(api) == {}


async def test_row_level_security_holds_alone(database_server: DatabaseServer) -> None:
    """A repository that forgets the tenant sees no more for it."""
    with without_predicates():
        async with ApiUnderTest.alone(database_server) as api:
            await without_tenants_in_keys(api.database)

            assert await given_away(api) == {}


@pytest.mark.deep
async def test_without_both_every_route_is_open(database_server: DatabaseServer) -> None:
    """So the tests above, and those of test_other_tenants.py, would notice it at each of them."""
    with without_predicates(), capture_logs():  # what a key refuses then is an error, with its traceback
        async with ApiUnderTest.alone(database_server) as api:
            await without_row_level_security(api.database)

            found = await given_away(api)

    assert {operation.name for operation in OPERATIONS} - set(found) == set(NOTHING_TO_GIVE_AWAY)
