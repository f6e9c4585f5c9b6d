"""What *Survey lake* knows of a run's objects: how far it has come, and where its lists are."""

from __future__ import annotations

from datetime import date

from pydantic import AwareDatetime

from forecast_sync.contracts.base import Payload


class DateRange(Payload):
    """Business dates, both ends included."""

    first: date
    last: date


class Survey(Payload):
    """The survey of a run's lake; it never holds a list, only where the lists are.

    While it isn't ``done``, ``listing`` counts the listings of the lake, the present one of which
    began at ``began_at`` and goes on behind the key ``after``; ``found_withdrawals`` is whether it
    has found an object replaced or gone, and ``listed`` whether it was the last one.

    Then ``location`` is the ``s3://`` folder of the lists: ``window/`` has the objects to take in,
    ``other/`` those that may have rows of the same keys, ``versions/`` each one's version;
    ``window_files`` and ``other_files`` are how many files each takes. ``reads`` are the business
    dates in which ``other`` is read, None for all of them; in those of ``touched`` every key is
    looked at, because objects that had rows of these dates are replaced or gone. ``source_rows`` is
    how many rows the window's objects have, ``quarantined`` how many of the lake can't be read.
    """

    survey_id: str
    location: str
    renewal: int = 0
    redrive_count: int = 0
    began_at: AwareDatetime
    listing: int = 1
    after: str = ""
    found_withdrawals: bool = False
    listed: bool = False
    done: bool = False
    window_objects: int = 0
    window_bytes: int = 0
    source_rows: int = 0
    other_objects: int = 0
    other_bytes: int = 0
    window_files: int = 0
    other_files: int = 0
    reads: tuple[DateRange, ...] | None = ()
    touched: tuple[DateRange, ...] = ()
    quarantined: int = 0

    @property
    def size(self) -> int:
        """The bytes of all listed objects."""
        return self.window_bytes + self.other_bytes
