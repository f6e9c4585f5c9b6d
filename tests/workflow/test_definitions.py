"""A run is made of one table file from beginning to end, whatever is deployed in the middle.

The functions run from a copy of the project, in which these tests deploy other table files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

import pytest
from localcloud.protocol import Athena

from tests.builders import FORECAST_FILE
from tests.lake import MORNING, make_row, make_rows, reference
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
