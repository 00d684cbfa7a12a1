"""Labels -> head -> predictions."""
