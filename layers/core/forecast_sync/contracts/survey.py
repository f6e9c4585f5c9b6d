"""What *Survey lake* knows of a run's objects: how far it has come, and where its lists are."""

from __future__ import annotations

from datetime import date

from pydantic import AwareDatetime, Field

from forecast_sync.contracts.base import Payload


class DateRange(Payload):
    """Business dates, both ends included."""

    first: date
    last: date


class RunFiles(Payload):
    """How many of the lake's files a run is about, by what it does with them."""

    taken_in: int = Field(description="New or changed files, or all that can be read.")
    overlapping: int = Field(description="Others, read for the same business dates.")
    left_out: int = Field(description="Files of the lake that can't be read.")
    bytes: int = Field(description="Size of those that are read.")

    def in_words(self, *, are_loaded: bool) -> str:
        """The counts that aren't zero; "no new file" without any.

        ``are_loaded`` tells whether the run has taken its files in, and not only read them.
        """
        parts = []
        if self.taken_in:
            parts.append(f"{_count(self.taken_in)} {'taken in' if are_loaded else 'to take in'}")
        elif not self.left_out:
            parts.append("no new file")
        if self.overlapping:
            parts.append(f"{self.overlapping:,} read beside")
        if self.left_out:
            parts.append(f"{self.left_out:,} left out")
        return ", ".join(parts)


def _count(files: int) -> str:
    return "1 file" if files == 1 else f"{files:,} files"


class Survey(Payload):
    """The survey of a run's lake; it never holds a list, only where the lists are.

    While it isn't ``done``, ``listing`` counts the listings of the lake, the present one of which
    began at ``began_at`` and continues after the key ``after``; ``found_withdrawals`` is whether it
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

    @property
    def files(self) -> RunFiles:
        """How many objects are listed, and how many of the lake aren't because they are bad."""
        return RunFiles(
            taken_in=self.window_objects,
            overlapping=self.other_objects,
            left_out=self.quarantined,
            bytes=self.size,
        )
