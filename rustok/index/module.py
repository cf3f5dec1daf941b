"""Descriptor of the index: the storefront's reads."""

from rustok.index import search
from rustok.kernel.module import Module, ModuleKind, Query
from rustok.kernel.permission import Permission

INDEX = Module(
    name="index",
    kind=ModuleKind.INFRASTRUCTURE,
    summary="Denormalised tables that a storefront queries without joins.",
    path="search",
    permissions=(Permission("index.products.read", "Search published products"),),
    queries=(
        Query(
            name="index.products.search",
            summary="Search published products",
            permission="index.products.read",
            input=search.SearchProducts,
            result=search.ProductHits,
            handler=search.search_products,
            route="GET /products",
        ),
    ),
    tables=("index_versions", "index_products"),
)
