"""The reads (module `index`): denormalised tables that a storefront queries without joins."""
