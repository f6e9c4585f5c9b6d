"""Rows by outcome: as Athena counts them in the lake, and as a run writes them to Postgres."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field, PlainSerializer

from forecast_sync.contracts.base import Payload

BigInteger = Annotated[int, PlainSerializer(str, when_used="json")]
"""Travels as text: a state's JSON numbers are exact to 53 bits only."""


class Sums(NamedTuple):
    """A number of rows, and the sum of 60 bits of md5 of each row's line."""

    rows: int = 0
    checksum: int = 0

    def __str__(self) -> str:
        return f"{self.rows} rows with checksum {self.checksum}"


class Profile(Payload):
    """What Athena counted in the lake; ``checksum`` is the sum of 60 bits of md5 per good line.

    ``source_rows`` is how many rows the window's objects have, before filter; None in a result of
    an older version. ``tombstones`` are the touched keys whose newest row deletes them, ``kept``
    the rejects whose key is valid, and ``key_checksum`` is the sum over the lines of these keys.
    """

    window_rows: int
    rejected: int
    candidates: int
    good: int
    checksum: BigInteger
    warnings: dict[str, int] = Field(default_factory=dict)
    source_rows: int | None = None
    tombstones: int = 0
    kept: int = 0
    key_checksum: BigInteger = 0

    @property
    def superseded(self) -> int:
        """Candidates that are older than another one of the same key."""
        return self.candidates - self.good


class Counts(Payload):
    """A run's rows by outcome.

    window_rows = valid + rejected; candidates = good + superseded;
    good = inserted + updated + unchanged. ``warnings`` are good rows that break an expectation.
    ``deleted`` are rows that left the target; in a dry run, those that would.
    """

    window_rows: int = 0
    rejected: int = 0
    candidates: int = 0
    superseded: int = 0
    good: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    warnings: dict[str, int] = Field(default_factory=dict)
