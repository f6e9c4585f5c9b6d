"""Load pages: a page's lines, read from S3, staged and merged batch by batch."""
