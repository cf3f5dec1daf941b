"""Search with less work beside the search itself.

Parsing and planning took longer than reading a page. What is asked without words goes to a function of its own, in
which what an index has in the right order is a static statement, whose plan PostgreSQL keeps. Words are planned for
their values, but a first page by relevance is parsed once. The rank is a column instead of a part of a JSON key,
which was built for every match and not for the page alone.
"""

from collections.abc import Mapping
from typing import NamedTuple

from alembic import op

from rustok.db.rls import APP, SEARCH, give_function

revision = "m20261124_index_007"
down_revision = "m20261124_index_006"

_FIRST_ID, _LAST_ID = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"
_LAST_NUMBER = 2**63 - 1
_ARGUMENTS = "uuid, text, text, jsonb, text, jsonb, integer"


class _Sort(NamedTuple):
    """`start` comes before every key, in the direction of the sort."""

    key: str
    type: str
    direction: str
    start: str
    condition: str = "true"


class _Listing(NamedTuple):
    """A question without words that the index of its sort answers, whatever the values are.

    It has every filter in `required`, and perhaps some in `optional`.
    """

    sort: str
    conditions: str = "true"
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


class _Search(NamedTuple):
    """What may be asked of a table; each filter has its condition, in which $4 are the filters."""

    name: str
    table: str
    id: str
    result: str
    shown: str
    sorts: Mapping[str, _Sort]
    filters: Mapping[str, str]
    listings: tuple[_Listing, ...]


_RELEVANCE = _Sort("ts_rank(search, $3)", "real", "DESC", "infinity")
_NEWEST = _Sort("published_at", "timestamptz", "DESC", "infinity")
_TITLE = _Sort("title", "text", "ASC", "")
_TAGS = "tags @> ARRAY(SELECT jsonb_array_elements_text($4->'tags'))"
_OF_TYPE = "product_type = filters->>'product_type'"
_UP_TO_PRICE = f"price_min <= coalesce((filters->>'price_to')::bigint, {_LAST_NUMBER})"

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
        "price": _Sort("price_min", "bigint", "ASC", "-1", "price_min IS NOT NULL"),
        "-price": _Sort("price_min", "bigint", "DESC", str(_LAST_NUMBER), "price_min IS NOT NULL"),
    },
    filters={
        "vendor": "vendor = $4->>'vendor'",
        "product_type": "product_type = $4->>'product_type'",
        "tags": _TAGS,
        "on_sale": "on_sale = ($4->>'on_sale')::boolean",
        "price_from": "price_max >= ($4->>'price_from')::bigint",
        "price_to": "price_min <= ($4->>'price_to')::bigint",
    },
    listings=(
        _Listing("newest"),
        _Listing("title"),
        _Listing("newest", _OF_TYPE, required=("product_type",)),
        *(_Listing(sort, _UP_TO_PRICE, optional=("price_to",)) for sort in ("price", "-price")),
        *(
            _Listing(sort, f"{_OF_TYPE} AND {_UP_TO_PRICE}", required=("product_type",), optional=("price_to",))
            for sort in ("price", "-price")
        ),
    ),
)
_CONTENT = _Search(
    name="content",
    table="index_content",
    id="node_id",
    result="""node_id uuid, kind text, slug text, title text, excerpt text, author text, tags text[], parent_id uuid,
              "position" integer, published_at timestamptz, source_version bigint, details jsonb""",
    # Bodies stay behind: a page of them could be 100 MB.
    shown="""node_id, kind, slug, title, excerpt, author, tags, parent_id, "position", published_at, source_version,
             details - 'body'""",
    sorts={
        "relevance": _RELEVANCE,
        "newest": _NEWEST,
        "title": _TITLE,
        "position": _Sort('"position"', "integer", "ASC", "-1"),
    },
    filters={"kind": "kind = $4->>'kind'", "author": "author = $4->>'author'", "tags": _TAGS},
    listings=(
        _Listing("newest"),
        _Listing("title"),
        _Listing("position"),
        _Listing("newest", "kind = filters->>'kind'", required=("kind",)),
    ),
)


def upgrade() -> None:
    # With configurations for constants the body is immutable as well, so that the planner can put it in place of
    # the call, which cost 10 us.
    op.execute(
        """
        CREATE OR REPLACE FUNCTION text_search_config(locale text) RETURNS regconfig LANGUAGE sql IMMUTABLE AS $$
            SELECT CASE left(locale, 2)
                WHEN 'en' THEN 'pg_catalog.english'::regconfig WHEN 'de' THEN 'pg_catalog.german'::regconfig
                WHEN 'ru' THEN 'pg_catalog.russian'::regconfig WHEN 'fr' THEN 'pg_catalog.french'::regconfig
                WHEN 'es' THEN 'pg_catalog.spanish'::regconfig WHEN 'it' THEN 'pg_catalog.italian'::regconfig
                WHEN 'pt' THEN 'pg_catalog.portuguese'::regconfig WHEN 'nl' THEN 'pg_catalog.dutch'::regconfig
                ELSE 'pg_catalog.simple'::regconfig END
        $$
        """
    )
    for search in (_PRODUCTS, _CONTENT):
        op.execute(f"DROP FUNCTION search_{search.name}({_ARGUMENTS})")
        listings = "".join(_listing(search, listing) for listing in search.listings)
        _create(search, f"list_{search.name}", "force_generic_plan", listings)
        _create(search, f"search_{search.name}", "force_custom_plan", _ranked(search))


def _create(search: _Search, function: str, plans: str, static: str) -> None:
    """Create a function that answers every question; those for which it has *static* statements, with such *plans*."""
    op.execute(
        f"""
        CREATE FUNCTION {function}(tenant uuid, wanted_locale text, query text, filters jsonb, sort text, after jsonb,
                                   page_limit integer)
        RETURNS TABLE ({search.result}, rank real)
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
        SET plan_cache_mode = {plans} AS $body$ -- of static statements; EXECUTE plans each time
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
            {static}
            CASE sort
                {"".join(_sort(name, sort) for name, sort in search.sorts.items())}
            END CASE;
            IF query IS NOT NULL THEN conditions := conditions || ' AND search @@ $3'; END IF;
            {"".join(_filter(name, condition) for name, condition in search.filters.items())}
            IF after IS NOT NULL THEN
                conditions := conditions || format(
                    ' AND (%s, {search.id}) %s (($5->>0)::%s, ($5->>1)::uuid)',
                    sorted_by, CASE direction WHEN 'ASC' THEN '>' ELSE '<' END, sort_type);
            END IF;
            RETURN QUERY EXECUTE format(
                $page$SELECT {search.shown}, %1$s FROM {search.table} WHERE %2$s
                       ORDER BY %3$s %4$s, {search.id} %4$s LIMIT $6$page$,
                CASE sort WHEN 'relevance' THEN sorted_by ELSE 'NULL::real' END, conditions, sorted_by, direction)
            USING tenant, wanted_locale, words, filters, after, page_limit;
        END $body$
        """
    )
    for statement in give_function(f"{function}({_ARGUMENTS})", SEARCH, APP):
        op.execute(statement)


def _ranked(search: _Search) -> str:
    return f"""
            IF sort = 'relevance' AND filters = '{{}}' AND after IS NULL THEN
                RETURN QUERY
                SELECT {search.shown}, ts_rank(search, words) AS relevance FROM {search.table}
                 WHERE tenant_id = tenant AND locale = wanted_locale AND search @@ words
                 ORDER BY relevance DESC, {search.id} DESC LIMIT page_limit;
                RETURN;
            END IF;"""


def _listing(search: _Search, listing: _Listing) -> str:
    """A first page is one after a key that comes before all others, so that one statement serves for every page.

    The inner LIMIT is the most that anybody may ask for: it tells a plan made for every limit how short a page is.
    """
    sort = search.sorts[listing.sort]
    comparison, start_id = (">", _FIRST_ID) if sort.direction == "ASC" else ("<", _LAST_ID)
    has_required = "".join(f" AND filters ? '{name}'" for name in listing.required)
    known = ", ".join((*listing.required, *listing.optional))
    return f"""
            IF query IS NULL AND sort = '{listing.sort}'{has_required} AND filters - '{{{known}}}'::text[] = '{{}}' THEN
                    RETURN QUERY SELECT * FROM (
                        SELECT {search.shown}, NULL::real FROM {search.table}
                         WHERE tenant_id = tenant AND locale = wanted_locale AND {listing.conditions}
                           AND ({sort.key}, {search.id}) {comparison} (
                               coalesce((after->>0)::{sort.type}, '{sort.start}'),
                               coalesce((after->>1)::uuid, '{start_id}'))
                         ORDER BY {sort.key} {sort.direction}, {search.id} {sort.direction} LIMIT 101) AS page
                    LIMIT page_limit;
                    RETURN;
                END IF;"""


def _sort(name: str, sort: _Sort) -> str:
    return f"""
                WHEN '{name}' THEN
                    sorted_by := '{sort.key}'; sort_type := '{sort.type}'; direction := '{sort.direction}';
                    conditions := conditions || ' AND {sort.condition}';"""


def _filter(name: str, condition: str) -> str:
    return f"""
            IF filters ? '{name}' THEN conditions := conditions || $filter$ AND {condition}$filter$; END IF;"""
