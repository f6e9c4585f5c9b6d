"""Plan pages: the queries' results become pages, unless too many rows are rejected."""
