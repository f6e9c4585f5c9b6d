"""The lake's objects: which there are, and what their footers say."""
