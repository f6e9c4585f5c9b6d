"""The error that commands show as one line."""

from __future__ import annotations


class UserError(Exception):
    """A mistake or failure to report: what was read, what was expected, what to do next."""
