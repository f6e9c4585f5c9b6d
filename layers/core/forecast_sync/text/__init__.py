"""Text that is read or shown: parsed strictly, cut to size, with every character visible."""
