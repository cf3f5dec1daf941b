"""What the storefront sees of a node: one document a locale while it is published."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from rustok.db.engine import to_json
from rustok.kernel.event import AggregateKey
from rustok.kernel.module import Projection, Source
from rustok.modules.content.searchable import searchable

# Bodies are read of published nodes only: a draft has no documents, and its bodies may be long.
_LOAD = text(
    """
    SELECT n.tenant_id, n.id, n.version, n.kind, n.status, n.author, n.tags, n.parent_id, n.position, n.published_at,
           n.metadata, n.seo,
           (SELECT jsonb_object_agg(t.locale, to_jsonb(t)) FROM node_translations AS t
             WHERE (t.tenant_id, t.node_id) = (n.tenant_id, n.id)) AS translations,
           coalesce((SELECT jsonb_object_agg(b.locale, to_jsonb(b)) FROM bodies AS b
             WHERE (b.tenant_id, b.node_id) = (n.tenant_id, n.id) AND n.status = 'published'), '{}') AS bodies
      FROM json_to_recordset(CAST(:keys AS json)) AS k (tenant_id uuid, aggregate_id uuid)
      JOIN nodes AS n ON (n.tenant_id, n.id) = (k.tenant_id, k.aggregate_id)
    """
)


async def load_nodes(connection: AsyncConnection, keys: Iterable[AggregateKey]) -> Mapping[AggregateKey, Source]:
    """Return the sources of these nodes; those that are gone are absent."""
    rows = await connection.execute(_LOAD, {"keys": to_json([key._asdict() for key in keys])})
    return {AggregateKey(row.tenant_id, row.id): Source(row.version, row._mapping) for row in rows}


def build_documents(source: Source) -> Sequence[Mapping[str, Any]]:
    """Return the documents of a node: none unless it is published."""
    node = source.row
    if node["status"] != "published":
        return []
    return [
        _document(node, locale, translation, node["bodies"].get(locale) or {"body": "", "format": "plain"})
        for locale, translation in node["translations"].items()
    ]


def _document(
    node: Mapping[str, Any], locale: str, translation: Mapping[str, Any], body: Mapping[str, Any]
) -> Mapping[str, Any]:
    return {
        "locale": locale,
        "kind": node["kind"],
        "slug": translation["slug"],
        "title": translation["title"],
        "excerpt": translation["excerpt"],
        "author": node["author"],
        "tags": node["tags"],
        "parent_id": node["parent_id"],
        "position": node["position"],
        "published_at": node["published_at"],
        "details": {
            "body": body["body"],
            "format": body["format"],
            "seo": node["seo"],
            "metadata": node["metadata"],
        },
        "search_a": translation["title"],
        "search_b": " ".join([translation["excerpt"], *node["tags"]]),
        "search_c": searchable(body["body"], body["format"]),
    }


INDEX_CONTENT = Projection(
    name="content.index_content",
    summary="The storefront's content table",
    subscribes=("content.node.*",),
    table="index_content",
    load=load_nodes,
    build=build_documents,
    chunk=10,  # a node has up to a megabyte of body a locale
)
