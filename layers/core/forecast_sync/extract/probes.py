"""Probes: queries over some of a run's objects, which tell whether these can be read.

A probe that fails says little by itself: the engine may have died, or Athena had no room for it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from forecast_sync.adapters.athena import Athena
from forecast_sync.adapters.glue import Catalog
from forecast_sync.adapters.postgres import Connection
from forecast_sync.adapters.s3 import Storage
from forecast_sync.config import Settings
from forecast_sync.contracts.run import BadFilesRequest, Run, Window
from forecast_sync.contracts.survey import Survey
from forecast_sync.errors import QueryFailed, QueryRetryable
from forecast_sync.extract.athena_sql import Dates, build_search
from forecast_sync.survey.file_ledger import FileLedger
from forecast_sync.survey.lists import OTHER, WINDOW, register_lists, write_paths
from forecast_sync.survey.proof import require_survey
from forecast_sync.tables import Table
from forecast_sync.text.size_limits import shorten

MOST_QUERIES = 64
RESERVE_MILLISECONDS = 60_000
"""With less of the function's time left, no probe begins."""

FIRST_POLL, LONGEST_POLL = 0.5, 4
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8
"""Seconds to wait after a failure of the engine, twice as long after each further one."""

REASON_CHARACTERS = 500


@dataclass(frozen=True, kw_only=True)
class SearchTools:
    """What a search for bad files works with; ``remaining_milliseconds`` is of the function."""

    connection: Connection
    athena: Athena
    storage: Storage
    catalog: Catalog
    table: Table
    settings: Settings
    remaining_milliseconds: Callable[[], int]
    sleep: Callable[[float], None] = time.sleep


class Fault(NamedTuple):
    """What is wrong, as a predicate, with one at least of the objects that a probe has read."""

    reason: str
    may_pass: bool = False
    """Whether the engine may have failed by itself, so that the same probe could succeed."""


class SearchEnded(Exception):  # becomes the error that the run had failed with
    """The search can't go on; ``str()`` is a sentence that says why."""


class LimitReached(SearchEnded):
    """The search has used up its queries, its bytes or its time."""

    def __init__(self) -> None:
        super().__init__(
            "The objects that it reads were searched for one that makes it fail, and none was "
            "found within the limits of a search."
        )


class Probes:
    """Queries over all rows of some of the objects, each row read as a run would."""

    def __init__(self, tools: SearchTools, ledger: FileLedger, request: BadFilesRequest) -> None:
        self._tools = tools
        self._ledger = ledger
        self._run: Run = request.run
        self._window: Window = request.window
        self._redrive_count = request.redrive_count
        self._survey: Survey = require_survey(request.run, request.window)
        self._pause = 0.0
        self.queries = 0
        self.scanned_bytes = 0
        self.read_keys: set[str] = set()
        """The objects that could be read."""
        self.is_engine_well = False
        """Whether the last probe has succeeded."""

    @property
    def remaining_milliseconds(self) -> int:
        """How much of the function's time is left."""
        return self._tools.remaining_milliseconds()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._tools.sleep(seconds)

    def find_fault(self, keys: Sequence[str]) -> Fault | None:
        """What is wrong with these objects; None if they can be read and have all their rows.

        Raises ``LimitReached`` instead of submitting a query too many or too late.
        Raises ``SearchEnded`` when the query was cancelled.
        Raises ``QueryFailed`` when Athena refused a request.
        """
        if self.queries == MOST_QUERIES or self.remaining_milliseconds < RESERVE_MILLISECONDS:
            raise LimitReached
        if self._pause:
            self.sleep(self._pause)
        self.queries += 1
        fault = self._query(keys)
        self.is_engine_well = fault is None
        if fault is None:
            self.read_keys.update(keys)
        if fault and fault.may_pass:
            self._pause = min(LONGEST_PAUSE, 2 * self._pause or FIRST_PAUSE)
        else:
            self._pause = 0
        return fault

    def _query(self, keys: Sequence[str]) -> Fault | None:
        athena, text = self._tools.athena, self._compose(keys)
        # A call of the function that is retried gets the same queries again; a redrive, new ones.
        identity = f"{self._run.execution_arn} search {self._redrive_count} {text}"
        started = athena.start(text, hashlib.sha256(identity.encode()).hexdigest())
        wait = FIRST_POLL
        try:
            while (cost := athena.poll(started)) is None:
                self.sleep(wait)
                wait = min(LONGEST_POLL, wait * 1.5)
        except QueryRetryable:
            return self._failure(started, may_pass=True)
        except QueryFailed as failed:
            if failed.ended_by is None:
                raise
            if failed.ended_by == "cancellation":
                raise SearchEnded(
                    "The search for a file that makes it fail ended, because its query "
                    f"{started} was cancelled. Redrive to search again."
                ) from None
            return self._failure(started, may_pass=failed.ended_by == "engine")
        self.scanned_bytes += cost.bytes_scanned
        rows, expected = int(athena.read_row(started)["rows"]), self._ledger.count_rows(keys)
        if rows == expected:
            return None
        return Fault(f"has {rows:,} rows, and its footer says {expected:,}")

    def _compose(self, keys: Sequence[str]) -> str:
        tools = self._tools
        name = f"{self._survey.survey_id}.part-{self.queries}"
        location = f"{self._survey.location}part-{self.queries}/"
        lists = (tools.storage, tools.settings, tools.table, location)
        listed, others = write_paths(*lists, WINDOW, keys), write_paths(*lists, OTHER, [])
        register_lists(tools.catalog, tools.settings, tools.table, name, listed, others)
        survey = self._survey.model_copy(update={"survey_id": name, "reads": ()})
        window = self._window.model_copy(update={"survey": survey, "low": None})
        # Of every date, whatever the run's are: its files' rows are counted.
        return build_search(tools.table, tools.settings, Dates(), window)

    def _failure(self, query_execution_id: str, *, may_pass: bool) -> Fault:
        why = shorten(self._tools.athena.find_failure(query_execution_id), REASON_CHARACTERS)
        reason = f"makes Athena's queries fail, though its footer is in order: {why}"
        return Fault(reason, may_pass)
