"""Rows that leave the target: tombstones, keys that are missing in the lake, and the guard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from localcloud.protocol import Athena

from tests.lake import MORNING, Row, make_row, make_rows
from tests.waiting import eventually
from tests.workflow.breakages import RAISE
from tests.workflow.leaving import (
    BOTH,
    declare,
    deleted_keys,
    expected,
    keys_of,
    table_file,
    to_parquet,
    tombstone,
)
from tests.workflow.permissions import find_permissions, is_permitted, read_calls
from tests.workflow.project import Project, copied_project
from tests.workflow.test_permissions import BASICS

LATER = MORNING + timedelta(hours=1)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory, athena: Athena) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("project")
    # Small lakes are read in several parts, each of which is compared in a step of its own.
    constants = {"extract/queries.PART_BYTES": "2_000", "plan/deletion_steps.STEP_BYTES": "1"}
    with copied_project(folder, constants=constants, wait_scale=0.02, athena=athena) as project:
        project.cloud.calls_dir.mkdir()
        declare(project)
        project.deploy(BOTH)
        project.warm_up()
        yield project


@pytest.fixture
def project(copied: Project) -> Project:
    copied.reset()
    copied.deploy(BOTH)
    return copied


def test_a_tombstone_deletes_its_key_and_a_newer_row_brings_it_back(project: Project) -> None:
    project.upload("rows", make_rows(range(5)))
    project.succeed()
    project.upload("gone", to_parquet([tombstone(1, updated_at=LATER), tombstone(9)]))
    ended = project.succeed()
    assert ended.counts["deleted"] == 1
    assert ended.counts["rejected"] == 0
    assert ended.changed == (0, 0, 0)
    assert project.table() == expected(project.files)
    assert len(project.table()) == 4
    project.upload("older", [make_row(1, updated_at=LATER - timedelta(minutes=1))])
    assert project.succeed().changed == (0, 0, 0)
    assert len(project.table()) == 4
    project.upload("back", [make_row(1, updated_at=LATER + timedelta(minutes=1))])
    assert project.succeed().changed == (1, 0, 0)
    assert project.table() == expected(project.files)


def test_a_key_that_is_in_no_file_any_more_leaves(project: Project) -> None:
    project.upload("a", make_rows(range(6)))
    project.upload("b", make_rows(range(6, 12)))
    project.succeed()
    project.delete("b")
    project.upload("a", [*make_rows(range(4)), make_row(4, state=None)])
    ended = project.succeed()
    # A reject's key is still in the lake.
    assert ended.counts["deleted"] == 7
    assert {key[0] for key in project.table()} == {0, 1, 2, 3, 4}
    assert project.succeed(sync_type="full").counts["deleted"] == 0


def test_too_many_deletions_wait_until_somebody_allows_them(project: Project) -> None:
    project.upload("many", make_rows(range(400)))
    project.upload("few", make_rows(range(1000, 1110)))
    project.succeed()
    project.delete("few")
    project.upload("gone", to_parquet([tombstone(7, updated_at=LATER)]))
    ended = project.succeed()
    assert ended.counts["deleted"] == 0
    assert ended.output["deletes_deferred"] == 111
    assert ended.output["deletes_deferred_reason"] == (
        "111 of 510 rows of forecast_data would be deleted, which is more than "
        "max_delete_percent = 5 allows."
    )
    assert len(project.table()) == 510
    # Nothing is new, and they are still found; a number below theirs lets none go.
    assert project.succeed().output["deletes_deferred"] == 111
    assert project.succeed(allow_deletes=110).output["deletes_deferred"] == 111
    ended = project.succeed(allow_deletes=111)
    assert (ended.counts["deleted"], ended.output["deletes_deferred"]) == (111, 0)
    assert project.table() == expected(project.files)
    status = project.status(ended.name)
    assert status is not None
    assert (status["deleted"], status["deletes_deferred"]) == (111, 0)
    # What was deleted within a day counts: not one more may go by itself.
    project.upload("another", to_parquet([tombstone(8, updated_at=LATER)]))
    assert project.succeed().output["deletes_deferred"] == 1
    project.execute(
        "UPDATE forecast_sync_batch SET committed_at = committed_at - INTERVAL '25 hours'"
    )
    assert project.succeed().counts["deleted"] == 1
    assert project.query("SELECT count(*) FROM forecast_sync_deletion") == [(0,)]
    assert project.query("SELECT count(*) FROM forecast_sync_deletion_date") == [(0,)]


def test_an_empty_or_renamed_prefix_never_empties_a_table(project: Project) -> None:
    project.upload("a", make_rows(range(20)))
    project.succeed()
    project.delete("a")
    for options in ({}, {"sync_type": "full"}, {"sync_type": "full", "allow_deletes": 1000}):
        ended = project.succeed(**options)
        assert (ended.counts["deleted"], ended.output["deletes_deferred"]) == (0, 20), options
        assert "lists no readable file" in ended.output["deletes_deferred_reason"]
    assert len(project.table()) == 20
    project.upload("a", make_rows(range(19)))
    assert project.succeed().counts["deleted"] == 1


def test_a_file_that_can_not_be_read_keeps_rows_from_leaving(project: Project) -> None:
    project.upload("a", make_rows(range(5)))
    project.upload("b", make_rows(range(5, 8)))
    project.succeed()
    project.delete("b")
    project.client("s3").put_object(
        Bucket=project.cloud.bucket, Key="forecast/bad.parquet", Body=b"no Parquet"
    )
    ended = project.succeed()
    assert (ended.counts["deleted"], ended.output["deletes_deferred"]) == (0, 3)
    held = f"s3://{project.cloud.bucket}/forecast/bad.parquet can't be read"
    assert ended.output["deletes_deferred_reason"].startswith(held)
    project.client("s3").delete_object(Bucket=project.cloud.bucket, Key="forecast/bad.parquet")
    assert project.succeed().counts["deleted"] == 3
    assert project.table() == expected(project.files)


def test_a_row_that_is_newer_than_the_run_is_left_alone(project: Project) -> None:
    project.upload("a", make_rows(range(5)))
    project.succeed()
    project.upload("a", make_rows(range(3)))
    with project.held_query():
        arn = project.start()
        eventually(lambda: project.attempts(arn, "Survey lake"), what="the survey")
        project.execute(
            "UPDATE forecast_data SET dma_id = 'mine', updated_at = clock_timestamp() "
            "WHERE restaurant_id = 4"
        )
    assert project.wait(arn).counts["deleted"] == 1
    assert sorted(key[0] for key in project.table()) == [0, 1, 2, 4]
    assert project.succeed(sync_type="full").counts["deleted"] == 1


def test_a_file_that_comes_meanwhile_postpones_the_deletions_of_its_dates(
    project: Project,
) -> None:
    project.upload("a", make_rows(range(10)))
    project.upload("b", make_rows(range(10, 20)))
    project.succeed()
    project.delete("b")
    with project.held_query():
        arn = project.start()
        eventually(lambda: project.attempts(arn, "Survey lake"), what="the survey")
        eventually(lambda: "Run queries" in project.entered(arn), what="the queries")
        project.upload("c", make_rows([10]))
    ended = project.wait(arn)
    # Key 10 has the date of key 0; of the dates of the others nothing is new.
    assert (ended.counts["deleted"], ended.output["deletes_deferred"]) == (9, 0)
    ids = project.query("SELECT id FROM forecast_data WHERE restaurant_id = 10")
    assert project.succeed().changed == (0, 0, 2)
    assert project.query("SELECT id FROM forecast_data WHERE restaurant_id = 10") == ids


def test_a_foreign_key_names_itself_and_keeps_the_whole_batch(project: Project) -> None:
    project.upload("a", make_rows(range(6)))
    project.succeed()
    project.execute(
        "CREATE TABLE orders (forecast integer CONSTRAINT orders_forecast_fkey "
        "REFERENCES forecast_data (id));"
        "INSERT INTO orders SELECT id FROM forecast_data WHERE restaurant_id = 3"
    )
    rows = [tombstone(number, updated_at=LATER) for number in (0, 1, 3, 4)]
    project.upload("gone", to_parquet(rows))
    ended = project.run(batch_size=4)
    assert ended.error == "BatchRefused"
    assert "orders_forecast_fkey" in ended.cause
    assert "Nothing of this batch was deleted" in ended.cause
    assert len(project.table()) == 6
    project.execute("DROP TABLE orders")
    assert project.redrive(ended).counts["deleted"] == 4
    assert project.table() == expected(project.files)


TIMES = [None, MORNING, MORNING + timedelta(milliseconds=1), LATER]
NAMES = ["a", "b", "c", "deep/d"]
numbers = st.integers(0, 7)
rows = st.one_of(
    st.builds(
        lambda number, value, updated, valid: make_row(
            number, y_50=value, updated_at=updated, **({} if valid else {"state": None})
        ),
        numbers,
        st.floats(0, 1000),
        st.sampled_from(TIMES),
        st.sampled_from([True, True, True, False]),
    ),
    st.builds(
        lambda number, updated: tombstone(number, updated_at=updated),
        numbers,
        st.sampled_from(TIMES),
    ),
)
# A window of rejects alone would be over the threshold.
good = st.builds(make_row, numbers)
contents = st.tuples(good, st.lists(rows, max_size=6)).map(lambda parts: [parts[0], *parts[1]])
steps = st.one_of(
    st.tuples(st.just("upload"), st.sampled_from(NAMES), contents),
    st.tuples(st.just("upload"), st.sampled_from(NAMES), contents),
    st.tuples(st.just("delete"), st.integers(0, 9), st.none()),
    st.tuples(st.just("again"), st.integers(0, 9), st.none()),
    st.tuples(st.just("run"), st.none(), st.none()),
    st.tuples(st.just("refuse"), numbers, st.none()),
)


class History:
    """A lake's uploads and deletions; runs, some of which are refused a deletion and redriven."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.past: list[bytes] = []

    def upload(self, name: str, content: list[Row]) -> None:
        self.past.append(to_parquet(content))
        self.project.upload(name, self.past[-1])

    def again(self, number: int, _: None) -> None:
        if self.past:
            self.project.upload(f"again-{number}", self.past[number % len(self.past)])

    def delete(self, number: int, _: None) -> None:
        prefix = f"s3://{self.project.cloud.bucket}/forecast/"
        if paths := sorted(self.project.files):
            path = paths[number % len(paths)]
            self.project.delete(path.removeprefix(prefix).removesuffix(".parquet"))

    def run(self, *_: None) -> None:
        self.project.succeed(batch_size=2)

    def refuse(self, number: int, _: None) -> None:
        """The first deletion of a key fails, and the run is redriven when it is allowed."""
        if self.project.query("SELECT to_regclass('forecast_data')") == [(None,)]:
            return
        self.project.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF old.restaurant_id = {number} THEN RAISE 'kept'; END IF; RETURN old; END $$;"
            "CREATE TRIGGER refuse BEFORE DELETE ON forecast_data FOR EACH ROW "
            "EXECUTE FUNCTION refuse()"
        )
        ended = self.project.run(batch_size=1)
        self.project.execute("DROP FUNCTION refuse CASCADE")
        if ended.status != "SUCCEEDED":
            assert ended.error == "BatchRefused", ended
            ended = self.project.redrive(ended)
        assert ended.status == "SUCCEEDED", ended


@pytest.mark.parametrize("options", ["tombstones", "mirror", "both"])
@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(history=st.lists(steps, min_size=4, max_size=10))
def test_an_incremental_history_gives_what_one_full_run_gives(
    copied: Project, options: str, history: list[tuple[str, Any, Any]]
) -> None:
    copied.reset()
    has_tombstones, is_mirror = options != "mirror", options != "tombstones"
    copied.deploy(table_file(tombstones=has_tombstones, mirror=is_mirror))
    lake = History(copied)
    for step, *arguments in history:
        getattr(lake, step)(*arguments)
    copied.upload("last", [make_row(50)])
    wanted = expected(copied.files, tombstones=has_tombstones)
    copied.succeed(sync_type="full", git_ref="preview/pr-7")
    assert copied.table("preview/pr-7") == wanted
    copied.succeed()
    table = copied.table()
    assert {key: table[key] for key in wanted} == wanted
    more = table.keys() - wanted.keys()
    if is_mirror:
        # The key of a reject is still in the lake, so what it had before stays.
        assert more <= keys_of(copied.files)
    assert not more & deleted_keys(copied.files) or not has_tombstones


def test_the_function_that_deletes_may_do_what_it_does_and_no_more(project: Project) -> None:
    project.upload("a", make_rows(range(4)))
    project.succeed()
    project.upload("a", make_rows(range(2)))
    with project.held_query():
        arn = project.start()
        eventually(lambda: "Run queries" in project.entered(arn), what="the queries")
        project.upload("new", make_rows([5]))
    project.wait(arn)
    calls = {call for call in read_calls(project) if call.function == "delete_rows"}
    assert [call for call in calls if not is_permitted(project, call)] == []
    assert [
        (item.action, item.resource)
        for item in find_permissions(project, "delete_rows")
        if item.action not in BASICS and not any(item.covers(call) for call in calls)
    ] == []


def test_a_dry_run_forgets_nothing_of_a_run_that_waits_for_its_redrive(project: Project) -> None:
    project.upload("many", make_rows(range(400)))
    project.upload("few", make_rows(range(1000, 1110)))
    project.succeed()
    project.delete("few")
    project.execute(
        RAISE + "CREATE TRIGGER refuse BEFORE UPDATE ON forecast_sync_status FOR EACH ROW "
        "WHEN ((NEW.deletions ->> 'decided')::boolean) EXECUTE FUNCTION refuse()"
    )
    failed = project.run()
    assert failed.entered[-1] == "Delete rows"
    project.execute("DROP FUNCTION refuse CASCADE")
    assert project.succeed(dry_run=True).output["deletes_deferred"] == 110
    assert project.redrive(failed).output["deletes_deferred"] == 110
    # Nothing is new, and they are still found.
    assert project.succeed().output["deletes_deferred"] == 110


def test_uploads_that_never_rest_keep_no_tombstone_from_its_row(project: Project) -> None:
    project.upload("rows", make_rows(range(20)))
    project.succeed()
    project.upload("gone", to_parquet([tombstone(1, updated_at=LATER)]))
    with project.held_query():
        arn = project.start()
        eventually(lambda: "Run queries" in project.entered(arn), what="the queries")
        project.upload("more", make_rows([21]))
    assert project.wait(arn).counts["deleted"] == 1
    assert 1 not in {key[0] for key in project.table()}


def test_a_backfill_deletes_only_in_its_dates_and_a_later_run_does_the_rest(
    project: Project,
) -> None:
    project.upload("a", make_rows(range(20)))
    project.upload("b", make_rows(range(20, 40)))
    project.succeed()
    project.delete("b")
    day = make_row(3)["business_date"].isoformat()
    for sync_type in ("incremental", "full"):
        ended = project.succeed(sync_type=sync_type, date_from=day, date_to=day)
        assert ended.counts["deleted"] == (2 if sync_type == "incremental" else 0)
        assert len(project.table()) == 38
    assert project.succeed().counts["deleted"] == 18
    assert project.table() == expected(project.files)


def test_a_column_that_is_not_the_table_file_s_may_be_of_any_type(project: Project) -> None:
    project.upload("a", make_rows(range(6)))
    project.succeed()
    project.execute(
        "CREATE DOMAIN filled AS text NOT NULL; "
        "ALTER TABLE forecast_data ADD note filled DEFAULT 'none'"
    )
    project.upload("a", make_rows(range(3)))
    assert project.succeed().counts["deleted"] == 3


def test_a_deferred_constraint_is_named_too(project: Project) -> None:
    project.upload("a", make_rows(range(6)))
    project.succeed()
    project.execute(
        "CREATE TABLE orders (forecast integer CONSTRAINT orders_forecast_fkey "
        "REFERENCES forecast_data (id) DEFERRABLE INITIALLY DEFERRED);"
        "INSERT INTO orders SELECT id FROM forecast_data WHERE restaurant_id = 5"
    )
    project.upload("a", make_rows(range(4)))
    ended = project.run()
    assert ended.error == "BatchRefused"
    assert "orders_forecast_fkey" in ended.cause
    assert len(project.table()) == 6
