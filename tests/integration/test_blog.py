"""Posts: content of one kind, behind permissions of their own."""

from typing import Any
from uuid import UUID

import pytest

from rustok.dispatch import Call
from rustok.kernel.errors import Forbidden, InvalidInput, VersionMismatch
from rustok.kernel.ids import uuid7
from rustok.modules.content import DuplicateSlug, NodeNotFound
from rustok.testing import PlatformUnderTest, a_context

pytestmark = pytest.mark.under_fire

COMMANDS: dict[str, tuple[str, dict[str, Any]]] = {
    "blog.posts.update": ("blog.posts.write", {"author": "Ada"}),
    "blog.posts.publish": ("blog.posts.publish", {}),
    "blog.posts.unpublish": ("blog.posts.publish", {}),
    "blog.posts.delete": ("blog.posts.write", {}),
    "blog.translations.set": ("blog.posts.write", {"locale": "de", "title": "Andere"}),
    "blog.translations.delete": ("blog.posts.write", {"locale": "de"}),
    "blog.bodies.set": ("blog.posts.write", {"locale": "en", "body": "Other"}),
}
"""Every command that names a post, with its permission and the rest of an input that fits."""

CONTENT = frozenset({"content.nodes.read", "content.nodes.write", "content.nodes.publish"})


def a_post(title: str = "News", **fields: Any) -> dict[str, Any]:
    texts = {"en": {"title": title}, "de": {"title": f"{title} auf Deutsch"}}
    return {"translations": texts, "bodies": {"en": {"body": "# News"}}, **fields}


async def call(rustok: PlatformUnderTest, operation: str, tenant: UUID, **fields: Any) -> Any:
    """Run a command, with the rest of its input, or answer a query."""
    if operation in COMMANDS:
        return await rustok.run(operation, tenant, seen=1, **fields, **COMMANDS[operation][1])
    return await rustok.query(operation, tenant, **fields)


async def test_a_post_lives_from_draft_to_deletion(rustok: PlatformUnderTest) -> None:
    """Each command does to a post what content's does to a node, at the version that follows."""
    tenant = await rustok.create_tenant()
    post = await rustok.run("blog.posts.create", tenant, **a_post(tags=["first"]))
    at: dict[str, Any] = {"post_id": str(post.id)}

    await rustok.run("blog.posts.update", tenant, seen=1, author="Ada", **at)
    await rustok.run("blog.translations.set", tenant, seen=2, locale="en", title="Old news", **at)
    await rustok.run("blog.bodies.set", tenant, seen=3, locale="en", body="<p>Old</p>", format="html", **at)
    await rustok.run("blog.translations.delete", tenant, seen=4, locale="de", **at)
    published = await rustok.run("blog.posts.publish", tenant, **at)
    stored = await rustok.query("blog.posts.get", tenant, **at)
    await rustok.run("blog.posts.unpublish", tenant, **at)
    deleted = await rustok.run("blog.posts.delete", tenant, seen=7, **at)

    assert (post.status, published.status, deleted.version) == ("draft", "published", 8)
    assert (stored.author, stored.tags) == ("Ada", ["first"])
    assert {locale: t.slug for locale, t in stored.translations.items()} == {"en": "news"}
    assert stored.bodies["en"].model_dump() == {"body": "<p>Old</p>", "format": "html"}


async def test_a_post_has_no_place_in_a_tree(rustok: PlatformUnderTest) -> None:
    """Posts are a flat list, newest first."""
    tenant = await rustok.create_tenant()

    with pytest.raises(InvalidInput):
        await rustok.run("blog.posts.create", tenant, **a_post(parent_id=str(uuid7())))
    post = await rustok.run("blog.posts.create", tenant, **a_post())

    assert not {"kind", "parent_id", "position", "depth"} & post.model_dump().keys()


async def test_an_update_leaves_the_rest_of_a_post_alone(rustok: PlatformUnderTest) -> None:
    """Fields that the input has not are not set to their defaults on the way to content."""
    tenant = await rustok.create_tenant()
    post = await rustok.run("blog.posts.create", tenant, **a_post(tags=["first"], seo={"title": "News"}))

    changed = await rustok.run("blog.posts.update", tenant, seen=1, post_id=str(post.id), author="Ada")

    assert (changed.tags, changed.seo) == (["first"], {"title": "News"})


async def test_the_blog_lists_posts_only(rustok: PlatformUnderTest) -> None:
    """Newest first, a page at a time, by status; nodes of other kinds are not among them."""
    tenant = await rustok.create_tenant()
    posts = [await rustok.run("blog.posts.create", tenant, **a_post(f"Post {n}")) for n in range(3)]
    await rustok.run("content.nodes.create", tenant, kind="recipe", **a_post("Cake"))
    await rustok.run("blog.posts.publish", tenant, post_id=str(posts[0].id))

    first = await rustok.query("blog.posts.list", tenant, limit="2")
    await rustok.run("blog.posts.create", tenant, **a_post("New"))
    second = await rustok.query("blog.posts.list", tenant, limit="2", after=first.page.next)
    published = await rustok.query("blog.posts.list", tenant, status="published")

    assert [post.id for post in first.data + second.data] == [post.id for post in reversed(posts)]
    assert second.page.next is None
    assert [post.id for post in published.data] == [posts[0].id]


async def test_a_slug_is_taken_once_among_posts(rustok: PlatformUnderTest) -> None:
    """A node of another kind may have it."""
    tenant = await rustok.create_tenant()
    await rustok.run("content.nodes.create", tenant, kind="recipe", **a_post())
    await rustok.run("blog.posts.create", tenant, **a_post())

    with pytest.raises(DuplicateSlug):
        await rustok.run("blog.posts.create", tenant, **a_post())


async def test_a_post_at_another_version_is_not_changed(rustok: PlatformUnderTest) -> None:
    """The ETag is the node's version."""
    tenant = await rustok.create_tenant()
    post = await rustok.run("blog.posts.create", tenant, **a_post())

    with pytest.raises(VersionMismatch):
        await rustok.run("blog.posts.update", tenant, seen=2, post_id=str(post.id), author="Ada")


@pytest.mark.parametrize("operation", [*COMMANDS, "blog.posts.get"])
async def test_other_nodes_are_out_of_the_blogs_sight(rustok: PlatformUnderTest, operation: str) -> None:
    """A node of another kind, another tenant's post and a missing one are all not found."""
    tenant, other = await rustok.create_tenant("acme"), await rustok.create_tenant("other")
    recipe = await rustok.run("content.nodes.create", tenant, kind="recipe", **a_post("Cake"))
    foreign = await rustok.run("blog.posts.create", other, **a_post())

    for post_id in (recipe.id, foreign.id, uuid7()):
        with pytest.raises(NodeNotFound):
            await call(rustok, operation, tenant, post_id=str(post_id))


@pytest.mark.parametrize("command", COMMANDS)
async def test_every_right_to_content_is_no_right_to_posts(rustok: PlatformUnderTest, command: str) -> None:
    """The blog's permissions are checked on their own."""
    tenant = await rustok.create_tenant()
    post = await rustok.run("blog.posts.create", tenant, **a_post())
    permission, fields = COMMANDS[command]
    call = Call(rustok.registry.commands[command], {"post_id": str(post.id), **fields}, 1)

    with pytest.raises(Forbidden, match=permission):
        await rustok.platform.dispatcher.run(call, a_context(tenant, CONTENT))
    await rustok.platform.dispatcher.run(call, a_context(tenant, frozenset({permission})))


async def test_reading_posts_wants_the_blogs_permission(rustok: PlatformUnderTest) -> None:
    """Drafts are nobody's business but the blog's readers'."""
    tenant = await rustok.create_tenant()
    post = await rustok.run("blog.posts.create", tenant, **a_post())
    dispatcher, queries = rustok.platform.dispatcher, rustok.registry.queries

    with pytest.raises(Forbidden):
        await dispatcher.query(queries["blog.posts.list"], {}, a_context(tenant, CONTENT))
    with pytest.raises(Forbidden):
        await dispatcher.query(queries["blog.posts.get"], {"post_id": str(post.id)}, a_context(tenant, CONTENT))
