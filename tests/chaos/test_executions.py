"""Executions that are stopped, overtaken, timed out or doubled, or whose event arrives too late."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.chaos import scene
from tests.lake import make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed, Ended


def test_a_stopped_run_is_taken_over_and_its_redrive_refused(deployed: Deployed) -> None:
    deployed.upload("bulky", scene.bulky_rows(range(30_000)))
    with scene.held_results(deployed):
        first = deployed.start()
        scene.await_session(deployed, scene.COPYING)
        deployed.stop(first)
    second = deployed.succeed()
    scene.finished(deployed, second, ids=60_000)
    stopped = deployed.wait(first)
    ended = deployed.redrive(stopped)
    assert ended.status == "FAILED"
    eventually(lambda: (deployed.status(ended.name) or {})["status"] == "superseded")
    assert second.name in (deployed.status(ended.name) or {})["error_message"]
    scene.settled(deployed, ids=60_000)


def test_a_call_that_outlives_its_stopped_run_writes_nothing(deployed: Deployed) -> None:
    """It waits in front of its first batch until the stop is on record, and then goes on."""
    deployed.upload("few", make_rows(range(500)))
    with scene.held_results(deployed, after_bytes=0):
        arn = deployed.start()
        eventually(lambda: _has_joined(deployed, arn))
        deployed.stop(arn)
        stopped = deployed.wait(arn)
        eventually(lambda: _ended(deployed, stopped.name), 30)
    eventually(lambda: _logs(deployed, stopped, "was recorded as ended"), 30)
    status = deployed.status(stopped.name) or {}
    assert (status["status"], status["redrive_count"]) == ("failed", 0)
    assert deployed.table() == {}
    scene.finished(deployed, deployed.redrive(stopped))


def _logs(deployed: Deployed, run: Ended, text: str) -> bool:
    """Whether a function has logged this about a run.

    Since the run began, because the local cloud returns only the oldest 10,000 lines.
    """
    began = int(deployed.describe(run.arn)["startDate"].timestamp() * 1000)
    pages = deployed.client("logs").get_paginator("filter_log_events")
    return any(
        run.name in event["message"] and text in event["message"]
        for page in pages.paginate(logGroupName=f"/aws/lambda/{deployed.name}", startTime=began)
        for event in page["events"]
    )


def _has_joined(deployed: Deployed, arn: str) -> bool:
    """Whether the call for the run's page has ended a transaction: it has read the run's row."""
    return any(
        scene.sessions(
            deployed,
            "state = 'idle' AND query = 'COMMIT' "
            f"AND query_start > '{deployed.describe(child)['startDate'].isoformat()}'",
        )
        for child in deployed.children(arn)
    )


def test_a_run_that_timed_out_is_redriven(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(50)))
    with machine_timeout(deployed, 5), deployed.held_query():
        timed_out = deployed.run()
        assert timed_out.status == "TIMED_OUT"
        status = eventually(lambda: _ended(deployed, timed_out.name))
        assert status["status"] == "failed"
        assert status["error_message"] == (
            "The execution is TIMED_OUT. It took longer than the state machine allows; what it had "
            "committed stays."
        )
    ended = deployed.redrive(timed_out)
    for _ in range(5):
        # A redrive has the definition's 5 s too, which a busy machine may need more than once.
        if ended.status == "TIMED_OUT":
            ended = deployed.redrive(ended)
    scene.finished(deployed, ended)


def test_the_same_messages_twice_start_one_run(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(50)))
    records = [{"messageId": f"message-{deployed.cloud.pid}-{number}"} for number in range(3)]
    names = {deployed.invoke("start-sync", {"Records": records})["run_id"] for _ in range(2)}
    reordered = deployed.invoke("start-sync", {"Records": records[::-1]})["run_id"]
    assert names == {reordered}
    scene.finished(deployed, deployed.wait(_execution(deployed, reordered)))
    rows = deployed.query("SELECT count(*) FROM forecast_sync_status")
    assert rows == [(1,)]


def test_a_late_failure_event_is_ignored(deployed: Deployed) -> None:
    """Events of a run that was redriven since, of one recorded before, and of an unknown run."""
    deployed.upload("few", make_rows(range(50)))
    deployed.athena_faults({"match": "UNLOAD", "state": "FAILED"})
    failed = deployed.run()
    eventually(lambda: _ended(deployed, failed.name))
    ended = deployed.redrive(failed)
    before = deployed.status(ended.name)
    for arn in (ended.arn, ended.arn, f"{ended.arn}-unknown"):
        detail = {"executionArn": arn, "name": arn.rsplit(":", 1)[1], "status": "FAILED"}
        event = {"source": "aws.states", "detail": detail}
        assert deployed.invoke("record-status", event) == {"recorded": False}
    assert deployed.status(ended.name) == before
    scene.finished(deployed, ended)


def test_uploads_while_a_run_works_lose_nothing(deployed: Deployed) -> None:
    """Each file starts its own run; most of them coalesce, and the last rerun loads everything."""
    arns = []
    with deployed.held_query():
        for number in range(6):
            deployed.upload(f"file-{number}", make_rows(range(number * 10, number * 10 + 15)))
            arns.append(deployed.start())
        eventually(lambda: _works(deployed, arns))
    for arn in arns:
        assert deployed.wait(arn).status == "SUCCEEDED"
    scene.settled(deployed)


def _works(deployed: Deployed, arns: list[str]) -> bool:
    """Whether one of the executions polls its query, and the others have met its lease."""
    return {"Poll Athena query", "Coalesced"} == {
        state for arn in arns for state in deployed.entered(arn)
    } & {"Poll Athena query", "Coalesced"}


def _ended(deployed: Deployed, run: str) -> dict[str, Any] | None:
    status = deployed.status(run)
    return status if status and status["status"] != "running" else None


def _execution(deployed: Deployed, name: str) -> str:
    return f"{deployed.cloud.state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


@contextmanager
def machine_timeout(deployed: Deployed, seconds: int) -> Iterator[None]:
    """The state machine's own time limit for the length of a block."""
    sfn, arn = deployed.client("stepfunctions"), deployed.cloud.state_machine_arn
    definition = sfn.describe_state_machine(stateMachineArn=arn)["definition"]
    short = json.dumps({**json.loads(definition), "TimeoutSeconds": seconds})
    sfn.update_state_machine(stateMachineArn=arn, definition=short)
    try:
        yield
    finally:
        sfn.update_state_machine(stateMachineArn=arn, definition=definition)
