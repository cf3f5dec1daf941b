"""Processes that do the work: the broker, and the actors that it feeds."""
