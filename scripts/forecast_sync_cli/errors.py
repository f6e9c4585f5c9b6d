"""What goes wrong for the person at the keyboard, told in one line."""

from __future__ import annotations


class UserError(Exception):
    """One line: what was read, what was expected, what to do. The CLI prints it and exits 1."""
