"""Survey lake: lists the lake beside the file ledger, and writes the lists that the run reads.

A listing takes a while, and meanwhile objects are compacted: their rows move to an object behind
which the listing may already be. So a listing that finds an object replaced or gone isn't the last
one: only a listing that began after the loss is sure to have the object that the rows moved to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime

from forecast_sync.adapters.glue import Catalog
from forecast_sync.adapters.postgres import Connection, transaction
from forecast_sync.adapters.s3 import Listed, Storage, split_location
from forecast_sync.config import Settings
from forecast_sync.contracts.redrive import refuse_other_definitions
from forecast_sync.contracts.run import SurveyRequest, Window
from forecast_sync.contracts.survey import DateRange, Survey
from forecast_sync.errors import SourceInvalid
from forecast_sync.lease import lease
from forecast_sync.lease.window import record_window
from forecast_sync.survey.compare import compare
from forecast_sync.survey.dates import merge
from forecast_sync.survey.file_ledger import FileLedger, KnownFile, Totals
from forecast_sync.survey.judge import ANY_DATE, READERS, Judged, judge_all
from forecast_sync.survey.listing import is_hidden, list_ranges
from forecast_sync.survey.lists import OTHER, WINDOW, register_lists, write_list
from forecast_sync.survey.proof import source_changed
from forecast_sync.tables import Table, definition_of

RESERVE_MILLISECONDS = 120_000
"""What a call keeps for the lists; another call continues when less is left."""

MOST_LISTINGS = 5
NAMED_IN_MESSAGE = 3
UNKNOWN_DATES = (
    "Objects whose business dates nobody knows were replaced or deleted, so any key may be theirs."
)


def survey_lake(
    connection: Connection,
    storage: Storage,
    catalog: Catalog,
    table: Table,
    settings: Settings,
    request: SurveyRequest,
    remaining_milliseconds: Callable[[], int],
) -> Window:
    """Continue a run's survey until it is done or the time ends; the window with the survey.

    Raises ``SourceInvalid`` for objects that have left rows in the target and can't be read now,
    for a lake without a readable object, and for any bad file when the table file says so;
    ``SourceChanged`` or ``SourceUnstable`` when objects are replaced in each listing;
    ``InputsOutdated`` when the window was decided for another definition; and what
    ``lease.join`` raises.
    """
    definition = definition_of(table)
    refuse_other_definitions(definition, request.window.definition or definition)
    lease_count = lease.join(connection, request.run, request.redrive_count)
    with ThreadPoolExecutor(READERS) as pool:
        surveying = _Surveying(connection, storage, table, settings, request, lease_count, pool)
        survey = surveying.list_lake(remaining_milliseconds)
    window = request.window.model_copy(update={"survey": survey, "high": survey.began_at})
    if not survey.listed or remaining_milliseconds() < RESERVE_MILLISECONDS // 2:
        return window
    return _finish(connection, storage, catalog, table, settings, request, window, lease_count)


class _Surveying:
    """The listings of one call."""

    def __init__(
        self,
        connection: Connection,
        storage: Storage,
        table: Table,
        settings: Settings,
        request: SurveyRequest,
        lease_count: int | None,
        pool: Executor,
    ) -> None:
        self._connection = connection
        self._storage = storage
        self._table = table
        self._request = request
        self._lease_count = lease_count
        self._pool = pool
        self._ledger = FileLedger(connection, settings)
        self._bucket, self._prefix = split_location(settings.data_location)
        self._definition = definition_of(table)
        self._survey = _begin(settings, request)

    def list_lake(self, remaining_milliseconds: Callable[[], int]) -> Survey:
        """List until a listing is the last one or little time is left."""
        while not self._survey.listed:
            if not self._list_once(remaining_milliseconds):
                return self._survey
            is_last = not self._survey.found_withdrawals and (
                self._survey.listing > 1 or self._request.window.adopts_until is None
            )
            if is_last:
                self._change(listed=True)
            elif self._survey.listing == MOST_LISTINGS:
                raise source_changed(self._request.renewal, self._request.redrive_count)
            else:
                self._change(
                    listing=self._survey.listing + 1,
                    after="",
                    found_withdrawals=False,
                    began_at=datetime.now(UTC),
                )
        return self._survey

    def _list_once(self, remaining_milliseconds: Callable[[], int]) -> bool:
        """Compare the rest of the present listing; False when the time has ended before it."""
        after, is_first = self._survey.after, True
        cuts = self._ledger.cut_keys(after)
        with closing(list_ranges(self._storage, self._bucket, self._prefix, after, cuts)) as ranges:
            for pages, last in ranges:
                for page in pages:
                    # One is always compared: a call that got nowhere would be repeated forever.
                    if not is_first and remaining_milliseconds() < RESERVE_MILLISECONDS:
                        return False
                    is_first = False
                    if page:
                        self._compare_page(page, page[-1].key)
                self._compare_page([], last)
        return True

    def _compare_page(self, page: Sequence[Listed], last: str | None) -> None:
        """Compare listed objects with the ledger's rows up to the key ``last``, slice by slice."""
        items = [item for item in page if not is_hidden(item.key, self._prefix)]
        for part in self._ledger.beside(items, self._survey.after, last):
            self._compare_slice(part.items, part.known)
            if part.end is not None:
                self._change(after=part.end)

    def _compare_slice(self, items: Sequence[Listed], known: Sequence[KnownFile]) -> None:
        def judge(unknown: Sequence[Listed]) -> Mapping[str, Judged | None]:
            return judge_all(
                self._storage, self._bucket, unknown, self._table, self._pool, self._prefix
            )

        compared = compare(items, known, judge, self._definition, self._request.window.adopts_until)
        if compared.changes:
            with transaction(self._connection) as cursor:
                lease.refuse_lost(cursor, self._request.run, self._lease_count, lease.SURVEYING)
                self._ledger.save(cursor, compared.changes)
        if compared.found_withdrawals:
            self._change(found_withdrawals=True)

    def _change(self, **changes: object) -> None:
        self._survey = self._survey.model_copy(update=changes)


def _begin(settings: Settings, request: SurveyRequest) -> Survey:
    """The survey that the window has, or a new one; one from before a redrive begins again."""
    known = request.window.survey
    if known is not None and known.redrive_count == request.redrive_count and not known.done:
        return known
    run_id, renewal, redrive_count = request.run.run_id, request.renewal, request.redrive_count
    location = f"{settings.athena_output_location}{run_id}/survey-{renewal}-{redrive_count}/"
    return Survey(
        survey_id=f"{run_id}.{renewal}.{redrive_count}",
        location=location,
        renewal=renewal,
        redrive_count=redrive_count,
        began_at=datetime.now(UTC),
    )


def _finish(
    connection: Connection,
    storage: Storage,
    catalog: Catalog,
    table: Table,
    settings: Settings,
    request: SurveyRequest,
    window: Window,
    lease_count: int | None,
) -> Window:
    """Decide the window, write its lists, and make them partitions of the survey table."""
    survey = window.survey
    assert survey is not None  # noqa: S101
    ledger, run = FileLedger(connection, settings), request.run
    totals = ledger.count()
    _refuse_bad_files(ledger, totals, table, settings)
    bounds = DateRange(first=run.date_from or date.min, last=run.date_to or date.max)
    touched = ledger.withdrawn_dates(bounds)
    if window.low is not None and ANY_DATE in touched:
        window = window.model_copy(update={"low": None, "reason": UNKNOWN_DATES})
    is_full = window.low is None
    reads = [] if is_full else merge(ledger.window_dates(bounds))
    wanted = ledger.list_window(bounds, is_full=is_full)
    window_list = write_list(storage, settings, table, survey.location, WINDOW, wanted)
    others = ledger.list_others(reads) if reads else ()
    other_list = write_list(storage, settings, table, survey.location, OTHER, others)
    register_lists(
        catalog, settings, table, survey.survey_id, window_list.folders, other_list.folders
    )
    survey = survey.model_copy(
        update={
            "done": True,
            "window_objects": window_list.objects,
            "window_bytes": window_list.size,
            "source_rows": window_list.rows,
            "other_objects": other_list.objects,
            "other_bytes": other_list.size,
            "window_files": window_list.files,
            "other_files": other_list.files,
            "reads": None if ANY_DATE in reads else tuple(reads),
            "touched": () if is_full else tuple(merge(touched)),
            "quarantined": totals.quarantined,
        }
    )
    window = window.model_copy(update={"survey": survey})
    with transaction(connection) as cursor:
        lease.refuse_lost(cursor, run, lease_count, lease.SURVEYING)
        if not run.dry_run:
            ledger.mark_window(cursor, survey.survey_id)
        record_window(cursor, run, window)
    return window


def _refuse_bad_files(ledger: FileLedger, totals: Totals, table: Table, settings: Settings) -> None:
    """Raise ``SourceInvalid`` for bad files that can't be left out."""
    advice = "Repair or remove the file, then redrive or start a new run."
    if totals.lost:
        why = (
            "Rows of these objects were loaded, and they can no longer be read, so that older "
            "rows would win"
        )
    elif totals.quarantined and not totals.readable:
        why = "No object of the lake can be read"
    elif totals.quarantined and table.source.bad_files == "fail":
        why = "The table file says that a bad file fails a run"
    else:
        return
    count = totals.lost or totals.quarantined
    named = ledger.name_bad_files(only_lost=bool(totals.lost), limit=NAMED_IN_MESSAGE)
    bucket, _ = split_location(settings.data_location)
    listed = "; ".join(f"s3://{bucket}/{key} {reason}" for key, reason in named)
    more = f"; and {count - len(named)} more" if count > len(named) else ""
    raise SourceInvalid(f"{why}: {listed}{more}. {advice}")
