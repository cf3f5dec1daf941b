"""The business: one folder a module, one file a concern."""
