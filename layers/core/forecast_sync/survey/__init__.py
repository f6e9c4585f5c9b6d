"""The lake's objects, and what their Parquet footers say."""
