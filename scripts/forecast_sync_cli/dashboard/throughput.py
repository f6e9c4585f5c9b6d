"""Rows per second and the time left, from what the page has seen of a run so far."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

REMEMBERED_SECONDS = 30.0
RUNS = 8


class Rate(NamedTuple):
    """How fast a run loads; None while that is unknown."""

    rows_per_second: float | None
    seconds_left: float | None


class Rates:
    """Remembers row counts of the last half minute, for a few runs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, deque[tuple[float, int]]] = {}
        self._lock = threading.Lock()

    def observe(self, run_id: str, rows: int, expected: int) -> Rate:
        """Remember how many rows are done; returns the rate since the oldest count remembered."""
        now = self._clock()
        with self._lock:
            notes = self._seen.setdefault(run_id, deque())
            if notes and rows < notes[-1][1]:
                notes.clear()
            notes.append((now, rows))
            while now - notes[0][0] > REMEMBERED_SECONDS and len(notes) > 2:
                notes.popleft()
            while len(self._seen) > RUNS:
                self._seen.pop(next(iter(self._seen)))
            (began, before) = notes[0]
        if rows <= before or now <= began:
            return Rate(None, None)
        rate = (rows - before) / (now - began)
        return Rate(rate, max(0, expected - rows) / rate)
