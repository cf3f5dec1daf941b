"""Nodes: their rules, as commands and queries show them."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from rustok.dispatch import Call
from rustok.kernel.errors import Forbidden, InvalidInput, NotFound, VersionMismatch, VersionRequired
from rustok.kernel.ids import uuid7
from rustok.modules.content import NodeKind
from rustok.modules.content.errors import (
    DuplicateSlug,
    LastTranslation,
    NodeCycle,
    NodeHasChildren,
    NodeNotFound,
    NodePublished,
    NodeTooDeep,
    ParentNotFound,
    TranslationNotFound,
)
from rustok.testing import PlatformUnderTest, a_context

pytestmark = pytest.mark.under_fire

REFERENCES: dict[str, dict[str, Any]] = {
    "content.nodes.update": {"author": "Ada"},
    "content.nodes.publish": {},
    "content.nodes.unpublish": {},
    "content.nodes.delete": {},
    "content.translations.set": {"locale": "en", "title": "Other"},
    "content.translations.delete": {"locale": "en"},
    "content.bodies.set": {"locale": "en", "body": "Other"},
}
"""Every command that names a node, with the rest of an input that fits."""

UNCHECKED = {"content.nodes.publish", "content.nodes.unpublish"}

BEYOND_THE_LIMITS: dict[str, dict[str, Any]] = {
    "no translation": {"translations": {}},
    "no locale": {"translations": {"english": {"title": "Cake"}}},
    "blank title": {"translations": {"en": {"title": "  "}}},
    "long title": {"translations": {"en": {"title": "a" * 256}}},
    "capital in slug": {"translations": {"en": {"title": "Cake", "slug": "Cake"}}},
    "long slug": {"translations": {"en": {"title": "Cake", "slug": "a" * 256}}},
    "long excerpt": {"translations": {"en": {"title": "Cake", "excerpt": "a" * 1001}}},
    "NUL in title": {"translations": {"en": {"title": "Cake\0"}}},
    "body without title": {"bodies": {"de": {"body": "Kuchen"}}},
    "long body": {"bodies": {"en": {"body": "ä" * 500_001}}},
    "broken JSON": {"bodies": {"en": {"body": "{", "format": "json"}}},
    "unknown format": {"bodies": {"en": {"body": "<p>", "format": "xml"}}},
    "NUL in body": {"bodies": {"en": {"body": "A\0B"}}},
    "position below": {"position": -1},
    "position above": {"position": 100_001},
    "capital in kind": {"kind": "Recipe"},
    "a wrapper's kind": {"kind": "post"},
    "empty tag": {"tags": [""]},
    "published at once": {"status": "published"},
}


def a_node(title: str = "Apple cake", **fields: Any) -> dict[str, Any]:
    return {"kind": "recipe", "translations": {"en": {"title": title}}, **fields}


async def create_chain(rustok: PlatformUnderTest, tenant: UUID, length: int) -> list[Any]:
    """Create *length* nodes, each below the one before."""
    chain: list[Any] = []
    for place in range(length):
        parent = {"parent_id": str(chain[-1].id)} if chain else {}
        chain.append(await rustok.run("content.nodes.create", tenant, **a_node(f"Node {place}", **parent)))
    return chain


async def call(rustok: PlatformUnderTest, operation: str, tenant: UUID, **fields: Any) -> Any:
    """Run a command or answer a query."""
    if operation in rustok.registry.commands:
        return await rustok.run(operation, tenant, seen=1, **fields)
    return await rustok.query(operation, tenant, **fields)


async def events_of(rustok: PlatformUnderTest, node_id: UUID) -> list[tuple[str, int]]:
    """Return the types and versions of the node's events, in order."""
    await rustok.settle()
    async with rustok.system_engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT type, aggregate_version FROM event_log WHERE aggregate_id = :id ORDER BY position"),
            {"id": node_id},
        )
        return [(row.type, row.aggregate_version) for row in rows]


async def test_a_new_node_is_a_draft_at_the_root(rustok: PlatformUnderTest) -> None:
    """Creating needs no right to publish, so nothing is public yet."""
    tenant = await rustok.create_tenant()

    node = await rustok.run("content.nodes.create", tenant, **a_node())

    assert (node.status, node.version, node.depth, node.position) == ("draft", 1, 0, 0)
    assert (node.parent_id, node.published_at) == (None, None)


async def test_a_node_is_read_as_it_was_written(rustok: PlatformUnderTest) -> None:
    """`get` returns every field, also the bodies."""
    tenant = await rustok.create_tenant()
    texts = {"title": "Apfelkuchen", "slug": "kuchen", "excerpt": "Mit Zimt"}
    fields: dict[str, Any] = {
        "author": "Ada",
        "tags": ["sweet"],
        "metadata": {"minutes": 50},
        "seo": {"title": "Cake"},
        "position": 7,
    }

    created = await rustok.run(
        "content.nodes.create",
        tenant,
        kind="recipe",
        translations={"de": texts},
        bodies={"de": {"body": "<p>Äpfel</p>", "format": "html"}},
        **fields,
    )

    node = await rustok.query("content.nodes.get", tenant, node_id=str(created.id))
    assert node.model_dump(include=set(fields)) == fields
    assert node.translations["de"].model_dump() == texts
    assert node.bodies["de"].model_dump() == {"body": "<p>Äpfel</p>", "format": "html"}


async def test_a_slug_is_made_from_the_title(rustok: PlatformUnderTest) -> None:
    """Without a slug the title gives one; a title without ASCII letters, the id."""
    tenant = await rustok.create_tenant()

    latin = await rustok.run("content.nodes.create", tenant, **a_node("Crème brûlée!"))
    cyrillic = await rustok.run("content.nodes.create", tenant, **a_node("Пирог"))

    assert latin.translations["en"].slug == "creme-brulee"
    assert cyrillic.translations["en"].slug == f"node-{cyrillic.id.hex}"


async def test_a_slug_is_taken_once_a_kind_and_locale(rustok: PlatformUnderTest) -> None:
    """The same slug in another locale, kind or tenant is another address."""
    tenant, other = await rustok.create_tenant("acme"), await rustok.create_tenant("other")
    await rustok.run("content.nodes.create", tenant, **a_node("Cake"))

    german: dict[str, Any] = {"translations": {"de": {"title": "Cake"}}}
    await rustok.run("content.nodes.create", tenant, **a_node(**german))
    await rustok.run("content.nodes.create", tenant, **a_node("Cake", kind="shop"))
    await rustok.run("content.nodes.create", other, **a_node("Cake"))

    with pytest.raises(DuplicateSlug):
        await rustok.run("content.nodes.create", tenant, **a_node("Cake"))


async def test_a_translation_cannot_take_anothers_slug(rustok: PlatformUnderTest) -> None:
    """The unique key holds for changes too."""
    tenant = await rustok.create_tenant()
    await rustok.run("content.nodes.create", tenant, **a_node("Cake"))
    node = await rustok.run("content.nodes.create", tenant, **a_node("Pie"))
    wanted: dict[str, Any] = {"node_id": str(node.id), "locale": "en", "title": "Pie", "slug": "cake"}

    with pytest.raises(DuplicateSlug):
        await rustok.run("content.translations.set", tenant, seen=1, **wanted)


@pytest.mark.parametrize("fault", BEYOND_THE_LIMITS)
async def test_an_input_beyond_the_limits_is_refused(rustok: PlatformUnderTest, fault: str) -> None:
    """The limits of the domain; U+0000, which PostgreSQL does not store; kinds that a wrapper has."""
    tenant = await rustok.create_tenant()

    with pytest.raises(InvalidInput):
        await rustok.run("content.nodes.create", tenant, **a_node(**BEYOND_THE_LIMITS[fault]))


async def test_an_input_at_the_limits_is_taken(rustok: PlatformUnderTest) -> None:
    """A body has up to a million bytes of UTF-8."""
    tenant = await rustok.create_tenant()
    texts = {"title": "a" * 255, "slug": "b" * 255, "excerpt": "ä" * 1000}

    node = await rustok.run(
        "content.nodes.create",
        tenant,
        kind="recipe",
        position=100_000,
        translations={"en-GB": texts},
        bodies={"en-GB": {"body": "ä" * 500_000}},
    )

    assert node.translations["en-GB"].model_dump() == texts


async def test_an_update_replaces_the_fields_that_it_has(rustok: PlatformUnderTest) -> None:
    """What the input leaves out stays as it is."""
    tenant = await rustok.create_tenant()
    node = await rustok.run("content.nodes.create", tenant, **a_node(author="Ada", tags=["sweet"]))

    changed = await rustok.run(
        "content.nodes.update", tenant, seen=1, node_id=str(node.id), metadata={"minutes": 5}, author=None
    )

    assert (changed.author, changed.tags, changed.metadata) == (None, ["sweet"], {"minutes": 5})


async def test_an_empty_update_changes_nothing(rustok: PlatformUnderTest) -> None:
    """No field, no event, no new version."""
    tenant = await rustok.create_tenant()
    node = await rustok.run("content.nodes.create", tenant, **a_node())

    same = await rustok.run("content.nodes.update", tenant, seen=1, node_id=str(node.id))

    assert same == node


async def test_every_change_is_one_event_and_one_version(rustok: PlatformUnderTest) -> None:
    """The version of the row is the version of the last event: it is the ETag."""
    tenant = await rustok.create_tenant()
    node = await rustok.run("content.nodes.create", tenant, **a_node())
    at: dict[str, Any] = {"node_id": str(node.id)}

    await rustok.run("content.nodes.update", tenant, seen=1, author="Ada", **at)
    await rustok.run("content.translations.set", tenant, seen=2, locale="de", title="Kuchen", **at)
    await rustok.run("content.bodies.set", tenant, seen=3, locale="de", body="Äpfel", **at)
    await rustok.run("content.translations.delete", tenant, seen=4, locale="de", **at)
    await rustok.run("content.nodes.publish", tenant, **at)
    await rustok.run("content.nodes.unpublish", tenant, **at)
    deleted = await rustok.run("content.nodes.delete", tenant, seen=7, **at)

    assert deleted.version == 8
    assert await events_of(rustok, node.id) == [
        ("content.node.created", 1),
        ("content.node.updated", 2),
        ("content.node.translation_updated", 3),
        ("content.node.body_updated", 4),
        ("content.node.translation_updated", 5),
        ("content.node.published", 6),
        ("content.node.unpublished", 7),
        ("content.node.deleted", 8),
    ]


async def test_publishing_twice_is_publishing_once(rustok: PlatformUnderTest) -> None:
    """A node that is already there is left alone, on the way out too."""
    tenant = await rustok.create_tenant()
    node = await rustok.run("content.nodes.create", tenant, **a_node())
    at: dict[str, Any] = {"node_id": str(node.id)}

    published = await rustok.run("content.nodes.publish", tenant, **at)
    again = await rustok.run("content.nodes.publish", tenant, **at)
    unpublished = await rustok.run("content.nodes.unpublish", tenant, **at)
    unpublished_again = await rustok.run("content.nodes.unpublish", tenant, **at)

    assert (published.status, published.version, published.published_at is None) == ("published", 2, False)
    assert again == published
    assert (unpublished.status, unpublished.version, unpublished.published_at) == ("draft", 3, None)
    assert unpublished_again == unpublished


@pytest.mark.parametrize("command", sorted(REFERENCES.keys() - UNCHECKED))
async def test_a_change_wants_the_version_that_is_stored(rustok: PlatformUnderTest, command: str) -> None:
    """Without a version, or with an older one, nothing happens: somebody else's change would be lost."""
    tenant = await rustok.create_tenant()
    node = await rustok.run("content.nodes.create", tenant, **a_node())
    fields = {"node_id": str(node.id), **REFERENCES[command]}
    await rustok.run("content.nodes.update", tenant, seen=1, node_id=str(node.id), tags=["sweet"])

    with pytest.raises(VersionRequired):
        await rustok.run(command, tenant, **fields)
    with pytest.raises(VersionMismatch):
        await rustok.run(command, tenant, seen=1, **fields)

    assert (await rustok.query("content.nodes.get", tenant, node_id=str(node.id))).version == 2


@pytest.mark.parametrize("operation", [*sorted(REFERENCES), "content.nodes.get"])
async def test_another_tenants_node_is_as_missing_as_no_node(rustok: PlatformUnderTest, operation: str) -> None:
    """Ids tell nothing across tenants: not even that they exist."""
    tenant, other = await rustok.create_tenant("acme"), await rustok.create_tenant("other")
    node = await rustok.run("content.nodes.create", other, **a_node())
    await rustok.run("content.nodes.publish", other, node_id=str(node.id))

    async def told_about(node_id: UUID) -> str:
        fields = {"node_id": str(node_id), **REFERENCES.get(operation, {})}
        with pytest.raises(NodeNotFound) as caught:
            await call(rustok, operation, tenant, **fields)
        return str(caught.value).replace(str(node_id), "<id>")

    assert await told_about(node.id) == await told_about(uuid7())


async def test_a_body_belongs_to_a_translation(rustok: PlatformUnderTest) -> None:
    """A body in a locale without a title could not be shown."""
    tenant = await rustok.create_tenant()
    node = await rustok.run("content.nodes.create", tenant, **a_node())

    with pytest.raises(TranslationNotFound):
        await rustok.run("content.bodies.set", tenant, seen=1, node_id=str(node.id), locale="de", body="Äpfel")


async def test_new_texts_leave_body_and_slug_alone(rustok: PlatformUnderTest) -> None:
    """A body is set on its own, since it may have a megabyte; an address changes only when somebody says so."""
    tenant = await rustok.create_tenant()
    node = await rustok.run("content.nodes.create", tenant, **a_node(bodies={"en": {"body": "Apples"}}))
    at: dict[str, Any] = {"node_id": str(node.id), "locale": "en"}

    await rustok.run("content.translations.set", tenant, seen=1, title="Pear cake", **at)

    stored = await rustok.query("content.nodes.get", tenant, node_id=str(node.id))
    assert (stored.translations["en"].slug, stored.bodies["en"].body) == ("apple-cake", "Apples")


async def test_a_translation_leaves_with_its_body(rustok: PlatformUnderTest) -> None:
    """Set again, the locale has no body."""
    tenant = await rustok.create_tenant()
    texts = {"en": {"title": "Cake"}, "de": {"title": "Kuchen"}}
    node = await rustok.run(
        "content.nodes.create", tenant, kind="recipe", translations=texts, bodies={"de": {"body": "Äpfel"}}
    )
    at: dict[str, Any] = {"node_id": str(node.id), "locale": "de"}

    await rustok.run("content.translations.delete", tenant, seen=1, **at)
    await rustok.run("content.translations.set", tenant, seen=2, title="Kuchen", **at)

    assert (await rustok.query("content.nodes.get", tenant, node_id=str(node.id))).bodies == {}


async def test_a_translation_that_is_not_there_cannot_be_removed(rustok: PlatformUnderTest) -> None:
    """The caller meant something else: silence would hide it."""
    tenant = await rustok.create_tenant()
    node = await rustok.run("content.nodes.create", tenant, **a_node())

    with pytest.raises(TranslationNotFound):
        await rustok.run("content.translations.delete", tenant, seen=1, node_id=str(node.id), locale="de")


async def test_the_last_translation_stays(rustok: PlatformUnderTest) -> None:
    """A node has at least one translation, always."""
    tenant = await rustok.create_tenant()
    node = await rustok.run("content.nodes.create", tenant, **a_node())

    with pytest.raises(LastTranslation):
        await rustok.run("content.translations.delete", tenant, seen=1, node_id=str(node.id), locale="en")

    assert (await rustok.query("content.nodes.get", tenant, node_id=str(node.id))).version == 1


async def test_a_published_node_cannot_be_deleted(rustok: PlatformUnderTest) -> None:
    """Taking a page off the storefront is a step of its own, with a permission of its own."""
    tenant = await rustok.create_tenant()
    node = await rustok.run("content.nodes.create", tenant, **a_node())
    await rustok.run("content.nodes.publish", tenant, node_id=str(node.id))

    with pytest.raises(NodePublished):
        await rustok.run("content.nodes.delete", tenant, seen=2, node_id=str(node.id))


async def test_a_node_with_children_cannot_be_deleted(rustok: PlatformUnderTest) -> None:
    """Nothing is deleted by the way; without the children it goes."""
    tenant = await rustok.create_tenant()
    parent, child = await create_chain(rustok, tenant, 2)

    with pytest.raises(NodeHasChildren):
        await rustok.run("content.nodes.delete", tenant, seen=1, node_id=str(parent.id))
    await rustok.run("content.nodes.delete", tenant, seen=1, node_id=str(child.id))
    await rustok.run("content.nodes.delete", tenant, seen=1, node_id=str(parent.id))

    assert (await rustok.query("content.nodes.list", tenant)).data == []


async def test_a_child_and_its_parents_end_never_pass_each_other(rustok: PlatformUnderTest) -> None:
    """Of creating a child and deleting its parent at once, exactly one happens."""
    tenant = await rustok.create_tenant()
    for attempt in range(10):
        parent = await rustok.run("content.nodes.create", tenant, **a_node(f"Parent {attempt}"))

        outcomes = await asyncio.gather(
            rustok.run("content.nodes.delete", tenant, seen=1, node_id=str(parent.id)),
            rustok.run("content.nodes.create", tenant, **a_node(f"Child {attempt}", parent_id=str(parent.id))),
            return_exceptions=True,
        )

        failures = [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)]
        assert failures in ([NodeHasChildren], [ParentNotFound])


async def test_a_moved_node_takes_along_what_is_below_it(rustok: PlatformUnderTest) -> None:
    """Depth is derived from the parent, for the whole branch; only the moved node has a new version."""
    tenant = await rustok.create_tenant()
    root, middle, leaf = await create_chain(rustok, tenant, 3)
    other = await rustok.run("content.nodes.create", tenant, **a_node("Other"))

    lifted = await rustok.run("content.nodes.update", tenant, seen=1, node_id=str(middle.id), parent_id=None)
    leaf_at_1 = await rustok.query("content.nodes.get", tenant, node_id=str(leaf.id))
    await rustok.run("content.nodes.update", tenant, seen=1, node_id=str(root.id), parent_id=str(other.id))
    await rustok.run("content.nodes.update", tenant, seen=2, node_id=str(middle.id), parent_id=str(root.id))
    leaf_at_3 = await rustok.query("content.nodes.get", tenant, node_id=str(leaf.id))

    assert [root.depth, middle.depth, leaf.depth] == [0, 1, 2]
    assert (lifted.depth, lifted.parent_id, lifted.version) == (0, None, 2)
    assert [(n.depth, n.version) for n in (leaf_at_1, leaf_at_3)] == [(1, 1), (3, 1)]


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_node_cannot_be_moved_below_itself(rustok: PlatformUnderTest, place: int) -> None:
    """Neither right below itself nor further down: the branch would hang on nothing."""
    tenant = await rustok.create_tenant()
    chain = await create_chain(rustok, tenant, 3)
    move: dict[str, Any] = {"node_id": str(chain[0].id), "parent_id": str(chain[place].id)}

    with pytest.raises(NodeCycle):
        await rustok.run("content.nodes.update", tenant, seen=1, **move)


async def test_two_moves_at_once_never_close_a_circle(rustok: PlatformUnderTest) -> None:
    """Each move alone is right; together they would cut both nodes off the root."""
    tenant = await rustok.create_tenant()
    for attempt in range(10):
        a = await rustok.run("content.nodes.create", tenant, **a_node(f"A {attempt}"))
        b = await rustok.run("content.nodes.create", tenant, **a_node(f"B {attempt}"))

        outcomes = await asyncio.gather(
            rustok.run("content.nodes.update", tenant, seen=1, node_id=str(a.id), parent_id=str(b.id)),
            rustok.run("content.nodes.update", tenant, seen=1, node_id=str(b.id), parent_id=str(a.id)),
            return_exceptions=True,
        )

        assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [NodeCycle]


async def test_a_tree_has_at_most_a_hundred_levels_below_its_root(rustok: PlatformUnderTest) -> None:
    """The limit holds for a new leaf, and for the deepest node of a branch that is moved."""
    tenant = await rustok.create_tenant()
    chain = await create_chain(rustok, tenant, 101)
    branch = await rustok.run("content.nodes.create", tenant, **a_node("Branch"))
    await rustok.run("content.nodes.create", tenant, **a_node("Leaf", parent_id=str(branch.id)))

    assert chain[100].depth == 100
    with pytest.raises(NodeTooDeep):
        await rustok.run("content.nodes.create", tenant, **a_node(parent_id=str(chain[100].id)))
    with pytest.raises(NodeTooDeep):
        await rustok.run("content.nodes.update", tenant, seen=1, node_id=str(branch.id), parent_id=str(chain[99].id))


async def test_a_parent_must_be_there(rustok: PlatformUnderTest) -> None:
    """Missing, another tenant's, or a wrapper's: the same refusal, on the same field."""
    tenant, other = await rustok.create_tenant("acme"), await rustok.create_tenant("other")
    foreign = await rustok.run("content.nodes.create", other, **a_node())
    post = await rustok.run("blog.posts.create", tenant, translations={"en": {"title": "Post"}})
    node = await rustok.run("content.nodes.create", tenant, **a_node())

    for parent_id in (str(uuid7()), str(foreign.id), str(post.id)):
        with pytest.raises(ParentNotFound) as created:
            await rustok.run("content.nodes.create", tenant, **a_node("Other", parent_id=parent_id))
        with pytest.raises(ParentNotFound) as moved:
            await rustok.run("content.nodes.update", tenant, seen=1, node_id=str(node.id), parent_id=parent_id)
        pointers = [caught.value.violations[0].pointer for caught in (created, moved)]
        assert pointers == ["/parent_id", "/parent_id"]


async def test_a_list_has_what_its_filters_say(rustok: PlatformUnderTest) -> None:
    """Newest first; of one kind, of one status, of this tenant."""
    tenant, other = await rustok.create_tenant("acme"), await rustok.create_tenant("other")
    cake = await rustok.run("content.nodes.create", tenant, **a_node("Cake"))
    shop = await rustok.run("content.nodes.create", tenant, **a_node("Shop", kind="shop"))
    pie = await rustok.run("content.nodes.create", tenant, **a_node("Pie"))
    await rustok.run("content.nodes.create", other, **a_node("Foreign"))
    await rustok.run("content.nodes.publish", tenant, node_id=str(cake.id))

    async def listed(**filters: str) -> list[UUID]:
        page = await rustok.query("content.nodes.list", tenant, **filters)
        return [node.id for node in page.data]

    assert await listed() == [pie.id, shop.id, cake.id]
    assert await listed(kind="recipe") == [pie.id, cake.id]
    assert await listed(status="published") == [cake.id]
    assert await listed(kind="shop", status="published") == []


async def test_pages_stay_the_same_while_nodes_are_created(rustok: PlatformUnderTest) -> None:
    """A cursor stands at a node, not at a number: nothing is shown twice, nothing left out."""
    tenant = await rustok.create_tenant()
    nodes = [await rustok.run("content.nodes.create", tenant, **a_node(f"Node {n}")) for n in range(5)]

    first = await rustok.query("content.nodes.list", tenant, limit="2")
    await rustok.run("content.nodes.create", tenant, **a_node("New"))
    second = await rustok.query("content.nodes.list", tenant, limit="2", after=first.page.next)
    third = await rustok.query("content.nodes.list", tenant, limit="2", after=second.page.next)

    shown = [node.id for page in (first, second, third) for node in page.data]
    assert shown == [node.id for node in reversed(nodes)]
    assert third.page.next is None


async def test_a_cursor_belongs_to_one_list(rustok: PlatformUnderTest) -> None:
    """With other filters it is refused."""
    tenant = await rustok.create_tenant()
    for n in range(2):
        await rustok.run("content.nodes.create", tenant, **a_node(f"Node {n}"))
    first = await rustok.query("content.nodes.list", tenant, limit="1")

    with pytest.raises(InvalidInput):
        await rustok.query("content.nodes.list", tenant, limit="1", kind="recipe", after=first.page.next)


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        ("content.nodes.update", "content.nodes.write"),
        ("content.nodes.publish", "content.nodes.publish"),
        ("content.nodes.unpublish", "content.nodes.publish"),
        ("content.nodes.delete", "content.nodes.write"),
        ("content.translations.set", "content.nodes.write"),
        ("content.translations.delete", "content.nodes.write"),
        ("content.bodies.set", "content.nodes.write"),
    ],
)
async def test_each_command_wants_its_permission(rustok: PlatformUnderTest, command: str, missing: str) -> None:
    """All other permissions do not stand in for it."""
    tenant = await rustok.create_tenant()
    node = await rustok.run("content.nodes.create", tenant, **a_node())
    context = a_context(tenant, frozenset(rustok.registry.permissions) - {missing})
    call = Call(rustok.registry.commands[command], {"node_id": str(node.id), **REFERENCES[command]}, 1)

    with pytest.raises(Forbidden, match=missing):
        await rustok.platform.dispatcher.run(call, context)


@pytest.mark.parametrize("operation", [*sorted(REFERENCES), "content.nodes.get"])
async def test_a_wrappers_node_is_out_of_sight(rustok: PlatformUnderTest, operation: str) -> None:
    """Content's commands are no way around a wrapper's permissions, not even to learn of its nodes."""
    tenant = await rustok.create_tenant()
    post = await rustok.run("blog.posts.create", tenant, translations={"en": {"title": "Post"}})
    fields = {"node_id": str(post.id), **REFERENCES.get(operation, {})}

    with pytest.raises(NodeNotFound):
        await call(rustok, operation, tenant, **fields)

    assert (await rustok.query("content.nodes.list", tenant)).data == []
    with pytest.raises(InvalidInput):
        await rustok.query("content.nodes.list", tenant, kind="post")


def test_a_wrapper_cannot_take_a_kind_that_content_serves_itself() -> None:
    """Else content's own commands would reach the wrapper's nodes."""
    with pytest.raises(ValueError, match="WRAPPED_KINDS"):
        NodeKind("recipe")


def test_the_codes_of_the_errors_are_stable() -> None:
    """Clients compare them."""
    errors = (DuplicateSlug, LastTranslation, NodeCycle, NodeHasChildren, NodeNotFound, NodePublished)
    others = (NodeTooDeep, ParentNotFound, TranslationNotFound)

    assert [error.code for error in errors + others] == [
        "duplicate_slug",
        "last_translation",
        "node_cycle",
        "node_has_children",
        "node_not_found",
        "node_published",
        "node_too_deep",
        "parent_not_found",
        "translation_not_found",
    ]
    assert issubclass(NodeNotFound, NotFound)
