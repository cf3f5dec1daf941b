"""Let searches go back: the page that ends before a key, its last row first.

It is asked for less often than a next one, so a function a kind answers every question, and plans each time.
"""

from collections.abc import Mapping
from typing import NamedTuple

from alembic import op

from rustok.db.rls import APP, SEARCH, give_function

revision = "m20261127_index_009"
down_revision = "m20261127_outbox_010"

_ARGUMENTS = "uuid, text, text, jsonb, text, jsonb, integer"


class _Sort(NamedTuple):
    """A key, its type, and its direction backwards."""

    key: str
    type: str
    back: str
    condition: str = "true"


class _Search(NamedTuple):
    """What may be asked of a table, as in m20261124_index_007; each filter has its condition, in which $4 are all."""

    name: str
    table: str
    id: str
    result: str
    shown: str
    sorts: Mapping[str, _Sort]
    filters: Mapping[str, str]


_RELEVANCE = _Sort("ts_rank(search, $3)", "real", "ASC")
_NEWEST = _Sort("published_at", "timestamptz", "ASC")
_TITLE = _Sort("title", "text", "DESC")
_TAGS = "tags @> ARRAY(SELECT jsonb_array_elements_text($4->'tags'))"

_PRODUCTS = _Search(
    name="products",
    table="index_products",
    id="product_id",
    result="""product_id uuid, handle text, title text, vendor text, product_type text, tags text[], price_min bigint,
              price_max bigint, on_sale boolean, published_at timestamptz, source_version bigint, details jsonb""",
    shown="""product_id, handle, title, vendor, product_type, tags, price_min, price_max, on_sale, published_at,
             source_version, details""",
    sorts={
        "relevance": _RELEVANCE,
        "newest": _NEWEST,
        "title": _TITLE,
        "price": _Sort("price_min", "bigint", "DESC", "price_min IS NOT NULL"),
        "-price": _Sort("price_min", "bigint", "ASC", "price_min IS NOT NULL"),
    },
    filters={
        "vendor": "vendor = $4->>'vendor'",
        "product_type": "product_type = $4->>'product_type'",
        "tags": _TAGS,
        "on_sale": "on_sale = ($4->>'on_sale')::boolean",
        "price_from": "price_max >= ($4->>'price_from')::bigint",
        "price_to": "price_min <= ($4->>'price_to')::bigint",
    },
)
_CONTENT = _Search(
    name="content",
    table="index_content",
    id="node_id",
    result="""node_id uuid, kind text, slug text, title text, excerpt text, author text, tags text[], parent_id uuid,
              "position" integer, published_at timestamptz, source_version bigint, details jsonb""",
    shown="""node_id, kind, slug, title, excerpt, author, tags, parent_id, "position", published_at, source_version,
             details - 'body'""",
    sorts={
        "relevance": _RELEVANCE,
        "newest": _NEWEST,
        "title": _TITLE,
        "position": _Sort('"position"', "integer", "DESC"),
    },
    filters={"kind": "kind = $4->>'kind'", "author": "author = $4->>'author'", "tags": _TAGS},
)


def upgrade() -> None:
    for search in (_PRODUCTS, _CONTENT):
        op.execute(_function(search))
        for statement in give_function(f"search_{search.name}_back({_ARGUMENTS})", SEARCH, APP):
            op.execute(statement)


def _function(search: _Search) -> str:
    return f"""
        CREATE FUNCTION search_{search.name}_back(tenant uuid, wanted_locale text, query text, filters jsonb, sort text,
                                                  before jsonb, page_limit integer)
        RETURNS TABLE ({search.result}, rank real)
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $body$
        #variable_conflict use_column
        DECLARE
            words constant tsquery := websearch_to_tsquery(text_search_config(wanted_locale), query);
            sorted_by text;
            sort_type text;
            direction text;
            conditions text := 'tenant_id = $1 AND locale = $2';
        BEGIN
            IF tenant IS DISTINCT FROM NULLIF(current_setting('rustok.tenant_id', true), '')::uuid THEN
                RAISE EXCEPTION 'search outside the tenant of the transaction' USING ERRCODE = '42501';
            END IF;
            CASE sort
                {"".join(_sort(name, sort) for name, sort in search.sorts.items())}
            END CASE;
            IF query IS NOT NULL THEN conditions := conditions || ' AND search @@ $3'; END IF;
            {"".join(_filter(name, condition) for name, condition in search.filters.items())}
            IF before IS NOT NULL THEN
                conditions := conditions || format(
                    ' AND (%s, {search.id}) %s (($5->>0)::%s, ($5->>1)::uuid)',
                    sorted_by, CASE direction WHEN 'ASC' THEN '>' ELSE '<' END, sort_type);
            END IF;
            RETURN QUERY EXECUTE format(
                $page$SELECT {search.shown}, %1$s FROM {search.table} WHERE %2$s
                       ORDER BY %3$s %4$s, {search.id} %4$s LIMIT $6$page$,
                CASE sort WHEN 'relevance' THEN sorted_by ELSE 'NULL::real' END, conditions, sorted_by, direction)
            USING tenant, wanted_locale, words, filters, before, page_limit;
        END $body$
        """


def _sort(name: str, sort: _Sort) -> str:
    return f"""
                WHEN '{name}' THEN
                    sorted_by := '{sort.key}'; sort_type := '{sort.type}'; direction := '{sort.back}';
                    conditions := conditions || ' AND {sort.condition}';"""


def _filter(name: str, condition: str) -> str:
    return f"""
            IF filters ? '{name}' THEN conditions := conditions || $filter$ AND {condition}$filter$; END IF;"""
