"""Upsert batches: a page's lines, read from S3, are staged and merged batch by batch."""
