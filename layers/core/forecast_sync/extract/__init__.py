"""Run queries: the statements that Athena runs, and how they are submitted and followed."""
