"""A run is made of one table file from beginning to end, whatever is deployed in the middle.

The functions run from a copy of the project, in which these tests deploy other table files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from localcloud.protocol import Athena

from tests.builders import FORECAST_FILE
from tests.lake import KEY, MORNING, VALUES, Table, make_row, make_rows, reference
from tests.waiting import eventually
from tests.workflow.breakages import refuse_a_row
from tests.workflow.project import EXCHANGED, Project, copied_project, exchanged


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory, athena: Athena) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("project")
    with copied_project(folder, wait_scale=0.02, athena=athena) as project:
        project.warm_up()
        yield project


@pytest.fixture
def project(copied: Project) -> Project:
    copied.reset()
    copied.deploy(FORECAST_FILE)
    return copied


def definitions(project: Project, run: str) -> Mapping[str, int]:
    """How many batches of a run were made of which definition."""
    return dict(
        project.query(
            "SELECT definition, count(*) FROM forecast_sync_batch WHERE run_id = %s GROUP BY 1",
            [run],
        )
    )


@dataclass(frozen=True)
class Change:
    """Another table file, and what its author does to the target; ``values`` are in its order."""

    table_file: str
    alters: str = ""
    table: str = "forecast_data"
    values: Sequence[str] = VALUES

    def read(self, project: Project) -> Table:
        """The target's rows, as the reference has them."""
        columns = ", ".join((*KEY, *self.values))
        rows = project.query(f"SELECT {columns} FROM {self.table}")
        return {row[: len(KEY)]: row[len(KEY) :] for row in rows}

    def make(self, project: Project) -> str:
        """Deploy it; its definition."""
        if self.alters:
            project.execute(self.alters)
        return project.deploy(self.table_file)


EXCHANGE_NAMES = (
    "ALTER TABLE forecast_data RENAME y_05 TO spare; ALTER TABLE forecast_data RENAME y_95 TO y_05;"
    "ALTER TABLE forecast_data RENAME spare TO y_95"
)
"""Without a new table file: the target's columns are of one type, so it looks as before."""


def _rename(text: str, old: str, new: str) -> str:
    """A table file in which a column of the target has another name and the same source."""
    text = text.replace(f'name = "{old}"', f'name = "{new}"\nsource = "{old}"')
    return text.replace(f"{old} <=", f"{new} <=").replace(f"<= {old}", f"<= {new}")


def _reorder(text: str, first: str, second: str) -> str:
    """A table file in which two columns, which only have names and types, have changed places."""
    return (
        text.replace(f'name = "{first}"', 'name = "?"')
        .replace(f'name = "{second}"', f'name = "{first}"')
        .replace('name = "?"', f'name = "{second}"')
    )


def _retable(text: str, table: str) -> str:
    """A table file of another target; an index's name can't stand in a schema twice."""
    return text.replace('"forecast_data"', f'"{table}"').replace("idx_forecast", f"idx_{table}")


CHANGES = {
    "renamed": Change(
        _rename(FORECAST_FILE, "y_05", "lowest"),
        "ALTER TABLE forecast_data RENAME y_05 TO lowest",
        values=[name.replace("y_05", "lowest") for name in VALUES],
    ),
    "renamed to a name of before": Change(
        _rename(_rename(FORECAST_FILE, "y_05", "spare"), "y_95", "y_05").replace("spare", "y_95"),
        EXCHANGE_NAMES,
        values=[{"y_05": "y_95", "y_95": "y_05"}.get(name, name) for name in VALUES],
    ),
    "reordered": Change(_reorder(FORECAST_FILE, "y_05", "y_95")),
    "names exchanged in the target": Change(FORECAST_FILE, EXCHANGE_NAMES),
    "another table": Change(_retable(FORECAST_FILE, "other_data"), table="other_data"),
}
"""Files whose columns have the types of before, so that lines of the one fit into the other."""


def changes(*always: str) -> list[Any]:
    """The changes as parameters: functions start cold for each, so most are for `make chaos`."""
    return [
        pytest.param(change, id=name, marks=[] if name in always else pytest.mark.slow)
        for name, change in CHANGES.items()
    ]


def test_a_redrive_after_another_table_file_was_deployed_makes_its_inputs_again(
    project: Project,
) -> None:
    project.upload("many", make_rows(range(50)))
    refuse_a_row(project)
    failed = project.run(sync_type="full", batch_size=10)
    assert failed.error == "States.ExceedToleratedFailureThreshold", failed
    present = project.deploy(EXCHANGED)
    project.execute("ALTER TABLE forecast_data DROP CONSTRAINT small")
    ended = project.redrive(failed)
    assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
    again = ended.entered[len(failed.entered) :]
    assert {"Query anew", "Read watermark", "Start Athena query"} <= set(again), again
    assert project.table() == exchanged(reference(project.files))
    recorded = project.status(ended.name) or {}
    assert recorded["definition"] == ended.output["definition"] == present
    assert definitions(project, ended.name)[present] > 0


@pytest.mark.parametrize("change", changes("renamed to a name of before", "another table"))
def test_a_change_between_extract_and_load_leaves_no_row_of_before(
    project: Project, change: Change
) -> None:
    """The first redrive's pages are of before the change, and some of them are loaded already."""
    project.upload("many", make_rows(range(50)))
    refuse_a_row(project)
    failed = project.run(sync_type="full", batch_size=10)
    assert failed.error == "States.ExceedToleratedFailureThreshold", failed
    project.execute("ALTER TABLE forecast_data DROP CONSTRAINT small")
    change.make(project)
    ended = project.redrive(failed)
    assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
    assert change.read(project) == reference(project.files)


@pytest.mark.parametrize("change", changes("renamed", "names exchanged in the target"))
def test_the_run_after_a_change_is_full_by_itself(project: Project, change: Change) -> None:
    """1 of 101 rows would be in another table, or have the values of another column."""
    project.upload("many", make_rows(range(101)))
    project.succeed()
    change.make(project)
    later = MORNING + timedelta(hours=1)
    project.upload("one", [make_row(3, y_50=7.0, updated_at=later)])
    ended = project.succeed()
    assert change.read(project) == reference(project.files)
    assert ended.output["window_reason"]
    assert project.succeed().output["window_reason"] is None


def test_another_table_file_makes_the_next_run_full_by_itself(project: Project) -> None:
    project.upload("many", make_rows(range(50)))
    project.succeed()
    later = MORNING + timedelta(hours=1)
    project.upload("one", [make_row(3, y_50=7.0, updated_at=later)])
    project.deploy(EXCHANGED)
    ended = project.succeed()
    assert project.table() == exchanged(reference(project.files))
    assert "table file has changed" in ended.output["window_reason"]
    status = project.status(ended.name) or {}
    assert (status["window_low"], status["window_reason"]) == (None, ended.output["window_reason"])
    after = project.succeed()
    assert after.output["window_reason"] is None
    assert (project.status(after.name) or {})["window_low"] is not None


def test_a_table_file_that_is_deployed_while_a_run_is_going_on_is_the_one_that_counts(
    project: Project,
) -> None:
    project.upload("many", make_rows(range(50)))
    project.succeed()
    project.upload("more", make_rows(range(40, 60), y_50=9.0))
    with project.held_query():
        arn = project.start()
        eventually(lambda: "Poll Athena query" in project.entered(arn))
        present = project.deploy(EXCHANGED)
    ended = project.wait(arn)
    assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
    assert project.table() == exchanged(reference(project.files))
    assert set(definitions(project, ended.name)) == {present}


NOTE = '\n[[column]]\nname = "note"\ntype = "double"\nsource = "y_50 * 2"\n'


def test_a_new_column_is_added_and_filled_by_the_run_after_its_deployment(
    project: Project,
) -> None:
    project.upload("many", make_rows(range(30)))
    project.succeed()
    project.deploy(FORECAST_FILE + NOTE)
    planned = project.succeed(dry_run=True)
    assert planned.counts["updated"] == 30
    columns = "SELECT count(*) FROM pg_attribute WHERE attname = 'note' AND NOT attisdropped"
    assert project.query(columns) == [(0,)]
    bucket, key = planned.output["report"].removeprefix("s3://").split("/", 1)
    report = json.loads(project.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    (difference,) = report["schema_differences"]
    assert (difference["column"], difference["found"]) == ("note", None)
    assert difference["remedy"] == "the next run adds it and fills every row"

    ended = project.succeed()
    assert "table file has changed" in ended.output["window_reason"]
    assert ended.changed == (0, 30, 0)
    wrong = project.query("SELECT count(*) FROM forecast_data WHERE note <> y_50 * 2")
    assert wrong == [(0,)]

    # Without it again: the column stays, and so do its values.
    project.deploy(FORECAST_FILE)
    assert project.succeed().changed == (0, 0, 30)
    project.upload("more", [make_row(99)])
    assert project.succeed().changed[0] == 1
    filled = project.query("SELECT count(note), count(*) FROM forecast_data")
    assert filled == [(30, 31)]


def test_a_column_that_can_t_be_added_fails_the_run_with_the_statement(project: Project) -> None:
    project.upload("many", make_rows(range(3)))
    project.succeed()
    project.deploy(FORECAST_FILE + NOTE.replace("source", "required = true\nsource"))
    failed = project.run()
    assert failed.error == "SchemaMismatch"
    assert 'ADD COLUMN \\"note\\" double precision' in failed.cause
    project.execute("ALTER TABLE forecast_data ADD note double precision NOT NULL DEFAULT 0")
    assert project.redrive(failed).status == "SUCCEEDED"
    assert project.query("SELECT count(*) FROM forecast_data WHERE note = y_50 * 2") == [(3,)]
