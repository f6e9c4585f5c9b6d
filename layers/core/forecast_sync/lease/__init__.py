"""Read watermark: one run per database at a time, and what it looks at."""
