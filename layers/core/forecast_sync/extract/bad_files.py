"""Find bad files: which objects make a run's queries fail, or lose rows, though no footer shows it.

A page may be damaged behind a good footer, or a value may be one that an expression of the table
file can't take. Athena then fails the whole query, mostly without naming the object. Or a footer
may have another number of rows than its file. So the objects are read in parts, until each that is
bad is alone, and the rest is read once more to show that it was these.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence

from forecast_sync.adapters.athena import Athena
from forecast_sync.adapters.glue import Catalog
from forecast_sync.adapters.postgres import Connection, transaction
from forecast_sync.adapters.s3 import Storage
from forecast_sync.config import Settings
from forecast_sync.contracts.redrive import raise_if_stale, refuse_other_definitions
from forecast_sync.contracts.run import BadFiles, BadFilesRequest, Run, Window
from forecast_sync.contracts.survey import Survey
from forecast_sync.errors import QueryFailed, QueryRetryable, VerificationFailed, message_of
from forecast_sync.extract.athena_sql import Dates, build_search
from forecast_sync.lease import lease
from forecast_sync.survey.file_ledger import FileLedger
from forecast_sync.survey.lists import (
    OTHER,
    WINDOW,
    read_versions,
    register_lists,
    write_paths,
)
from forecast_sync.survey.proof import refuse_changed_lake, require_survey
from forecast_sync.tables import Table, definition_of
from forecast_sync.text.sentences import end_sentence
from forecast_sync.text.size_limits import shorten

MOST_QUERIES = 64
MOST_OBJECTS = 100_000
MOST_SCANS = 2
"""How many times the bytes of all listed objects a search may read. Halving reads them once, and
then only the halves that fail again.
"""

MOST_SUSPECTS = 4
"""How many objects that Athena's message names are tried first."""

RESERVE_MILLISECONDS = 60_000
LONGEST_WAIT = 4
REASON_CHARACTERS = 500


def find_bad_files(
    connection: Connection,
    athena: Athena,
    storage: Storage,
    catalog: Catalog,
    table: Table,
    settings: Settings,
    request: BadFilesRequest,
    remaining_milliseconds: Callable[[], int],
    sleep: Callable[[float], None] = time.sleep,
) -> BadFiles:
    """Quarantine the objects that make the queries fail, so that the run goes on without them.

    Raises ``QueryFailed``, or ``VerificationFailed`` if the run had failed with that, with the same
    message, when no object is the cause or the search would take too long; ``InputsOutdated`` when
    the run had failed before a redrive, or for another definition; ``SourceChanged`` or
    ``SourceUnstable`` when a listed object is another one now, or gone; and what ``lease.join``
    raises.
    """
    survey, message = require_survey(request.run, request.window), message_of(request.cause)
    made_at, redrive_count = survey.redrive_count, request.redrive_count
    raise_if_stale(
        "A query failed before the redrive.", made_at=made_at, redrive_count=redrive_count
    )
    definition = definition_of(table)
    refuse_other_definitions(definition, request.window.definition or definition)
    refuse_changed_lake(storage, settings, survey, request.renewal, redrive_count)
    lease_count = lease.join(connection, request.run, redrive_count)
    ledger = FileLedger(connection, settings)
    probes = _Probes(
        athena,
        storage,
        catalog,
        ledger,
        table,
        settings,
        request,
        survey,
        remaining_milliseconds,
        sleep,
    )
    try:
        faults = _search(probes, storage, survey, message, ledger)
    except _NothingFound as nothing:
        kind = VerificationFailed if request.error == VerificationFailed.__name__ else QueryFailed
        raise kind(str(nothing)) from None
    with transaction(connection) as cursor:
        lease.refuse_lost(cursor, request.run, lease_count, "searched for bad files")
        ledger.quarantine(cursor, faults, definition)
    return BadFiles(quarantined=len(faults))


def _list_objects(storage: Storage, survey: Survey) -> Iterator[str]:
    """The keys of all listed objects, those to take in first."""
    for part, files in ((WINDOW, survey.window_files), (OTHER, survey.other_files)):
        for version in read_versions(storage, survey.location, part, files):
            yield version.key


class _NothingFound(Exception):  # becomes the error that the run had failed with
    """No object is the cause of what the run had failed with, as far as could be found out."""


class _SearchEnded(Exception):  # not a fault: the search has cost what it may
    """The search has used up its queries, its bytes or its time."""


class _Probes:
    """Queries over all rows of some of the objects, each row read as a run would."""

    def __init__(
        self,
        athena: Athena,
        storage: Storage,
        catalog: Catalog,
        ledger: FileLedger,
        table: Table,
        settings: Settings,
        request: BadFilesRequest,
        survey: Survey,
        remaining_milliseconds: Callable[[], int],
        sleep: Callable[[float], None],
    ) -> None:
        self._athena = athena
        self._storage = storage
        self._catalog = catalog
        self._ledger = ledger
        self._table = table
        self._settings = settings
        self._run: Run = request.run
        self._window: Window = request.window
        self._redrive_count = request.redrive_count
        self._survey = survey
        self._remaining = remaining_milliseconds
        self._sleep = sleep
        self._queries = 0
        self._scanned = 0
        self.has_read = False
        """Whether a query over some object has succeeded: so not all of them fail."""

    def find_fault(self, keys: Sequence[str]) -> str | None:
        """What is wrong, as a predicate, with one of these objects at least; None when nothing is.

        Raises ``_SearchEnded``.
        """
        budget = MOST_SCANS * self._survey.size
        out_of_time = self._remaining() < RESERVE_MILLISECONDS
        if self._queries == MOST_QUERIES or self._scanned > budget or out_of_time:
            raise _SearchEnded
        self._queries += 1
        started, fault = self._query(self._compose(keys))
        if fault is not None:
            return f"makes Athena's queries fail, though its footer is in order: {fault}"
        rows, expected = int(self._athena.read_row(started)["rows"]), self._ledger.count_rows(keys)
        if rows != expected:
            return f"has {rows:,} rows, and its footer says {expected:,}"
        self.has_read = True
        return None

    def _compose(self, keys: Sequence[str]) -> str:
        name = f"{self._survey.survey_id}.part-{self._queries}"
        location = f"{self._survey.location}part-{self._queries}/"
        lists = (self._storage, self._settings, self._table, location)
        listed, others = write_paths(*lists, WINDOW, keys), write_paths(*lists, OTHER, [])
        register_lists(self._catalog, self._settings, self._table, name, listed, others)
        survey = self._survey.model_copy(update={"survey_id": name, "reads": ()})
        window = self._window.model_copy(update={"survey": survey, "low": None})
        # Of every date, whatever the run's are: its files' rows are counted.
        return build_search(self._table, self._settings, Dates(), window)

    def _query(self, text: str) -> tuple[str, str | None]:
        """The query and why it failed, if it did; twice, if Athena says that this may pass."""
        started, reason = "", None
        for attempt in range(2):
            identity = f"{self._run.execution_arn} search {self._redrive_count} {attempt} {text}"
            started = self._athena.start(text, hashlib.sha256(identity.encode()).hexdigest())
            wait = 0.5
            try:
                while (cost := self._athena.poll(started)) is None:
                    self._sleep(wait)
                    wait = min(LONGEST_WAIT, wait * 1.5)
            except QueryFailed:
                return started, self._failure(started)
            except QueryRetryable:
                reason = self._failure(started)
            else:
                self._scanned += cost.bytes_scanned
                return started, None
        return started, reason

    def _failure(self, query_execution_id: str) -> str:
        return shorten(self._athena.find_failure(query_execution_id), REASON_CHARACTERS)


def _search(
    probes: _Probes, storage: Storage, survey: Survey, message: str, ledger: FileLedger
) -> dict[str, str]:
    """What is wrong with each bad object, by key; raises ``_NothingFound``."""
    objects = survey.window_objects + survey.other_objects
    if objects > MOST_OBJECTS:
        raise _NothingFound(
            f"{end_sentence(message)} It reads {objects:,} objects; only up to {MOST_OBJECTS:,} "
            "are searched for one that makes it fail."
        )
    found: dict[str, str] = {}
    try:
        _find(probes, list(_list_objects(storage, survey)), message, found)
    except _SearchEnded:
        if not found:
            raise _NothingFound(
                f"{end_sentence(message)} The objects that it reads were searched for one that "
                "makes it fail, and none was found within the limits of a search."
            ) from None
    if not found:
        raise _NothingFound(message)
    if not probes.has_read:
        _refuse_without_control(probes, ledger, message, found)
    return found


def _find(probes: _Probes, keys: Sequence[str], message: str, found: dict[str, str]) -> None:
    """Try what the message names, then halves, until what is left can be read."""
    tried: set[str] = set()
    reason: str | None = message
    rest = [*keys]
    while reason is not None and rest:
        suspects = [key for key in rest if key not in tried and key in reason][:MOST_SUSPECTS]
        tried.update(suspects)
        before = len(found)
        for key in suspects:
            if why := probes.find_fault([key]):
                found[key] = why
        if len(found) == before and not suspects and _halve(probes, rest, found) == 0:
            return
        rest = [key for key in keys if key not in found]
        reason = probes.find_fault(rest) if rest else None


def _halve(probes: _Probes, keys: Sequence[str], found: dict[str, str]) -> int:
    """Add the bad ones of objects that can't be read together; how many these are."""
    if len(keys) == 1:
        if why := probes.find_fault(keys):
            found[keys[0]] = why
            return 1
        return 0
    middle = len(keys) // 2
    count = 0
    for half in (keys[:middle], keys[middle:]):
        if len(half) == 1 or probes.find_fault(half) is not None:
            count += _halve(probes, half, found)
    return count


def _refuse_without_control(
    probes: _Probes, ledger: FileLedger, message: str, found: dict[str, str]
) -> None:
    """Raise ``_NothingFound`` unless an object that was loaded before can be read.

    When nothing can be read, it isn't the objects' fault: a permission may be missing.
    """
    control = ledger.find_loaded(list(found))
    try:
        if control is not None and probes.find_fault([control]) is None:
            return
    except _SearchEnded:
        pass
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    raise _NothingFound(
        f"{end_sentence(message)} No object that the run reads could be read by itself either: "
        f"{next(iter(found))}{more}."
    )
