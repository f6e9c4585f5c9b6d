"""How the page writes ages, durations, numbers and times."""

from __future__ import annotations

from datetime import UTC, datetime

UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


def number(value: float | None) -> str:
    """A number with thousands separators; a dash for None."""
    return "–" if value is None else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """A duration in the largest unit that gives at least two: 90 s, 5 min, 3 h, 4 d."""
    if seconds is None:
        return "–"
    for size, unit in UNITS:
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


def key(location: str) -> str:
    """An object's key, without the bucket that is the same for all."""
    return location.removeprefix("s3://").partition("/")[2] or location


def utc_time(text: str | None) -> str:
    """One of the API's times as day and time, in UTC."""
    if not text:
        return "–"
    return f"{datetime.fromisoformat(text):%d %b %H:%M:%S}"


def between(start: str | None, end: str | None) -> float | None:
    """The seconds between two of the API's times."""
    if not start or not end:
        return None
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    return max(0.0, (last - first).total_seconds())


def now() -> str:
    """The current time, as the API writes times."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
