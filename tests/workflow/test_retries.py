"""Transient errors are retried, route errors are rerouted, and the run ends correctly."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.lake import MORNING, Row, make_row, make_rows, reference
from tests.waiting import eventually
from tests.workflow.deployed import Deployed


@pytest.mark.parametrize("status", [429, 500, 503])
def test_neon_out_of_reach_is_waited_for(deployed: Deployed, status: int) -> None:
    deployed.upload("few", make_rows(range(10)))
    deployed.neon_fault(status=status, times=5, retry_after=0)
    ended = deployed.succeed()
    assert deployed.attempts(ended.arn, "Resolve branch") == 2
    assert deployed.table() == reference(deployed.files)


def test_a_connection_that_is_dropped_while_loading_is_replaced(deployed: Deployed) -> None:
    deployed.upload("many", make_rows(range(20_000)))
    arn = deployed.start(batch_size=100)
    eventually(lambda: "Load pages" in deployed.entered(arn))
    eventually(lambda: _cut_loaders(deployed))
    ended = deployed.wait(arn)
    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.changed == (20_000, 0, 0)
    assert deployed.table() == reference(deployed.files)


def _cut_loaders(deployed: Deployed) -> int:
    """End every session that has written to the ledger or is about to; how many there were."""
    rows = deployed.query(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND ("
        "query LIKE '%forecast_sync_stage%' OR query LIKE '%forecast_sync_batch%')"
    )
    return int(rows[0][0])


def test_a_query_that_athena_calls_retryable_is_submitted_again(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(10)))
    deployed.athena_faults({"match": "UNLOAD", "state": "FAILED", "retryable": True})
    ended = deployed.succeed()
    assert ended.entered.count("Submit again") == 1
    assert deployed.table() == reference(deployed.files)


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_query_that_failed_for_good_fails_the_run(deployed: Deployed, state: str) -> None:
    deployed.upload("few", make_rows(range(10)))
    deployed.athena_faults({"match": "UNLOAD", "state": state, "reason": "bytes scanned limit"})
    ended = deployed.run()
    assert (ended.status, ended.error) == ("FAILED", "QueryFailed")
    assert "bytes scanned limit" in ended.cause or state == "CANCELLED"


def test_a_slow_query_is_polled_until_it_ends(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(10)))
    with deployed.held_query():
        arn = deployed.start()
        eventually(lambda: deployed.entered(arn).count("Poll Athena query") > 4)
    assert deployed.wait(arn).status == "SUCCEEDED"
    assert deployed.table() == reference(deployed.files)


def test_an_object_overwritten_between_the_queries_sends_the_run_back(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(10)))
    later = MORNING + timedelta(hours=1)
    with deployed.held_query():
        arn = deployed.start()
        eventually(lambda: deployed.entered(arn).count("Query finished") == 1)
        deployed.upload("few", make_rows(range(10), y_50=4.0, updated_at=later))
    ended = deployed.wait(arn)
    assert ended.status == "SUCCEEDED", ended.cause
    assert "Query anew" in ended.entered
    deployed.succeed()
    assert deployed.table() == reference(deployed.files)


def _sync_older_and_newest(deployed: Deployed) -> list[Row]:
    """Two objects with the same keys; the rows of the one that wins."""
    newest = make_rows(range(10), y_50=2.0, updated_at=MORNING + timedelta(hours=1))
    deployed.upload("older", make_rows(range(10), y_50=1.0))
    deployed.upload("newest", newest)
    deployed.succeed()
    return newest


def _compact(deployed: Deployed, old: str, new: str, rows: list[Row]) -> None:
    """Rewrite the rows of an object into a later one, and delete the first."""
    deployed.upload(new, rows)
    deployed.delete(old)


def test_an_object_compacted_while_the_queries_wait_doesn_t_let_an_older_row_win(
    deployed: Deployed,
) -> None:
    """Both queries read the lake without the newest rows, so their sums agree."""
    newest = _sync_older_and_newest(deployed)
    held = [{"match": part, "hold": True} for part in ("UNLOAD", "AS source_rows")]
    deployed.athena_faults(*held)
    arn = deployed.start(sync_type="full")
    eventually(lambda: deployed.entered(arn).count("Poll Athena query") >= 2)
    _compact(deployed, "newest", "compacted", newest)
    deployed.athena_faults()
    ended = deployed.wait(arn)
    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.entered.count("Read watermark") == 2
    assert ended.entered.count("Load pages") == 1
    assert ended.changed == (0, 0, 10)
    assert deployed.table() == reference(deployed.files)


def test_an_object_compacted_before_the_queries_begin_doesn_t_let_an_older_row_win(
    deployed: Deployed,
) -> None:
    """The run has its window, and Athena refuses its queries for a while."""
    newest = _sync_older_and_newest(deployed)
    deployed.request_faults(
        {"match": "AmazonAthena.StartQueryExecution", "times": 1000, "status": 400,
         "code": "TooManyRequestsException"}
    )  # fmt: skip
    arn = deployed.start(sync_type="full")
    eventually(lambda: "AthenaUnavailable" in str(deployed.history(arn)))
    _compact(deployed, "newest", "compacted", newest)
    deployed.request_faults()
    ended = deployed.wait(arn)
    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.entered.count("Read watermark") == 2
    assert ended.changed == (0, 0, 10)
    assert deployed.table() == reference(deployed.files)


def test_a_lake_that_changes_in_each_attempt_fails_the_run_and_a_redrive_heals_it(
    deployed: Deployed,
) -> None:
    deployed.upload("few", make_rows(range(10)))
    holds = [{"match": f"extract-{renewal}-0-0-", "hold": True} for renewal in range(3)]
    deployed.athena_faults(*holds)
    arn = deployed.start()
    for attempt in (1, 2, 3):
        eventually(lambda: _has_finished_a_query(deployed, arn, attempt))  # noqa: B023
        deployed.upload("few", make_rows(range(10), y_50=float(attempt)))
        deployed.athena_faults(*holds[attempt:])
    failed = deployed.wait(arn)
    assert (failed.status, failed.error) == ("FAILED", "SourceUnstable"), failed.cause
    assert deployed.table() == {}
    ended = deployed.redrive(failed)
    assert ended.status == "SUCCEEDED", ended.cause
    assert deployed.table() == reference(deployed.files)


def _has_finished_a_query(deployed: Deployed, arn: str, attempt: int) -> bool:
    """One of the two of this attempt; an engine may fail a query whose file was overwritten."""
    entered = deployed.entered(arn)
    if entered.count("Run queries") < attempt:
        return False
    last = len(entered) - entered[::-1].index("Run queries")
    return "Query finished" in entered[last:]


def test_a_locked_row_is_waited_for(deployed: Deployed) -> None:
    deployed.upload("first", make_rows(range(10)))
    deployed.succeed()
    later = MORNING + timedelta(hours=1)
    deployed.upload("second", make_rows(range(10), y_50=8.0, updated_at=later))
    with psycopg.connect(deployed.cloud.database_urls["dev"]) as application:
        application.execute("SELECT FROM forecast_data WHERE restaurant_id = 3 FOR UPDATE")
        arn = deployed.start()
        eventually(lambda: _waiting(deployed))
        application.commit()
    assert deployed.wait(arn).status == "SUCCEEDED"
    assert deployed.table() == reference(deployed.files)


def _waiting(deployed: Deployed) -> bool:
    rows = deployed.query("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return bool(rows[0][0])


def test_a_full_run_waits_for_the_one_that_works(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(10)))
    with deployed.held_query():
        first = deployed.start()
        eventually(lambda: "Poll Athena query" in deployed.entered(first))
        full = deployed.start(sync_type="full")
        eventually(lambda: deployed.attempts(full, "Read watermark") > 1)
    ended = deployed.wait(full)
    assert ended.status == "SUCCEEDED", ended.cause
    assert ended.changed == (0, 0, 10)


def test_a_full_run_that_waits_isn_t_overtaken_by_reruns(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(10)))
    with deployed.held_query():
        first = deployed.start()
        eventually(lambda: "Poll Athena query" in deployed.entered(first))
        full = deployed.start(sync_type="full")
        eventually(lambda: deployed.attempts(full, "Read watermark") > 1)
        coalesced = deployed.run()
    assert coalesced.entered[-1] == "Coalesced"
    assert deployed.wait(full).status == "SUCCEEDED"
    _await_quiet(deployed)
    worked = deployed.query("SELECT execution_arn FROM forecast_sync_status ORDER BY id")
    assert [arn for (arn,) in worked[:2]] == [first, full]
    assert len(worked) == 3, "and then the rerun that was requested"
    assert deployed.query("SELECT count(*) FROM forecast_sync_waiting") == [(0,)]
    assert deployed.table() == reference(deployed.files)


def test_a_notification_that_fails_fails_no_run(deployed: Deployed) -> None:
    """Without its topic, Notify can't publish a reject; the rows have arrived all the same."""
    deployed.upload("few", [*make_rows(range(10)), make_row(99, state="OHIO")])
    sns = deployed.client("sns")
    topic = next(t["TopicArn"] for t in sns.list_topics()["Topics"] if "forecast" in t["TopicArn"])
    sns.delete_topic(TopicArn=topic)
    try:
        ended = deployed.succeed()
    finally:
        sns.create_topic(Name=topic.rsplit(":", 1)[1])
    assert any(event["type"] == "TaskFailed" for event in deployed.history(ended.arn))
    assert ended.entered[-2:] == ["Notify", "Finished"]


def test_ten_executions_at_once_leave_one_result(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(500)))
    arns: list[str] = []
    threads = [threading.Thread(target=lambda: arns.append(deployed.start())) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = [deployed.wait(arn) for arn in arns]
    assert {run.status for run in ended} == {"SUCCEEDED"}
    worked = [run for run in ended if run.entered[-1] != "Coalesced"]
    assert 1 <= len(worked) < 10
    _await_quiet(deployed)
    assert deployed.table() == reference(deployed.files)
    assert deployed.query("SELECT last_value FROM forecast_data_id_seq") == [(500,)]


def _await_quiet(deployed: Deployed) -> None:
    """Until no execution runs, reruns included."""
    sfn: Any = deployed.client("stepfunctions")
    arn = deployed.cloud.state_machine_arn

    def quiet() -> bool:
        return not sfn.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]

    eventually(quiet)
