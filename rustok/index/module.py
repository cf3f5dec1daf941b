"""Descriptor of the index: the storefront's reads."""

from rustok.index import search_content, search_products
from rustok.kernel.module import Module, ModuleKind, Query
from rustok.kernel.permission import Permission

INDEX = Module(
    name="index",
    kind=ModuleKind.INFRASTRUCTURE,
    summary="Denormalised tables that a storefront queries without joins.",
    path="search",
    permissions=(
        Permission("index.products.read", "Search published products"),
        Permission("index.content.read", "Search and read published content"),
    ),
    queries=(
        Query(
            name="index.products.search",
            summary="Search published products",
            permission="index.products.read",
            input=search_products.SearchProducts,
            result=search_products.ProductHits,
            handler=search_products.search_products,
            route="GET /products",
            reads="index_products",
        ),
        Query(
            name="index.content.search",
            summary="Search published content",
            permission="index.content.read",
            input=search_content.SearchContent,
            result=search_content.ContentHits,
            handler=search_content.search_content,
            route="GET /content",
            reads="index_content",
        ),
        Query(
            name="index.content.get",
            summary="Read what is published at a slug, with its body",
            permission="index.content.read",
            input=search_content.GetContent,
            result=search_content.ContentHit,
            handler=search_content.get_content,
            route="GET /content/{kind}/{slug}",
            reads="index_content",
            errors=(search_content.ContentNotFound,),
        ),
    ),
    tables=("index_versions", "index_products", "index_content"),
)
