"""Claims about surveying a lake beside the file ledger, in a real Postgres."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import md5
from itertools import count
from typing import Any

import pytest
from forecast_sync.adapters.glue import Catalog
from forecast_sync.adapters.postgres import Connection, transaction
from forecast_sync.adapters.s3 import Listed, ObjectArchived, Storage
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Run, SurveyRequest, Window
from forecast_sync.contracts.survey import DateRange, Survey
from forecast_sync.errors import (
    InputsOutdated,
    LeaseHeld,
    SourceChanged,
    SourceInvalid,
    SourceUnstable,
)
from forecast_sync.record.outcome import take_in
from forecast_sync.survey.file_ledger import FileLedger
from forecast_sync.survey.lake import RESERVE_MILLISECONDS, survey_lake
from forecast_sync.survey.proof import lake_changed
from forecast_sync.tables import Table, load_table

from tests.builders import STARTED_AT, make_run
from tests.integration.loads import begin
from tests.lake import make_row, to_parquet

SETTINGS = Settings(
    environment="dev",
    data_location="s3://lake/forecast/",
    athena_output_location="s3://results/athena/",
)
FIRST = date(2026, 1, 1)
LONG = 900_000
PAGE = 2


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def file_of(number: int, *days: int) -> bytes:
    """A file with a row for each of these days."""
    return to_parquet([make_row(number, business_date=day(each)) for each in days or (number,)])


@dataclass
class Lake(Storage):
    """A bucket of lake objects and one of results, both in memory."""

    objects: dict[str, Listed] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)
    results: dict[str, bytes] = field(default_factory=dict)
    clock: datetime = STARTED_AT
    listings: int = 0
    looked_at: list[str] = field(default_factory=list)
    archived: set[str] = field(default_factory=set)
    """Names of objects that were archived without another storage class."""
    between_pages: Callable[[str], None] = lambda _last: None

    def put(self, name: str, content: bytes, **changes: Any) -> None:
        self.clock += timedelta(seconds=1)
        key = f"forecast/{name}"
        etag = md5(content, usedforsecurity=False).hexdigest()
        self.objects[key] = Listed(key, len(content), self.clock, etag)._replace(**changes)
        self.content[key] = content

    def delete(self, name: str) -> None:
        del self.objects[f"forecast/{name}"]

    def list_pages(
        self, _bucket: str, prefix: str, after: str = "", last: str | None = None
    ) -> Iterator[tuple[Listed, ...]]:
        self.listings += not after
        while True:
            keys = sorted(
                (
                    key
                    for key in self.objects
                    if key > after and key.startswith(prefix) and (last is None or key <= last)
                ),
                key=str.encode,
            )
            yield tuple(self.objects[key] for key in keys[:PAGE])
            if len(keys) <= PAGE:
                return
            after = keys[PAGE - 1]
            self.between_pages(after)

    def find_listed(self, _bucket: str, key: str) -> Listed | None:
        return self.objects.get(key)

    def read_tail(self, _bucket: str, key: str, size: int) -> bytes | None:
        name = key.removeprefix("forecast/")
        self.looked_at.append(name)
        if name in self.archived:
            raise ObjectArchived("InvalidObjectState")
        return self.content[key][-size:] if key in self.objects else None

    def write(self, _bucket: str, key: str, content: bytes) -> None:
        self.results[key] = content

    def read(self, _bucket: str, key: str) -> bytes:
        return self.results[key]


class Glue(Catalog):
    """Remembers which surveys have partitions."""

    def __init__(self) -> None:
        self.registered: list[str] = []

    def keep_listed_table(self, *_arguments: Any) -> None:
        """The table is there."""

    def add_partitions(self, _database: str, _table: str, _columns: Any, partitions: Any) -> None:
        self.registered += [partition.location for partition in partitions]


@dataclass
class World:
    """A lake, and the database that it is synced to."""

    connection: Connection
    lake: Lake = field(default_factory=Lake)
    glue: Glue = field(default_factory=Glue)
    table: Table = field(default_factory=load_table)
    runs: int = 0

    def begin(self, **changes: Any) -> tuple[Run, Window]:
        self.runs += 1
        run = make_run(f"run-{self.runs}", **changes)
        return run, begin(self.connection, run, redrive_count=0, settings=SETTINGS)

    def survey(
        self, run: Run, window: Window, remaining: Callable[[], int] = lambda: LONG, **more: Any
    ) -> Window:
        request = SurveyRequest(run=run, window=window, **more)
        return survey_lake(
            self.connection, self.lake, self.glue, self.table, SETTINGS, request, remaining
        )

    def run(self, **changes: Any) -> Surveyed:
        """A run that succeeds."""
        run, window = self.begin(**changes)
        surveyed = self.survey(run, window)
        assert surveyed.survey is not None
        assert surveyed.survey.done
        result = self.look(surveyed)
        self.end(run, surveyed)
        return result

    def end(self, run: Run, window: Window) -> None:
        with transaction(self.connection) as cursor:
            cursor.execute(
                "UPDATE forecast_sync_status SET status = 'succeeded', generation = 1, "
                "last_sync_timestamp = %s WHERE run_id = %s",
                [window.high.replace(tzinfo=None), run.run_id],
            )
            take_in(cursor, SETTINGS, run, window)

    def fail(self, run: Run) -> None:
        self.connection.execute(
            "UPDATE forecast_sync_status SET status = 'failed' WHERE run_id = %s", [run.run_id]
        )

    def look(self, window: Window) -> Surveyed:
        survey = window.survey
        assert survey is not None
        return Surveyed(self._list(survey, "window"), self._list(survey, "other"), survey, window)

    def _list(self, survey: Survey, part: str) -> list[str]:
        folder = survey.location.removeprefix("s3://results/") + f"{part}/"
        lines = [
            line
            for key, content in sorted(self.lake.results.items())
            if key.startswith(folder)
            for line in content.decode().splitlines()
        ]
        return [line.removeprefix("s3://lake/forecast/") for line in lines]

    def states(self) -> dict[str, str]:
        rows = self.connection.execute("SELECT key, state FROM forecast_sync_file ORDER BY key")
        return {key.removeprefix("forecast/"): state for key, state in rows}


@dataclass
class Surveyed:
    """A survey's lists, as names, and what it says about them."""

    window: list[str]
    other: list[str]
    survey: Survey
    decided: Window


@pytest.fixture
def world(connection: Connection) -> World:
    return World(connection)


def test_only_what_is_new_is_taken_in_and_only_what_overlaps_is_read(world: World) -> None:
    for number in range(4):
        world.lake.put(f"{number}.parquet", file_of(number))
    first = world.run()
    assert (first.window, first.other) == (["0.parquet", "1.parquet", "2.parquet", "3.parquet"], [])
    assert set(world.states().values()) == {"loaded"}
    world.lake.looked_at.clear()
    world.lake.put("new.parquet", file_of(9, 1))
    second = world.run()
    assert (second.window, second.other) == (["new.parquet"], ["1.parquet"])
    assert second.survey.reads == (DateRange(first=day(1), last=day(1)),)
    assert second.survey.source_rows == 1
    assert world.lake.looked_at == ["new.parquet"], "footers of unknown objects only"
    third = world.run()
    assert (third.window, third.other) == ([], [])


def test_the_age_of_an_object_does_not_matter(world: World) -> None:
    world.lake.put("0.parquet", file_of(0))
    world.run()
    world.lake.put("old.parquet", file_of(1), modified=STARTED_AT - timedelta(days=900))
    assert world.run().window == ["old.parquet"]


def test_a_full_run_takes_in_everything_and_writes_nothing_anew(world: World) -> None:
    for number in range(3):
        world.lake.put(f"{number}.parquet", file_of(number))
    world.run()
    before = world.connection.execute("SELECT xmin, key FROM forecast_sync_file").fetchall()
    full = world.run(sync_type="full")
    assert (len(full.window), full.other) == (3, [])
    assert world.connection.execute("SELECT xmin, key FROM forecast_sync_file").fetchall() == before


@pytest.mark.parametrize("how", ["deleted", "overwritten", "overwritten with the same content"])
def test_the_dates_of_what_is_gone_are_gone_over(world: World, how: str) -> None:
    world.lake.put("a.parquet", file_of(0, 5, 7))
    world.lake.put("b.parquet", file_of(1, 6))
    world.lake.put("c.parquet", file_of(2, 20))
    world.run()
    if how == "deleted":
        world.lake.delete("a.parquet")
    elif how == "overwritten":
        world.lake.put("a.parquet", file_of(0, 20))
    else:
        world.lake.put("a.parquet", world.lake.content["forecast/a.parquet"])
    again = world.run()
    assert again.survey.touched == (DateRange(first=day(5), last=day(7)),)
    assert "b.parquet" in again.other
    assert ("c.parquet" in again.other) is (how == "overwritten")
    assert again.window == ([] if how == "deleted" else ["a.parquet"])
    assert world.run().survey.touched == ()


@pytest.fixture
def slices_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file ledger cuts even a small lake into ranges."""
    monkeypatch.setattr("forecast_sync.survey.file_ledger.SLICE", 3)


def change_a_lake_of_twenty(world: World) -> list[str]:
    """After a run, objects come and go at the ends of ranges and within; the names to take in."""
    for number in range(20):
        world.lake.put(f"{number:02}.parquet", file_of(number))
    world.run()
    for name in ("02", "03", "08", "09", "10", "11", "19"):
        world.lake.delete(f"{name}.parquet")
    new = ["!.parquet", "02b.parquet", *(f"12-{n}.parquet" for n in range(9)), "20.parquet"]
    for name in [*new, "05.parquet"]:
        world.lake.put(name, file_of(50))
    return sorted([*new, "05.parquet"])


@pytest.mark.usefixtures("slices_of_three")
def test_ranges_of_keys_are_listed_as_one_listing_would_be(world: World) -> None:
    expected = change_a_lake_of_twenty(world)
    assert world.run().window == expected
    gone = [name for name, state in world.states().items() if state == "gone"]
    assert gone == [f"{name}.parquet" for name in ("02", "03", "08", "09", "10", "11", "19")]


@pytest.mark.usefixtures("slices_of_three")
def test_a_call_goes_on_in_the_range_in_which_the_last_one_s_time_ended(world: World) -> None:
    expected = change_a_lake_of_twenty(world)
    run, window = world.begin()
    calls = 0
    while window.survey is None or not window.survey.done:
        window = world.survey(run, window, lambda: RESERVE_MILLISECONDS - 1)
        calls += 1
    assert calls > len(expected) / PAGE
    assert world.look(window).window == expected


@pytest.mark.usefixtures("slices_of_three")
def test_ranges_are_listed_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    change_a_lake_of_twenty(world)
    list_pages, meeting = world.lake.list_pages, threading.Barrier(4)
    met = count()

    def wait_for_others(
        bucket: str, prefix: str, after: str = "", last: str | None = None
    ) -> Iterator[tuple[Listed, ...]]:
        if after and last and next(met) < meeting.parties:
            meeting.wait(10)
        yield from list_pages(bucket, prefix, after, last)

    monkeypatch.setattr(world.lake, "list_pages", wait_for_others)
    assert world.run().survey.window_objects


def test_what_a_failed_run_was_to_take_in_is_taken_in_by_the_next(world: World) -> None:
    world.lake.put("a.parquet", file_of(0))
    run, window = world.begin()
    world.survey(run, window)
    world.fail(run)
    world.lake.delete("a.parquet")
    world.lake.put("b.parquet", file_of(1, 3))
    second = world.run()
    assert second.window == ["b.parquet"]
    assert world.states() == {"a.parquet": "gone", "b.parquet": "loaded"}


def test_rows_that_a_failed_run_may_have_loaded_are_gone_over(world: World) -> None:
    world.lake.put("old.parquet", file_of(0))
    world.run()
    world.lake.put("a.parquet", file_of(0))
    run, window = world.begin()
    world.survey(run, window)
    world.fail(run)
    world.lake.delete("a.parquet")
    second = world.run()
    assert (second.window, second.other) == ([], ["old.parquet"])
    assert second.survey.touched == (DateRange(first=day(0), last=day(0)),)


@pytest.mark.parametrize("changes", [{"dry_run": True}, {"date_from": FIRST, "date_to": FIRST}])
def test_a_run_that_does_not_move_the_watermark_marks_nothing(
    world: World, changes: dict[str, Any]
) -> None:
    world.lake.put("a.parquet", file_of(0))
    world.lake.put("b.parquet", file_of(1))
    partial = world.run(**changes)
    assert partial.window == (
        ["a.parquet"] if "date_from" in changes else ["a.parquet", "b.parquet"]
    )
    assert world.states() == {"a.parquet": "pending", "b.parquet": "pending"}
    assert world.run(sync_type="full").window == ["a.parquet", "b.parquet"]


@pytest.mark.parametrize("behind", ["0-before", "z-behind"])
def test_rows_that_move_while_the_lake_is_listed_are_found(world: World, behind: str) -> None:
    """A compaction writes to a key that the listing has passed, and deletes one that it hasn't."""
    for number in range(1, 6):
        world.lake.put(f"{number}.parquet", file_of(number))
    world.run()
    world.lake.put("6.parquet", file_of(9, 5))

    def compact(_last: str) -> None:
        world.lake.between_pages = lambda _last: None
        world.lake.put(f"{behind}.parquet", file_of(5))
        world.lake.delete("5.parquet")

    world.lake.between_pages = compact
    listed_before = world.lake.listings
    again = world.run()
    assert world.lake.listings == listed_before + 2
    assert sorted(again.window) == sorted(["6.parquet", f"{behind}.parquet"])
    assert again.other == []


def test_a_lake_that_loses_objects_in_each_listing_never_gets_lists(world: World) -> None:
    for number in range(20):
        world.lake.put(f"{number:02}.parquet", file_of(number))
    world.run()

    def lose_one(last: str) -> None:
        if last == "forecast/01.parquet":
            world.lake.delete(max(world.lake.objects).removeprefix("forecast/"))

    world.lake.between_pages = lose_one
    run, window = world.begin()
    with pytest.raises(SourceChanged):
        world.survey(run, window)
    with pytest.raises(SourceUnstable, match="in each of 3 attempts"):
        world.survey(run, window, renewal=2)


def test_a_survey_goes_on_where_its_time_ended(world: World) -> None:
    for number in range(7):
        world.lake.put(f"{number}.parquet", file_of(number))
    run, window = world.begin()
    calls = 0
    while not (window.survey and window.survey.done):
        window = world.survey(run, window, lambda: RESERVE_MILLISECONDS - 1)
        calls += 1
        assert calls < 9
    assert calls > 3
    assert len(world.look(window).window) == 7
    assert sorted(world.lake.looked_at) == [f"{number}.parquet" for number in range(7)]


def test_a_redrive_surveys_the_lake_anew(world: World) -> None:
    for number in range(5):
        world.lake.put(f"{number}.parquet", file_of(number))
    run, window = world.begin()
    begun = world.survey(run, window, lambda: RESERVE_MILLISECONDS - 1)
    assert begun.survey is not None
    assert begun.survey.after
    world.lake.put("00.parquet", file_of(0))
    again = world.survey(run, begun, redrive_count=1)
    assert "00.parquet" in world.look(again).window


def test_a_bad_file_stops_nobody_and_its_correction_is_taken_in(world: World) -> None:
    world.lake.put("good.parquet", file_of(0))
    world.lake.put("bad.parquet", b"a,b\n1,2\n")
    first = world.run()
    assert (first.window, first.survey.quarantined) == (["good.parquet"], 1)
    assert world.states() == {"bad.parquet": "quarantined", "good.parquet": "loaded"}
    world.lake.looked_at.clear()
    assert world.run().window == []
    assert world.lake.looked_at == [], "it is judged once"
    world.lake.put("bad.parquet", file_of(1))
    assert world.run().window == ["bad.parquet"]
    assert world.states() == {"bad.parquet": "loaded", "good.parquet": "loaded"}


def test_what_was_loaded_and_can_not_be_read_now_fails_the_run_by_name(world: World) -> None:
    """Its rows would be missing silently, and older ones would win."""
    world.lake.put("a.parquet", file_of(0))
    world.lake.put("b.parquet", file_of(1))
    world.run()
    world.lake.put("a.parquet", b"")
    run, window = world.begin()
    with pytest.raises(SourceInvalid, match=r"s3://lake/forecast/a\.parquet isn't a Parquet file"):
        world.survey(run, window)
    world.fail(run)
    world.lake.put("a.parquet", file_of(0))
    repaired = world.run()
    assert (repaired.window, repaired.survey.touched) == (
        ["a.parquet"],
        (DateRange(first=day(0), last=day(0)),),
    )


def test_a_lake_without_a_readable_object_fails_the_run(world: World) -> None:
    world.lake.put("a.parquet", b"no")
    run, window = world.begin()
    with pytest.raises(SourceInvalid, match="No object of the lake can be read"):
        world.survey(run, window)


def test_a_table_file_can_have_bad_files_fail_a_run(world: World) -> None:
    source = world.table.source.model_copy(update={"bad_files": "fail"})
    world.table = world.table.model_copy(update={"source": source})
    world.lake.put("a.parquet", file_of(0))
    for number in range(5):
        world.lake.put(f"bad-{number}.parquet", b"no")
    run, window = world.begin()
    with pytest.raises(SourceInvalid, match=r"a bad file fails a run.*; and 2 more"):
        world.survey(run, window)


def test_the_smallest_object_with_rows_is_the_control_of_a_search(world: World) -> None:
    """One that the search has read, or else one that was loaded; never a suspect."""
    for number in range(3):
        world.lake.put(f"loaded-{number}.parquet", file_of(number, *range(3 - number)))
    world.lake.put("loaded-empty.parquet", to_parquet([]))
    world.run()
    for number in range(3):
        world.lake.put(f"new-{number}.parquet", file_of(number, *range(9 - number)))
    world.lake.put("new-empty.parquet", to_parquet([]))
    world.survey(*world.begin())
    ledger = FileLedger(world.connection, SETTINGS)

    def find_control(read: str, suspects: str) -> str | None:
        keys = (
            [f"forecast/{name}.parquet" for name in names.split()] for names in (read, suspects)
        )
        return ledger.find_control(*keys)

    assert find_control("new-0 new-1 new-empty", "") == "forecast/new-1.parquet"
    assert find_control("new-0 new-1", "new-1 new-2") == "forecast/new-0.parquet"
    assert find_control("", "new-0 new-1 new-2") == "forecast/loaded-2.parquet"
    assert find_control("new-empty", "loaded-1 loaded-2") == "forecast/loaded-0.parquet"
    assert find_control("", "loaded-0 loaded-1 loaded-2") is None


def test_an_archived_object_is_not_read_and_its_rows_are_not_withdrawn(world: World) -> None:
    world.lake.put("a.parquet", file_of(0))
    world.run()
    key = "forecast/a.parquet"
    world.lake.objects[key] = world.lake.objects[key]._replace(storage_class="GLACIER")
    world.lake.put("b.parquet", file_of(1, 0))
    archived = world.run()
    assert (archived.window, archived.other, archived.survey.touched) == (["b.parquet"], [], ())
    assert world.states() == {"a.parquet": "archived", "b.parquet": "loaded"}
    world.lake.objects[key] = world.lake.objects[key]._replace(storage_class="STANDARD")
    restored = world.run()
    assert restored.window == []
    assert world.states()["a.parquet"] == "loaded"
    # Meanwhile, older rows of b.parquet may have won.
    assert restored.survey.touched == (DateRange(first=day(0), last=day(0)),)
    assert set(restored.other) == {"a.parquet", "b.parquet"}
    assert world.run().survey.touched == ()


def test_an_object_of_a_tier_that_archives_is_read_when_it_is_restored(world: World) -> None:
    """Intelligent-Tiering changes neither the storage class nor the time."""
    world.lake.put("a.parquet", file_of(0), storage_class="INTELLIGENT_TIERING")
    world.lake.archived = {"a.parquet"}
    assert world.run().window == []
    assert world.states() == {"a.parquet": "archived"}
    world.lake.archived.clear()
    assert world.run().window == ["a.parquet"]
    assert world.states() == {"a.parquet": "loaded"}


def test_a_file_without_rows_is_loaded_and_never_listed(world: World) -> None:
    world.lake.put("empty.parquet", to_parquet([]))
    world.lake.put("a.parquet", file_of(0))
    assert world.run().window == ["a.parquet"]
    assert world.states() == {"a.parquet": "loaded", "empty.parquet": "loaded"}


def test_unknown_dates_of_what_is_gone_make_a_full_run(world: World) -> None:
    world.lake.put("a.parquet", file_of(0))
    world.lake.put("b.parquet", file_of(1))
    world.run()
    world.connection.execute(
        "UPDATE forecast_sync_file SET first_date = '0001-01-01', last_date = '9999-12-31'"
    )
    world.lake.delete("a.parquet")
    full = world.run()
    assert (full.window, full.decided.low) == (["b.parquet"], None)
    assert "business dates nobody knows" in (full.decided.reason or "")


def test_what_an_older_version_has_loaded_is_adopted(world: World) -> None:
    """Of the last six hours, during which it would have read again, everything is taken in."""
    for number, hours in enumerate((30, 7, 5, 0)):
        modified = STARTED_AT - timedelta(hours=hours)
        world.lake.put(f"{number}.parquet", file_of(number), modified=modified)
    run, window = world.begin()
    world.end(run, window)
    world.connection.execute("UPDATE forecast_sync_status SET generation = NULL")
    adopted = world.run()
    assert adopted.window == ["2.parquet", "3.parquet"]
    assert (adopted.decided.reason, world.lake.listings) == (None, 2)
    assert set(world.states().values()) == {"loaded"}
    assert world.run().window == []


def test_a_run_that_was_stopped_meanwhile_writes_nothing(world: World) -> None:
    world.lake.put("a.parquet", file_of(0))
    run, window = world.begin()
    world.lake.put("b.parquet", file_of(1))
    world.lake.put("c.parquet", file_of(2))
    world.lake.between_pages = lambda _last: world.fail(run)
    with pytest.raises(LeaseHeld):
        world.survey(run, window)
    assert "c.parquet" not in world.states()


def test_another_table_file_has_the_window_decided_again(world: World) -> None:
    run, window = world.begin()
    with pytest.raises(InputsOutdated):
        world.survey(run, window.model_copy(update={"definition": "another"}))


@pytest.mark.parametrize("few", [True, False])
def test_what_is_listed_is_compared_with_the_lake_once(
    world: World, few: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not few:
        monkeypatch.setattr("forecast_sync.survey.proof.FEW", 0)
    names = ["a b", "für", "z%41", "ÿ", "\U0001f355"]
    for number, name in enumerate(names):
        world.lake.put(f"{name}.parquet", file_of(number))
    run, window = world.begin()
    survey = world.survey(run, window).survey
    assert survey is not None
    assert not lake_changed(world.lake, SETTINGS, survey)
    world.lake.put("new.parquet", file_of(8))
    assert not lake_changed(world.lake, SETTINGS, survey), "what comes is for the next run"
    kept = world.lake.objects["forecast/für.parquet"]
    world.lake.put("für.parquet", world.lake.content[kept.key])
    assert lake_changed(world.lake, SETTINGS, survey)
    world.lake.objects[kept.key] = kept
    assert not lake_changed(world.lake, SETTINGS, survey)
    world.lake.delete("\U0001f355.parquet")
    assert lake_changed(world.lake, SETTINGS, survey)


def test_a_lake_of_any_size_is_surveyed_in_constant_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.PAGE", 1000)
    for number in range(6_000):
        world.lake.put(f"{number:060}.parquet", b"no")
    world.lake.put("good.parquet", file_of(0))
    run, window = world.begin()
    tracemalloc.start()
    try:
        survey = world.survey(run, window).survey
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert survey is not None
    assert survey.quarantined == 6_000
    assert peak < 16 * 1024 * 1024
