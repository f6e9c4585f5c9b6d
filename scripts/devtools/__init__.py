"""What maintainers run: they generate docs/ from the code, and check the layer's size."""
