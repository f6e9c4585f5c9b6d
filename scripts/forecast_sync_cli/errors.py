"""The error that commands show as one line."""

from __future__ import annotations

from collections.abc import Sequence


class UserError(Exception):
    """A mistake or failure to report: what was read, what was expected, what to do next."""


class Faults(UserError):
    """Several mistakes, each shown on its own line."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults
