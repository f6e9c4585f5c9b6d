"""A redrive re-runs the state that failed and nothing that succeeded, and the run ends correct."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.chaos.scene import bulky_rows
from tests.lake import MORNING, make_row, make_rows, reference
from tests.waiting import eventually
from tests.workflow.breakages import BREAKAGES, Breakage, refuse_a_row
from tests.workflow.deployed import Deployed, Ended

# A redriven state continues without being entered again; so does the query that didn't fail.
QUERYING = {"Query finished", "Query done?", "Wait for Athena", "Poll Athena query"}


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.state)
def test_each_state_fails_alone_and_a_redrive_finishes_the_run(
    deployed: Deployed, breakage: Breakage
) -> None:
    deployed.upload("few", make_rows(range(20)))
    breakage.breaks(deployed)
    failed = deployed.run()
    assert (failed.status, failed.error) == ("FAILED", breakage.error), failed.cause
    on_the_way = [name for name in failed.entered if name != "Query finished"]
    assert breakage.state in on_the_way[-3:]
    breakage.repairs(deployed)
    ended = deployed.redrive(failed)
    assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
    again = ended.entered[len(failed.entered) :]
    # The other query's states come in between.
    entered_again = iter(again)
    assert all(state in entered_again for state in breakage.rerun), again
    if breakage.submissions is not None:
        assert again.count("Start Athena query") == breakage.submissions
    if not breakage.rerun:
        assert not set(failed.entered) & set(again) - QUERYING, "what succeeded doesn't run again"
    assert deployed.table() == reference(deployed.files)
    status = eventually(lambda: deployed.status(ended.name))
    assert status["status"] == "succeeded"
    assert status["error_message"] is None


def test_a_report_that_can_t_be_written_is_redriven(deployed: Deployed) -> None:
    """The state that only a dry run has."""
    deployed.upload("few", make_rows(range(20)))
    refusal = {"match": "/changes.json", "status": 403, "code": "AccessDenied"}
    deployed.request_faults(refusal)
    failed = deployed.run(dry_run=True)
    assert (failed.status, failed.entered[-1]) == ("FAILED", "Report changes"), failed.cause
    ended = deployed.redrive(failed)
    assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
    assert "Run queries" not in ended.entered[len(failed.entered) :]
    assert (ended.output["status"], ended.changed) == ("dry_run", (20, 0, 0))
    assert deployed.table() == {}


def test_the_failure_is_recorded_and_published_until_the_redrive_replaces_it(
    deployed: Deployed, inbox: Callable[[str], tuple[str, str] | None]
) -> None:
    refuse_a_row(deployed)
    failed = deployed.run()
    status = eventually(lambda: _failed_status(deployed, failed), 10)
    assert status["error_message"].startswith("BatchRefused: Postgres answered 23514")
    subject, body = eventually(lambda: inbox(failed.name), 10)
    assert "failed" in subject.lower()
    assert "BatchRefused" in body
    deployed.execute("ALTER TABLE forecast_data DROP CONSTRAINT small")
    ended = deployed.redrive(failed)
    status = deployed.status(failed.name) or {}
    assert (ended.status, status["status"], status["error_message"]) == (
        "SUCCEEDED",
        "succeeded",
        None,
    )


def _failed_status(deployed: Deployed, failed: Ended) -> dict[str, Any] | None:
    status = deployed.status(failed.name)
    return status if status and status["status"] == "failed" else None


@pytest.fixture
def inbox(deployed: Deployed) -> Iterator[Callable[[str], tuple[str, str] | None]]:
    """A queue on the deployment's topic: subject and body of the message about a run."""
    sqs, sns = deployed.client("sqs"), deployed.client("sns")
    queue = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    topic = next(t["TopicArn"] for t in sns.list_topics()["Topics"] if "forecast" in t["TopicArn"])
    subscribed = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])

    def read(run: str) -> tuple[str, str] | None:
        received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in received:
            body = json.loads(message["Body"])
            if run in body["Message"] and "fail" in body["Subject"]:
                return body["Subject"], body["Message"]
        return None

    yield read
    sns.unsubscribe(SubscriptionArn=subscribed["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=queue)


def test_only_the_page_that_failed_runs_again(deployed: Deployed) -> None:
    deployed.upload("first", make_rows(range(12_000)))
    deployed.succeed(sync_type="full", batch_size=1000)
    deployed.execute("ALTER TABLE forecast_data ADD CONSTRAINT small CHECK (y_50 < 50000)")
    later = MORNING + timedelta(hours=1)
    deployed.upload(
        "second",
        [
            *make_rows(range(12_000), y_95=1.0, updated_at=later),
            make_row(1, y_50=60_000.0, updated_at=later + timedelta(hours=1)),
        ],
    )
    failed = deployed.run(batch_size=1000)
    pages = deployed.pages(failed.arn)
    assert [status for status, _ in pages.values()].count("FAILED") == 1
    loaded = {number for number, (status, _) in pages.items() if status == "SUCCEEDED"}
    ledger = _ledger(deployed)
    deployed.execute("ALTER TABLE forecast_data DROP CONSTRAINT small")
    ended = deployed.redrive(failed)
    assert ended.status == "SUCCEEDED"
    after = deployed.pages(failed.arn)
    assert {number: after[number] for number in loaded} == {
        number: pages[number] for number in loaded
    }
    assert all(status == "SUCCEEDED" for status, _ in after.values())
    assert ledger.items() <= _ledger(deployed).items(), "a committed batch is never done again"
    assert deployed.table() == reference(deployed.files)


def _ledger(deployed: Deployed) -> dict[tuple[Any, ...], Any]:
    rows = deployed.query(
        "SELECT query_execution_id, page, first_row, committed_at FROM forecast_sync_batch"
    )
    return {row[:3]: row[3] for row in rows}


def test_a_run_that_failed_before_its_window_was_decided_writes_nothing_old(
    deployed: Deployed,
) -> None:
    """Its start lies before rows that another run has brought meanwhile."""
    deployed.upload("first", make_rows(range(10), y_50=1.0))
    deployed.succeed()
    deployed.neon_fault(status=401, times=1)
    failed = deployed.run(sync_type="full")
    assert failed.error == "NeonRefused"
    recorded = f"FROM forecast_sync_status WHERE run_id = '{failed.name}'"
    eventually(lambda: deployed.query(f"SELECT 1 {recorded}"))
    deployed.execute(f"DELETE {recorded}")  # As if the database couldn't be told either.
    later = MORNING + timedelta(hours=1)
    deployed.upload("second", make_rows(range(5), y_50=2.0, updated_at=later))
    deployed.succeed()
    ended = deployed.redrive(failed)
    assert (ended.status, ended.counts["unchanged"]) == ("SUCCEEDED", 10)
    assert deployed.table() == reference(deployed.files)


def test_a_run_is_redriven_twice(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(20)))
    deployed.athena_faults({"match": "UNLOAD", "times": 2, "state": "FAILED"})
    failed = deployed.run()
    again = deployed.redrive(failed)
    assert (failed.error, again.error) == ("QueryFailed", "QueryFailed")
    assert deployed.redrive(again).status == "SUCCEEDED"
    assert deployed.table() == reference(deployed.files)


def test_a_run_stopped_in_the_middle_of_its_pages_goes_on(deployed: Deployed) -> None:
    deployed.upload("many", make_rows(range(20_000)))
    arn = deployed.start(batch_size=100)
    eventually(lambda: _rows(deployed) > 0)
    deployed.client("stepfunctions").stop_execution(executionArn=arn)
    stopped = deployed.wait(arn)
    assert stopped.status == "ABORTED"
    assert _rows(deployed) < 20_000
    ended = deployed.redrive(stopped)
    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.changed == (20_000, 0, 0)
    assert deployed.table() == reference(deployed.files)


@pytest.mark.usefixtures("one_page_at_a_time")
def test_one_redrive_makes_pages_anew_that_had_never_been_started(deployed: Deployed) -> None:
    """Their child executions are started by the redrive, and don't know that there was one."""
    # Large enough for three parts, each a page, where an engine writes a part into one file.
    deployed.upload("many", bulky_rows(range(25_000)))
    name, bucket = f"test-{uuid.uuid4().hex[:12]}", deployed.cloud.results_bucket
    # Athena writes them with PUT: only what reads them waits.
    reading = f"GET /{bucket}/athena/{name}/extract-"
    deployed.request_faults({"match": reading, "hold": True})
    arn = deployed.start(name)
    eventually(lambda: deployed.children(arn))
    deployed.execute("ALTER TABLE forecast_data RENAME y_50 TO middle")
    deployed.request_faults()
    failed = deployed.wait(arn)
    assert (failed.status, failed.entered[-1]) == ("FAILED", "Load pages")
    assert [*deployed.pages(arn).values()] == [("FAILED", 1)]
    deployed.execute("DROP TABLE forecast_data")
    ended = deployed.redrive(failed)
    assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
    assert len(deployed.pages(arn)) > 1
    assert deployed.table() == reference(deployed.files)


@pytest.fixture
def one_page_at_a_time(deployed: Deployed) -> Iterator[None]:
    before = deployed.settings()["plan-pages"]
    deployed.configure("plan-pages", LOAD_CONCURRENCY="1", PAGE_BYTES="1000")
    yield
    deployed.restore("plan-pages", before)


def _rows(deployed: Deployed) -> int:
    if deployed.query("SELECT to_regclass('forecast_data')") == [(None,)]:
        return 0
    return int(deployed.query("SELECT count(*) FROM forecast_data")[0][0])


def test_a_run_that_was_overtaken_is_refused(deployed: Deployed) -> None:
    refuse_a_row(deployed)
    failed = deployed.run()
    deployed.execute("ALTER TABLE forecast_data DROP CONSTRAINT small")
    deployed.upload("newer", [make_row(50, y_50=3.0, updated_at=MORNING + timedelta(hours=1))])
    deployed.succeed()
    expected = deployed.table()
    ended = deployed.redrive(failed)
    assert ended.status == "FAILED"
    assert "Superseded" in _child_failure(deployed, ended)
    eventually(lambda: (deployed.status(failed.name) or {})["status"] == "superseded", 10)
    assert deployed.table() == expected == reference(deployed.files)


def test_a_run_is_refused_when_a_later_one_has_found_its_rows_withdrawn(
    deployed: Deployed,
) -> None:
    """The later run had no page to load, so it has written nothing."""
    refuse_a_row(deployed)
    failed = deployed.run()
    deployed.execute("ALTER TABLE forecast_data DROP CONSTRAINT small")
    deployed.delete("big")
    later = deployed.succeed()
    assert "Load pages" not in later.entered
    before = deployed.table()
    ended = deployed.redrive(failed)
    assert (ended.status, _child_failure(deployed, ended)) == ("FAILED", "Superseded")
    assert deployed.table() == before
    eventually(lambda: (deployed.status(failed.name) or {})["status"] == "superseded", 10)


def _child_failure(deployed: Deployed, ended: Ended) -> str:
    """What the failed child of the Map says."""
    sfn = deployed.client("stepfunctions")
    map_run = sfn.list_map_runs(executionArn=ended.arn)["mapRuns"][0]["mapRunArn"]
    children = sfn.list_executions(mapRunArn=map_run, statusFilter="FAILED")["executions"]
    return str(sfn.describe_execution(executionArn=children[0]["executionArn"])["error"])
