"""Commerce: products with their texts, variants and prices. It owns its SEO and rich description."""

from rustok.modules.commerce.schemas import CreateProduct, CreateProducts

__all__ = ["CreateProduct", "CreateProducts"]
