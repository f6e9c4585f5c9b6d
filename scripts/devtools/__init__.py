"""What maintainers run: the parts of docs/ that are made from the code, and pictures of it."""
