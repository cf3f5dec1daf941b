"""Commerce: products with their texts, variants and prices. It owns its SEO and rich description."""

from rustok.modules.commerce.errors import ImportOutOfStep
from rustok.modules.commerce.schemas import CreateProduct, ImportProducts, ImportProgress

__all__ = ["CreateProduct", "ImportOutOfStep", "ImportProducts", "ImportProgress"]
