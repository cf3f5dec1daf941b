"""GraphQL over the commands and queries of the modules."""
