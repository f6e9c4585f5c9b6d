"""Read watermark: one run per database at a time, its window of objects, and its rerun."""
