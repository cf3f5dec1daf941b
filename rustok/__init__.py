"""RusToK: a write costs one PostgreSQL commit; everything else happens in workers, once, in order."""
