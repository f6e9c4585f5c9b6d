"""The interface between the local Athena and its engines: the embedded one, and Trino."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from localcloud.athena.unload import Unload

SYSTEM, USER = 1, 2
"""Athena's ``ErrorCategory``."""

EXHAUSTED, INTERNAL, WRITE_FAILED = 0, 200, 401
USER_ERROR, DATA_ERROR, SYNTAX, CANCELLED, INVALID_ARGUMENT = 1000, 1001, 1006, 1011, 1100
NO_SUCH_TABLE, NO_SUCH_BUCKET = 1110, 1306
"""Athena's ``ErrorType``, of its error catalog."""


class QueryError(Exception):
    """Fails the query; ``str()`` is the reason that Athena gives for it."""

    def __init__(
        self,
        reason: str,
        *,
        category: int = USER,
        error_type: int = USER_ERROR,
        retryable: bool = False,
    ) -> None:
        super().__init__(reason)
        self.category = category
        self.error_type = error_type
        self.retryable = retryable


class QueryCancelled(QueryError):
    """Ends the query after a call to StopQueryExecution."""

    def __init__(self) -> None:
        super().__init__("Query was cancelled by user", error_type=CANCELLED)


@dataclass(frozen=True, slots=True)
class Rows:
    """What a SELECT returned; types are Athena's names, values text or None for NULL."""

    columns: list[str]
    types: list[str]
    rows: list[list[str | None]]


@dataclass(slots=True)
class Statistics:
    """What a query took; an engine that can't measure something leaves it at zero."""

    scanned_bytes: int = 0
    rows: int = 0
    peak_memory_bytes: int = 0
    queued_milliseconds: int = 0
    planning_milliseconds: int = 0


class Cancellation:
    """Asks the code that works on a query to stop."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._stop: Callable[[], None] | None = None

    def cancel(self) -> None:
        """Stop the work, now or as soon as it begins."""
        with self._lock:
            self._cancelled.set()
            stop = self._stop
        if stop is not None:
            stop()

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """Work that ``stop``, called from another thread, ends early with some error.

        Raises ``QueryCancelled`` instead of that error when it was cancelled.
        """
        with self._lock:
            self.check()
            self._stop = stop
        try:
            yield
        except Exception:
            self.check()
            raise
        finally:
            with self._lock:
                self._stop = None
        self.check()

    def check(self) -> None:
        """Raises ``QueryCancelled`` once it is cancelled."""
        if self._cancelled.is_set():
            raise QueryCancelled

    def wait(self, seconds: float) -> None:
        """Wait. Raises ``QueryCancelled`` as soon as it is cancelled."""
        self._cancelled.wait(seconds)
        self.check()


@dataclass(slots=True)
class Job:
    """One query of the local Athena, as an engine sees it; the engine fills in ``statistics``."""

    query_id: str
    database: str
    cancellation: Cancellation = field(default_factory=Cancellation)
    statistics: Statistics = field(default_factory=Statistics)


class Engine(Protocol):
    """Runs Athena's SQL over the tables of the local Glue; called from several threads at once.

    Both methods raise ``QueryError`` when the query fails and ``QueryCancelled`` when it was
    cancelled.
    """

    def select(self, query: str, job: Job) -> Rows:
        """Run a statement that returns rows."""
        ...

    def unload(self, unload: Unload, job: Job) -> list[str]:
        """Write the rows as gzip text under the target, which is empty; return the files' keys.

        A query without rows writes no file.
        """
        ...
