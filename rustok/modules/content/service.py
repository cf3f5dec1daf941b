"""The rules of nodes. Every change locks the node's row first: it is the aggregate's root.

`kind` is the caller's face: a wrapper's kind, or None for content's own (see `kinds.py`). Whoever changes where
nodes stand holds the tenant's tree first: two moves at once could close a circle that neither of them sees.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from rustok.db.failures import Conflicts, conflicts_named
from rustok.db.unit_of_work import UnitOfWork
from rustok.kernel.errors import Violation
from rustok.kernel.event import Event
from rustok.kernel.fields import slugify
from rustok.kernel.merge_patch import changed_fields
from rustok.modules.content import errors, events, repository, schemas
from rustok.modules.content.kinds import NodeKind, may_be_below
from rustok.modules.content.schemas import Node

_CONFLICTS: Conflicts = {
    "node_translations_slug_key": (
        errors.DuplicateSlug,
        "Another node of the kind has this slug in this locale: choose another slug.",
    ),
    "nodes_depth_check": (errors.NodeTooDeep, "A node has at most 100 ancestors: choose a parent further up."),
    "nodes_parent_fkey": (errors.ParentNotFound, "The parent was deleted meanwhile."),
    "bodies_translation_fkey": (
        errors.TranslationNotFound,
        "The node has no texts in this locale: set its translation first.",
    ),
}


async def create_free_node(uow: UnitOfWork, data: schemas.CreateNode) -> Node:
    """Create a draft of a kind that no wrapper has."""
    return await _create(uow, data, data.kind, None)


async def create_node(uow: UnitOfWork, data: schemas.NewNode, kind: NodeKind) -> Node:
    """Create a draft of a wrapper's kind."""
    return await _create(uow, data, kind.name, kind)


async def get_node(uow: UnitOfWork, data: schemas.GetNode, kind: NodeKind | None = None) -> schemas.NodeWithBodies:
    """Return a node with its bodies, whatever its status."""
    row = await repository.find_node_with_bodies(uow, data.node_id, kind)
    if row is None:
        raise _no_node()
    return schemas.NodeWithBodies(**row._mapping)


async def list_nodes(uow: UnitOfWork, data: schemas.ListNodes, kind: NodeKind | None = None) -> schemas.NodePage:
    """Return nodes without their bodies, newest first."""
    page = await repository.list_nodes(
        uow, kind, kind=data.kind, status=data.status, cursor=data.after, limit=data.limit, ids=data.ids
    )
    return schemas.NodePage(data=[Node(**row._mapping) for row in page.rows], page=page.links)


async def update_node(uow: UnitOfWork, data: schemas.UpdateNode, kind: NodeKind | None = None) -> Node:
    """Change the fields that the patch has; without any, nothing happens."""
    if "parent_id" in data.model_fields_set:
        await repository.lock_tree(uow)  # before the row: a move locks rows below it while it holds the tree
    row = await _lock(uow, data.node_id, kind)
    stored = await repository.get_fields(uow, data.node_id)
    values = changed_fields(schemas.PlacedFields, stored._asdict(), data)
    if values:
        version = uow.emit(events.NodeUpdated(kind=row.kind, changed=sorted(values)), data.node_id)
        with conflicts_named(_CONFLICTS):
            if "parent_id" in values:
                await _move(uow, row, data.parent_id, kind)
            await repository.update_node(uow, data.node_id, version, values)
    return await _node(uow, data.node_id, kind)


async def publish_node(uow: UnitOfWork, data: schemas.NodeReference, kind: NodeKind | None = None) -> Node:
    """Let the storefront show the node; publishing a published one changes nothing."""
    row = await _lock(uow, data.node_id, kind)
    if row.status != "published":
        version = uow.emit(events.NodePublished(kind=row.kind), data.node_id)
        await repository.set_status(uow, data.node_id, version, "published")
    return await _node(uow, data.node_id, kind)


async def unpublish_node(uow: UnitOfWork, data: schemas.NodeReference, kind: NodeKind | None = None) -> Node:
    """Make the node a draft again; unpublishing a draft changes nothing."""
    row = await _lock(uow, data.node_id, kind)
    if row.status == "published":
        version = uow.emit(events.NodeUnpublished(kind=row.kind), data.node_id)
        await repository.set_status(uow, data.node_id, version, "draft")
    return await _node(uow, data.node_id, kind)


async def delete_node(
    uow: UnitOfWork, data: schemas.NodeReference, kind: NodeKind | None = None
) -> schemas.DeletedNode:
    """Delete a node that is not published and has no children, with its texts and bodies."""
    row = await _lock(uow, data.node_id, kind)
    if row.status == "published":
        raise errors.NodePublished("A published node cannot be deleted: unpublish it first.")
    if await repository.has_children(uow, data.node_id):
        raise errors.NodeHasChildren("A node with children cannot be deleted: delete or move them first.")
    version = uow.emit(events.NodeDeleted(kind=row.kind), data.node_id)
    await repository.delete_node(uow, data.node_id)
    return schemas.DeletedNode(id=data.node_id, version=version)


async def set_translation(uow: UnitOfWork, data: schemas.SetTranslation, kind: NodeKind | None = None) -> Node:
    """Set the short texts of one locale; its body stays, and without a slug the stored one."""
    row = await _lock(uow, data.node_id, kind)
    event = events.NodeTranslationUpdated(kind=row.kind, locale=data.locale, removed=False)
    async with _change(uow, data.node_id, event):
        values = {**data.model_dump(), "kind": row.kind, "made_slug": _slug(data, data.node_id)}
        await repository.set_translation(uow, values)
    return await _node(uow, data.node_id, kind)


async def delete_translation(uow: UnitOfWork, data: schemas.TranslationReference, kind: NodeKind | None = None) -> Node:
    """Remove the texts of one locale with the body, but never the last."""
    row = await _lock(uow, data.node_id, kind)
    event = events.NodeTranslationUpdated(kind=row.kind, locale=data.locale, removed=True)
    async with _change(uow, data.node_id, event):
        if not await repository.delete_translation(uow, data.node_id, data.locale):
            raise errors.TranslationNotFound(f"The node has no texts in {data.locale}.")
        if not await repository.count_translations(uow, data.node_id):
            raise errors.LastTranslation("A node keeps at least one translation: set another first.")
    return await _node(uow, data.node_id, kind)


async def set_body(uow: UnitOfWork, data: schemas.SetBody, kind: NodeKind | None = None) -> Node:
    """Set the body of one locale, apart from its short texts: it may have a megabyte."""
    row = await _lock(uow, data.node_id, kind)
    event = events.NodeBodyUpdated(kind=row.kind, locale=data.locale, format=data.format)
    async with _change(uow, data.node_id, event):
        await repository.set_body(uow, data.model_dump())
    return await _node(uow, data.node_id, kind)


async def _lock(uow: UnitOfWork, node_id: UUID, kind: NodeKind | None) -> Row[Any]:
    row = await repository.lock_node(uow, node_id, kind)
    if row is None:
        raise _no_node()
    return row


async def _node(uow: UnitOfWork, node_id: UUID, kind: NodeKind | None) -> Node:
    row = await repository.find_node(uow, node_id, kind)
    if row is None:
        raise _no_node()
    return Node(**row._mapping)


@asynccontextmanager
async def _change(uow: UnitOfWork, node_id: UUID, event: Event) -> AsyncIterator[None]:
    """Emit *event*, run the change inside, and give the node its new version."""
    version = uow.emit(event, node_id)
    with conflicts_named(_CONFLICTS):
        yield
    await repository.set_version(uow, node_id, version)


async def _create(uow: UnitOfWork, data: schemas.NewNode, name: str, kind: NodeKind | None) -> Node:
    node_id = uow.new_id()
    depth = 0
    if data.parent_id is not None:
        await repository.share_tree(uow)
        depth = await _depth_below(uow, data.parent_id, kind)
    uow.hold("node", node_id, version=0)
    version = uow.emit(events.NodeCreated(kind=name, locales=sorted(data.translations)), node_id)
    node = data.model_dump(exclude={"translations", "bodies"})
    with conflicts_named(_CONFLICTS):
        await repository.insert_node(
            uow,
            {**node, "id": node_id, "kind": name, "version": version, "depth": depth, "made_by": uow.subject},
            [
                {**t.model_dump(), "node_id": node_id, "locale": locale, "kind": name, "slug": _slug(t, node_id)}
                for locale, t in data.translations.items()
            ],
            [{**body.model_dump(), "node_id": node_id, "locale": locale} for locale, body in data.bodies.items()],
        )
    return await _node(uow, node_id, kind)


async def _move(uow: UnitOfWork, row: Row[Any], parent_id: UUID | None, kind: NodeKind | None) -> None:
    """Give the node and all below it the depth that they have below *parent_id*, which must not be among them."""
    depth = 0
    if parent_id is not None:
        depth = await _depth_below(uow, parent_id, kind)
        if await repository.is_below(uow, parent_id, row.id):
            raise errors.NodeCycle("A node cannot be moved below itself: choose another parent.")
    if depth != row.depth:
        await repository.shift_tree(uow, row.id, depth - row.depth)


async def _depth_below(uow: UnitOfWork, parent_id: UUID, kind: NodeKind | None) -> int:
    parent = await repository.find_parent(uow, parent_id)
    if parent is None or not may_be_below(kind, parent.kind):
        fault = Violation("/parent_id", "parent_not_found", "not a node that may have this one below it")
        raise errors.ParentNotFound("There is no such parent.", [fault])
    return int(parent.depth) + 1


def _slug(translation: schemas.TranslationInput, node_id: UUID) -> str:
    """Return the given slug, else one of the title, else (a title without ASCII letters) one of the id."""
    return translation.slug or slugify(translation.title) or f"node-{node_id.hex}"


def _no_node() -> errors.NodeNotFound:
    return errors.NodeNotFound("There is no such node.")
