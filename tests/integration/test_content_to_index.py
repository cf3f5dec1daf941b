"""A node on its way from the write to the storefront."""

from collections.abc import Iterator
from itertools import product
from string import ascii_lowercase
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from rustok.index.search_content import ContentNotFound
from rustok.kernel.errors import Forbidden, InvalidInput
from rustok.testing import PlatformUnderTest, a_context

pytestmark = pytest.mark.under_fire


def a_node(**fields: Any) -> dict[str, Any]:
    return {
        "kind": "recipe",
        "translations": {
            "en": {"title": "Baked apples", "excerpt": "With cinnamon"},
            "de": {"title": "Gebackene Äpfel", "slug": "apfel"},
        },
        **fields,
    }


async def publish(rustok: PlatformUnderTest, tenant: UUID, **fields: Any) -> Any:
    """Create a node, publish it and return it."""
    node = await rustok.run("content.nodes.create", tenant, **a_node(**fields))
    return await rustok.run("content.nodes.publish", tenant, node_id=str(node.id))


async def found(rustok: PlatformUnderTest, tenant: UUID, locale: str = "en", **arguments: Any) -> list[Any]:
    """Return the ids of the hits on the first page."""
    hits = await rustok.query("index.content.search", tenant, locale=locale, **arguments)
    return [hit.node_id for hit in hits.data]


async def test_a_published_node_is_found_in_each_of_its_locales(rustok: PlatformUnderTest) -> None:
    """One document a locale, in the locale's own language: "apple" finds "apples", "Apfel" finds "Äpfel"."""
    tenant = await rustok.create_tenant()
    node = await publish(rustok, tenant)

    await rustok.settle()

    english = await rustok.query("index.content.search", tenant, locale="en", q="baking apple")
    german = await rustok.query("index.content.search", tenant, locale="de", q="Apfel")
    assert [hit.node_id for hit in english.data] == [node.id]
    assert [hit.slug for hit in german.data] == ["apfel"]
    assert english.data[0].source_version == node.version == 2


async def test_a_hit_has_what_a_list_shows(rustok: PlatformUnderTest) -> None:
    """Everything but the body, of which a page of hits could have a hundred megabytes."""
    tenant = await rustok.create_tenant()
    parent = await publish(rustok, tenant, translations={"en": {"title": "Parent"}})
    node = await publish(
        rustok,
        tenant,
        author="Ada",
        tags=["sweet", "warm"],
        position=3,
        metadata={"minutes": 50},
        seo={"title": "Apples"},
        parent_id=str(parent.id),
        bodies={"en": {"body": "Peel them."}},
    )

    await rustok.settle()

    hit = (await rustok.query("index.content.search", tenant, locale="en", author="Ada")).data[0]
    assert hit.model_dump() == {
        "node_id": node.id,
        "kind": "recipe",
        "slug": "baked-apples",
        "title": "Baked apples",
        "excerpt": "With cinnamon",
        "author": "Ada",
        "tags": ["sweet", "warm"],
        "parent_id": parent.id,
        "position": 3,
        "published_at": node.published_at,
        "source_version": 2,
        "details": {"format": "markdown", "seo": {"title": "Apples"}, "metadata": {"minutes": 50}},
    }


async def test_what_is_published_at_a_slug_is_read_with_its_body(rustok: PlatformUnderTest) -> None:
    """A page of the storefront knows its kind, slug and locale; the body is as it was written."""
    tenant, other = await rustok.create_tenant("acme"), await rustok.create_tenant("other")
    node = await publish(rustok, tenant, bodies={"de": {"body": "<p>Äpfel</p>", "format": "html"}})
    address = {"kind": "recipe", "slug": "apfel", "locale": "de"}

    await rustok.settle()

    page = await rustok.query("index.content.get", tenant, **address)
    assert (page.node_id, page.details["body"], page.details["format"]) == (node.id, "<p>Äpfel</p>", "html")
    for elsewhere in ({"kind": "shop"}, {"slug": "birne"}, {"locale": "en"}):
        with pytest.raises(ContentNotFound):
            await rustok.query("index.content.get", tenant, **{**address, **elsewhere})
    with pytest.raises(ContentNotFound):
        await rustok.query("index.content.get", other, **address)


@pytest.mark.parametrize(
    ("body", "words", "hidden"),
    [
        ({"body": "Peel *apples*", "format": "markdown"}, ["peel", "apple"], []),
        ({"body": "Peel apples", "format": "plain"}, ["peel"], []),
        (
            {
                "body": "<p class=round>Peel<br>them &amp; wait</p><script>let jam = 1</script>",
                "format": "html",
            },
            ["peel", "wait"],
            ["round", "br", "jam", "amp"],
        ),
        ({"body": '{"type": ["peel", {"x": "wait\\u0000"}]}', "format": "json"}, ["peel", "wait"], ["type"]),
    ],
    ids=["markdown", "plain", "html", "json"],
)
async def test_a_body_is_found_by_its_words(
    rustok: PlatformUnderTest, body: dict[str, str], words: list[str], hidden: list[str]
) -> None:
    """Tags, scripts and the names in a JSON document are no words of the text."""
    tenant = await rustok.create_tenant()
    node = await publish(rustok, tenant, translations={"en": {"title": "Cake", "slug": "c"}}, bodies={"en": body})

    await rustok.settle()

    assert [await found(rustok, tenant, q=word) for word in words] == [[node.id]] * len(words)
    assert [await found(rustok, tenant, q=word) for word in hidden] == [[]] * len(hidden)


async def test_a_title_outweighs_tags_and_excerpt_and_these_the_body(rustok: PlatformUnderTest) -> None:
    """Weights A, B and C decide the order by relevance."""
    tenant = await rustok.create_tenant()
    in_body = await publish(rustok, tenant, translations={"en": {"title": "One"}}, bodies={"en": {"body": "plum"}})
    in_title = await publish(rustok, tenant, translations={"en": {"title": "Plum"}})
    in_tags = await publish(rustok, tenant, translations={"en": {"title": "Two"}}, tags=["plum"])

    await rustok.settle()

    assert await found(rustok, tenant, q="plum") == [in_title.id, in_tags.id, in_body.id]


async def test_filters_and_sorts_of_the_search(rustok: PlatformUnderTest) -> None:
    """By kind, author and all of the tags; newest first, by title, by position."""
    tenant = await rustok.create_tenant()
    b = await publish(rustok, tenant, translations={"en": {"title": "B"}}, author="Ada", tags=["x", "y"], position=1)
    c = await publish(rustok, tenant, translations={"en": {"title": "C"}}, kind="shop", tags=["x"], position=3)
    a = await publish(rustok, tenant, translations={"en": {"title": "A"}}, tags=["y"], position=2)

    await rustok.settle()

    assert await found(rustok, tenant) == [a.id, c.id, b.id]
    assert await found(rustok, tenant, sort="title") == [a.id, b.id, c.id]
    assert await found(rustok, tenant, sort="position") == [b.id, a.id, c.id]
    assert await found(rustok, tenant, kind="shop") == [c.id]
    assert await found(rustok, tenant, author="Ada") == [b.id]
    assert await found(rustok, tenant, tags=["x", "y"]) == [b.id]
    with pytest.raises(InvalidInput):
        await found(rustok, tenant, sort="relevance")


@pytest.mark.parametrize("arguments", [{"sort": "newest"}, {"sort": "title"}, {"sort": "position"}, {"q": "same"}])
async def test_pages_stay_the_same_while_content_is_published(
    rustok: PlatformUnderTest, arguments: dict[str, str]
) -> None:
    """In every order, also among equals, what was there is shown once and in the order of one long page."""
    tenant = await rustok.create_tenant()

    async def publish_some(names: str) -> None:
        for name in names:
            await publish(rustok, tenant, translations={"en": {"title": "Same", "slug": name}}, position=1)
        await rustok.settle()

    await publish_some("bcdef")
    expected = await found(rustok, tenant, **arguments)

    shown: list[UUID] = []
    cursor: str | None = None
    for _ in range(10):
        after: dict[str, str] = {"after": cursor} if cursor else {}
        page = await rustok.query("index.content.search", tenant, locale="en", limit="2", **arguments, **after)
        shown += [hit.node_id for hit in page.data]
        cursor = page.page.next
        if cursor is None:
            break
        if len(shown) == 2:
            await publish_some("ag")

    assert [node_id for node_id in shown if node_id in expected] == expected


async def test_an_unpublished_node_leaves_the_storefront(rustok: PlatformUnderTest) -> None:
    """The storefront shows what is published now, and nothing else."""
    tenant = await rustok.create_tenant()
    node = await publish(rustok, tenant)
    await rustok.settle()

    await rustok.run("content.nodes.unpublish", tenant, node_id=str(node.id))
    await rustok.settle()

    assert await found(rustok, tenant) == await found(rustok, tenant, "de") == []


async def test_a_removed_translation_leaves_the_storefront(rustok: PlatformUnderTest) -> None:
    """Its document goes; those of the other locales stay."""
    tenant = await rustok.create_tenant()
    node = await publish(rustok, tenant)
    await rustok.settle()

    await rustok.run("content.translations.delete", tenant, seen=2, node_id=str(node.id), locale="de")
    await rustok.settle()

    assert await found(rustok, tenant, "de") == []
    assert await found(rustok, tenant, "en") == [node.id]


async def test_a_change_of_a_body_reaches_the_storefront(rustok: PlatformUnderTest) -> None:
    """Old words find nothing, new ones do."""
    tenant = await rustok.create_tenant()
    node = await publish(rustok, tenant, bodies={"en": {"body": "plums"}})
    await rustok.settle()

    await rustok.run("content.bodies.set", tenant, seen=2, node_id=str(node.id), locale="en", body="cherries")
    await rustok.settle()

    assert await found(rustok, tenant, q="plum") == []
    assert await found(rustok, tenant, q="cherry") == [node.id]


async def test_a_deleted_node_leaves_a_tombstone(rustok: PlatformUnderTest) -> None:
    """At the version of its end, so that no late event can bring it back."""
    tenant = await rustok.create_tenant()
    node = await publish(rustok, tenant)
    await rustok.run("content.nodes.unpublish", tenant, node_id=str(node.id))
    await rustok.settle()

    deleted = await rustok.run("content.nodes.delete", tenant, seen=3, node_id=str(node.id))
    await rustok.settle()

    async with rustok.system_engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT projection, version, is_deleted FROM index_versions WHERE aggregate_id = :id"),
            {"id": node.id},
        )
        assert rows.all() == [("content.index_content", 4, True)]
    assert deleted.version == 4
    assert await found(rustok, tenant) == []


async def test_a_post_is_found_among_the_content(rustok: PlatformUnderTest) -> None:
    """Published is public, whichever module has the draft."""
    tenant = await rustok.create_tenant()
    post = await rustok.run("blog.posts.create", tenant, translations={"en": {"title": "News"}})
    await rustok.run("blog.posts.publish", tenant, post_id=str(post.id))

    await rustok.settle()

    assert await found(rustok, tenant, kind="post", q="news") == [post.id]


async def test_a_tenant_finds_nothing_of_another(rustok: PlatformUnderTest) -> None:
    """The function that searches sees every tenant, so it compares the tenant itself."""
    tenant, other = await rustok.create_tenant("acme"), await rustok.create_tenant("other")
    await publish(rustok, tenant)

    await rustok.settle()

    assert await found(rustok, other) == await found(rustok, other, q="apple") == []


async def test_searching_wants_its_permission(rustok: PlatformUnderTest) -> None:
    """The right to search products is another."""
    tenant = await rustok.create_tenant()
    context = a_context(tenant, frozenset({"index.products.read", "content.nodes.read"}))

    with pytest.raises(Forbidden):
        await rustok.platform.dispatcher.query(
            rustok.registry.queries["index.content.search"], {"locale": "en"}, context
        )


def hyphenated_words() -> Iterator[str]:
    """Words that take most room in a text-search vector: each is stored whole and in its parts."""
    syllables = ["".join(letters) for letters in product(ascii_lowercase, repeat=3)]
    for first in syllables:
        yield from (f"{first}-{second}" for second in reversed(syllables[:8]))


@pytest.mark.parametrize(
    ("body", "body_format"),
    [
        (" ".join(hyphenated_words())[:1_000_000], "markdown"),
        ("<a " * 300_000, "html"),
        ("<![" * 300_000, "html"),
        (f"&#{'9' * 900_000};", "html"),
        ("[" * 1000 + '"\\u0000"' + "]" * 1000, "json"),
    ],
    ids=["many words", "open tags", "open declarations", "a huge number", "deep JSON"],
)
async def test_a_hostile_body_does_not_stop_the_projection(
    rustok: PlatformUnderTest, body: str, body_format: str
) -> None:
    """Whatever a tenant may store is indexed, soon, and nobody waits behind it."""
    tenant = await rustok.create_tenant()
    node = await publish(rustok, tenant, bodies={"en": {"body": body, "format": body_format}})

    await rustok.settle()

    page = await rustok.query("index.content.get", tenant, kind="recipe", slug="baked-apples", locale="en")
    assert (page.node_id, page.details["body"]) == (node.id, body)
