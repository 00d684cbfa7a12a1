"""A query (text, clip or picture) -> timed moments."""
