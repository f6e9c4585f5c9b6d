"""Report changes: what a run would change, without writing it."""
