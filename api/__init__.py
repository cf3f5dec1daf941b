"""The HTTP face: commands and queries of the platform as REST, and what an operator asks of the process."""
