"""The SQL of content: one statement a function, `tenant_id` first.

`kind` is the face that the caller has: nodes of other kinds are out of its sight.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text

from rustok.db.engine import to_json
from rustok.db.pages import Listing, Page
from rustok.db.unit_of_work import UnitOfWork
from rustok.modules.content.kinds import WRAPPED_KINDS, NodeKind

_IN_SIGHT = """
    CASE WHEN CAST(:kind AS text) IS NULL THEN n.kind <> ALL (CAST(:wrapped_kinds AS text[])) ELSE n.kind = :kind END
"""

_INSERT_NODE = text(
    """
    WITH new_node AS (
        INSERT INTO nodes (tenant_id, id, kind, parent_id, author, status, position, depth, tags, metadata, seo,
                           version, made_by, created_at, updated_at)
        SELECT CAST(:tenant_id AS uuid), id, kind, parent_id, author, 'draft', position, depth, tags, metadata, seo,
               version, made_by, CAST(:now AS timestamptz), CAST(:now AS timestamptz)
          FROM json_to_record(CAST(:node AS json)) AS n (
               id uuid, kind text, parent_id uuid, author text, position integer, depth integer, tags text[],
               metadata jsonb, seo jsonb, version bigint, made_by text)
    ), new_translations AS (
        INSERT INTO node_translations (tenant_id, node_id, locale, kind, title, slug, excerpt)
        SELECT CAST(:tenant_id AS uuid), node_id, locale, kind, title, slug, excerpt
          FROM json_to_recordset(CAST(:translations AS json)) AS t (
               node_id uuid, locale text, kind text, title text, slug text, excerpt text)
    )
    INSERT INTO bodies (tenant_id, node_id, locale, body, format)
    SELECT CAST(:tenant_id AS uuid), node_id, locale, body, format
      FROM json_to_recordset(CAST(:bodies AS json)) AS b (node_id uuid, locale text, body text, format text)
    """
)

_LOCK_NODE = text(
    f"""
    SELECT n.id, n.kind, n.status, n.version, n.depth, n.made_by FROM nodes AS n
     WHERE n.tenant_id = :tenant_id AND n.id = :node_id AND {_IN_SIGHT} FOR UPDATE
    """
)
_GET_FIELDS = text(
    """
    SELECT author, tags, metadata, seo, parent_id, position FROM nodes WHERE tenant_id = :tenant_id AND id = :node_id
    """
)
_LOCK_TREE = text(
    "SELECT pg_advisory_xact_lock(hashtext('content.tree'), hashtext(CAST(CAST(:tenant_id AS uuid) AS text)))"
)
_SHARE_TREE = text(
    "SELECT pg_advisory_xact_lock_shared(hashtext('content.tree'), hashtext(CAST(CAST(:tenant_id AS uuid) AS text)))"
)

_NODE = """
    n.id, n.version, n.kind, n.parent_id, n.position, n.depth, n.author, n.status, n.tags, n.metadata, n.seo,
    n.created_at, n.updated_at, n.published_at,
    (SELECT jsonb_object_agg(t.locale, to_jsonb(t) - '{tenant_id,node_id,locale,kind}'::text[])
       FROM node_translations AS t WHERE (t.tenant_id, t.node_id) = (n.tenant_id, n.id)) AS translations
"""
_GET_NODE = text(f"SELECT {_NODE} FROM nodes AS n WHERE n.tenant_id = :tenant_id AND n.id = :node_id AND {_IN_SIGHT}")
_GET_NODE_WITH_BODIES = text(
    f"""
    SELECT {_NODE},
           coalesce((SELECT jsonb_object_agg(b.locale, to_jsonb(b) - '{{tenant_id,node_id,locale}}'::text[])
              FROM bodies AS b WHERE (b.tenant_id, b.node_id) = (n.tenant_id, n.id)), '{{}}') AS bodies
      FROM nodes AS n WHERE n.tenant_id = :tenant_id AND n.id = :node_id AND {_IN_SIGHT}
    """
)
_newest_nodes = partial(Listing, "content.nodes", key="n.id", key_type="uuid", descending=True)
_SELECT_NODES = f"""
    SELECT {_NODE} FROM nodes AS n
     WHERE n.tenant_id = :tenant_id AND {_IN_SIGHT} AND (CAST(:status AS text) IS NULL OR n.status = :status)
"""
_LIST_NODES = _newest_nodes(_SELECT_NODES)
_LIST_NODES_OF = _newest_nodes(_SELECT_NODES + "AND n.id = ANY (CAST(:ids AS uuid[]))")
_GET_PARENT = text("SELECT kind, depth FROM nodes WHERE tenant_id = :tenant_id AND id = :node_id")
_IS_BELOW = text(
    """
    WITH RECURSIVE upwards AS (
        SELECT id, parent_id FROM nodes WHERE tenant_id = :tenant_id AND id = :node_id
        UNION ALL
        SELECT n.id, n.parent_id FROM upwards JOIN nodes AS n ON n.tenant_id = :tenant_id AND n.id = upwards.parent_id
    )
    SELECT EXISTS (SELECT FROM upwards WHERE id = :root_id)
    """
)
_SHIFT_TREE = text(
    """
    WITH RECURSIVE tree AS (
        SELECT id FROM nodes WHERE tenant_id = :tenant_id AND id = :node_id
        UNION ALL
        SELECT n.id FROM tree JOIN nodes AS n ON n.tenant_id = :tenant_id AND n.parent_id = tree.id
    )
    UPDATE nodes AS n SET depth = n.depth + CAST(:levels AS integer)
      FROM tree WHERE n.tenant_id = :tenant_id AND n.id = tree.id
    """
)
_HAS_CHILDREN = text("SELECT EXISTS (SELECT FROM nodes WHERE tenant_id = :tenant_id AND parent_id = :node_id)")
_SET_STATUS = text(
    """
    UPDATE nodes SET status = :status, version = :version, updated_at = :now, published_at = :published_at
     WHERE tenant_id = :tenant_id AND id = :node_id
    """
)
_SET_VERSION = text(
    """
    UPDATE nodes SET version = :version, updated_at = :now
     WHERE tenant_id = :tenant_id AND id = :node_id
    """
)
_DELETE_NODE = text("DELETE FROM nodes WHERE tenant_id = :tenant_id AND id = :node_id")
_SET_TRANSLATION = text(
    """
    INSERT INTO node_translations (tenant_id, node_id, locale, kind, title, slug, excerpt)
    VALUES (:tenant_id, :node_id, :locale, :kind, :title, coalesce(CAST(:slug AS text), :made_slug), :excerpt)
        ON CONFLICT (tenant_id, node_id, locale)
        DO UPDATE SET title = excluded.title, slug = coalesce(:slug, node_translations.slug),
                      excerpt = excluded.excerpt
    """
)
_DELETE_TRANSLATION = text(
    """
    DELETE FROM node_translations
     WHERE tenant_id = :tenant_id AND node_id = :node_id AND locale = :locale
    """
)
_COUNT_TRANSLATIONS = text("SELECT count(*) FROM node_translations WHERE tenant_id = :tenant_id AND node_id = :node_id")
_SET_BODY = text(
    """
    INSERT INTO bodies (tenant_id, node_id, locale, body, format)
    VALUES (:tenant_id, :node_id, :locale, :body, :format)
        ON CONFLICT (tenant_id, node_id, locale) DO UPDATE SET body = excluded.body, format = excluded.format
    """
)

_NODE_COLUMNS = frozenset({"parent_id", "position", "author", "tags", "metadata", "seo"})


async def insert_node(
    uow: UnitOfWork,
    node: Mapping[str, Any],
    translations: Sequence[Mapping[str, Any]],
    bodies: Sequence[Mapping[str, Any]],
) -> None:
    """Insert a node with all that belongs to it."""
    sets = {"node": to_json(node), "translations": to_json(translations), "bodies": to_json(bodies)}
    await uow.execute(_INSERT_NODE, {"tenant_id": uow.tenant_id, "now": uow.now, **sets})


async def lock_node(uow: UnitOfWork, node_id: UUID, kind: NodeKind | None) -> Row[Any] | None:
    row = (await uow.execute(_LOCK_NODE, {**_of(uow, node_id), **_face(kind)})).one_or_none()
    if row is not None:
        uow.hold("node", node_id, row.version, row.made_by)
    return row


async def lock_tree(uow: UnitOfWork) -> None:
    """Keep others from moving the tenant's nodes, or creating some below a parent, until the transaction ends."""
    await uow.execute(_LOCK_TREE, {"tenant_id": uow.tenant_id})


async def share_tree(uow: UnitOfWork) -> None:
    """Keep others from moving the tenant's nodes until the transaction ends."""
    await uow.execute(_SHARE_TREE, {"tenant_id": uow.tenant_id})


async def get_fields(uow: UnitOfWork, node_id: UUID) -> Row[Any]:
    return (await uow.execute(_GET_FIELDS, _of(uow, node_id))).one()


async def find_node(uow: UnitOfWork, node_id: UUID, kind: NodeKind | None) -> Row[Any] | None:
    return (await uow.execute(_GET_NODE, {**_of(uow, node_id), **_face(kind)})).one_or_none()


async def find_node_with_bodies(uow: UnitOfWork, node_id: UUID, kind: NodeKind | None) -> Row[Any] | None:
    return (await uow.execute(_GET_NODE_WITH_BODIES, {**_of(uow, node_id), **_face(kind)})).one_or_none()


async def list_nodes(
    uow: UnitOfWork,
    face: NodeKind | None,
    *,
    kind: str | None,
    status: str | None,
    cursor: str | None,
    limit: int,
    ids: Sequence[UUID] | None = None,
) -> Page:
    """Return the nodes in sight of *face*, of one *kind* if it is given, and of these *ids* if they are."""
    filters = {"status": status, **_face(face)}
    if kind is not None:
        filters["kind"] = kind
    if ids is None:
        return await _LIST_NODES.page(uow, filters, cursor, limit)
    return await _LIST_NODES_OF.page(uow, {**filters, "ids": [*map(str, ids)]}, cursor, limit)


async def find_parent(uow: UnitOfWork, parent_id: UUID) -> Row[Any] | None:
    return (await uow.execute(_GET_PARENT, _of(uow, parent_id))).one_or_none()


async def is_below(uow: UnitOfWork, node_id: UUID, root_id: UUID) -> bool:
    """Tell whether the node is *root_id* itself or somewhere below it."""
    return bool((await uow.execute(_IS_BELOW, {**_of(uow, node_id), "root_id": root_id})).scalar_one())


async def shift_tree(uow: UnitOfWork, node_id: UUID, levels: int) -> None:
    """Add *levels* to the depth of the node and of all below it."""
    await uow.execute(_SHIFT_TREE, {**_of(uow, node_id), "levels": levels})


async def has_children(uow: UnitOfWork, node_id: UUID) -> bool:
    return bool((await uow.execute(_HAS_CHILDREN, _of(uow, node_id))).scalar_one())


async def update_node(uow: UnitOfWork, node_id: UUID, version: int, values: Mapping[str, Any]) -> None:
    await uow.execute(_update(values), {**_of(uow, node_id), **_json_columns(values)})
    await set_version(uow, node_id, version)


async def set_version(uow: UnitOfWork, node_id: UUID, version: int) -> None:
    await uow.execute(_SET_VERSION, {**_of(uow, node_id), "version": version, "now": uow.now})


async def set_status(uow: UnitOfWork, node_id: UUID, version: int, status: str) -> None:
    published_at = uow.now if status == "published" else None
    values = {"version": version, "status": status, "now": uow.now, "published_at": published_at}
    await uow.execute(_SET_STATUS, {**_of(uow, node_id), **values})


async def delete_node(uow: UnitOfWork, node_id: UUID) -> None:
    await uow.execute(_DELETE_NODE, _of(uow, node_id))


async def set_translation(uow: UnitOfWork, values: Mapping[str, Any]) -> None:
    await uow.execute(_SET_TRANSLATION, {"tenant_id": uow.tenant_id, **values})


async def delete_translation(uow: UnitOfWork, node_id: UUID, locale: str) -> bool:
    return bool((await uow.execute(_DELETE_TRANSLATION, {**_of(uow, node_id), "locale": locale})).rowcount)


async def count_translations(uow: UnitOfWork, node_id: UUID) -> int:
    return int((await uow.execute(_COUNT_TRANSLATIONS, _of(uow, node_id))).scalar_one())


async def set_body(uow: UnitOfWork, values: Mapping[str, Any]) -> None:
    await uow.execute(_SET_BODY, {"tenant_id": uow.tenant_id, **values})


def _of(uow: UnitOfWork, node_id: UUID) -> dict[str, Any]:
    return {"tenant_id": uow.tenant_id, "node_id": node_id}


def _face(kind: NodeKind | None) -> dict[str, Any]:
    return {"kind": kind.name if kind else None, "wrapped_kinds": sorted(WRAPPED_KINDS)}


def _json_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: to_json(value) if isinstance(value, dict) else value for name, value in values.items()}


def _update(columns: Iterable[str]) -> TextClause:
    """Return an UPDATE of these *columns* of a node."""
    unknown = set(columns) - _NODE_COLUMNS
    if unknown:
        raise ValueError(f"nodes has no columns {unknown} to update")
    casts = {"metadata": "CAST(:metadata AS jsonb)", "seo": "CAST(:seo AS jsonb)"}
    changes = ", ".join(f"{name} = {casts.get(name, ':' + name)}" for name in sorted(columns))
    return text(f"UPDATE nodes SET {changes} WHERE tenant_id = :tenant_id AND id = :node_id")
