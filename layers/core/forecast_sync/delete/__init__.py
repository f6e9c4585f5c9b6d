"""Delete rows: what should leave the target leaves it, or waits when it is too much."""
