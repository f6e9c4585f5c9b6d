"""The local Step Functions redrive, stop and limit executions as AWS documents it."""

import json
import uuid
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from localcloud.step_functions import service
from localcloud.step_functions.limits import error_matches, find_matching_retrier

from tests.localcloud.step_functions_cloud import (
    Cloud,
    cloud,
    each,
    gate,
    hold,
    serve,
    step,
    until,
)

__all__ = ["cloud"]


def name() -> str:
    return uuid.uuid4().hex


def test_a_redrive_goes_on_in_the_state_that_failed(cloud: Cloud) -> None:
    key = name()
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]
    counted = {"key.$": "$.key", "seen.$": "$$.Execution.RedriveCount"}
    failed = cloud.run(
        step("First", Parameters=counted), gate("Gate", "$.key", Retry=retry), step("Last"),
        value={"key": key},
    )  # fmt: skip
    arn, first_try = failed["executionArn"], cloud.told(failed["executionArn"])
    assert (failed["status"], failed["redriveCount"]) == ("FAILED", 0)
    assert failed["redriveStatus"] == "REDRIVABLE"
    assert "output" not in failed

    cloud.redrive(arn)
    cloud.open_gate(key)
    done = cloud.redrive(arn)

    assert (done["status"], done["redriveCount"]) == ("SUCCEEDED", 2)
    assert done["result"] == {"key": key, "seen": 0}
    assert done["redriveStatus"] == "NOT_REDRIVABLE"
    assert done["redriveStatusReason"] == "Execution is SUCCEEDED and cannot be redriven"
    assert done["startDate"] == failed["startDate"] < done["redriveDate"] <= done["stopDate"]
    twice_failed = ["TaskScheduled", "TaskFailed"] * 2 + ["ExecutionFailed"]
    assert cloud.told(arn)[: len(first_try)] == first_try
    assert first_try[-5:] == twice_failed
    assert cloud.told(arn)[len(first_try) :] == [
        "ExecutionRedriven", *twice_failed, "ExecutionRedriven", "TaskScheduled", "TaskSucceeded",
        "TaskStateExited Gate", "PassStateEntered Last", "PassStateExited Last",
        "ExecutionSucceeded",
    ]  # fmt: skip
    redriven = [event for event in cloud.history(arn) if event["type"] == "ExecutionRedriven"]
    assert [e["executionRedrivenEventDetails"]["redriveCount"] for e in redriven] == [1, 2]


def test_the_redrives_are_in_the_context(cloud: Cloud) -> None:
    rule = {"Variable": "$$.Execution.RedriveCount", "NumericEquals": 1, "Next": "Seen"}
    choice = {"Name": "Redriven?", "Type": "Choice", "Choices": [rule], "Default": "Unseen"}
    about = {"count.$": "$$.Execution.RedriveCount", "time.$": "$$.Execution.RedriveTime"}
    unseen = {"Name": "Unseen", "Type": "Fail"}
    machine = cloud.machine(gate("Gate"), choice, unseen, step("Seen", Parameters=about))
    arn = cloud.start(machine, key := name())
    cloud.end(arn)
    cloud.open_gate(key)
    done = cloud.redrive(arn)
    assert done["result"]["count"] == 1
    assert done["result"]["time"].endswith("Z")


def test_only_an_unsuccessful_execution_can_be_redriven(cloud: Cloud) -> None:
    done = cloud.run(step("Only"))
    with pytest.raises(ClientError) as refused:
        cloud.states.redrive_execution(executionArn=done["executionArn"])
    assert refused.value.response["Error"]["Code"] == "ExecutionNotRedrivable"
    with pytest.raises(ClientError) as unknown:
        cloud.states.redrive_execution(executionArn=done["executionArn"] + "x")
    assert unknown.value.response["Error"]["Code"] == "ExecutionDoesNotExist"


def test_a_client_token_redrives_once(cloud: Cloud) -> None:
    arn = cloud.run(gate("Gate"), value=name())["executionArn"]
    first = cloud.states.redrive_execution(executionArn=arn, clientToken="once")
    cloud.end(arn)
    again = cloud.states.redrive_execution(executionArn=arn, clientToken="once")
    assert again["redriveDate"] == first["redriveDate"]
    assert cloud.end(arn)["redriveCount"] == 1


def test_status_events_contain_the_redrives(cloud: Cloud) -> None:
    queue = cloud.queue("status")
    machine = cloud.machine(gate("Gate"))
    pattern = {"source": ["aws.states"], "detail": {"stateMachineArn": [machine]}}
    cloud.events.put_rule(Name="status", EventPattern=json.dumps(pattern))
    target = cloud.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    target_arn = target["Attributes"]["QueueArn"]
    cloud.events.put_targets(Rule="status", Targets=[{"Id": "queue", "Arn": target_arn}])

    arn = cloud.start(machine, key := name())
    cloud.end(arn)
    cloud.open_gate(key)
    cloud.redrive(arn)

    details = [cloud.receive(queue)["detail"] for _ in range(4)]
    events_seen = [(d["status"], d["redriveCount"], d["redriveStatus"]) for d in details]
    assert sorted(events_seen) == sorted([
        ("RUNNING", 0, "NOT_REDRIVABLE"), ("FAILED", 0, "REDRIVABLE"),
        ("RUNNING", 1, "NOT_REDRIVABLE"), ("SUCCEEDED", 1, "NOT_REDRIVABLE"),
    ])  # fmt: skip


def test_a_stop_drops_what_is_in_flight_and_a_redrive_runs_alone(cloud: Cloud) -> None:
    queue = cloud.queue("stop")
    arn = cloud.start(cloud.machine(hold("Hold", queue), step("Last")))
    first = cloud.receive(queue)
    cloud.states.stop_execution(executionArn=arn, error="Enough", cause="by hand")
    stopped = cloud.end(arn)
    assert (stopped["status"], stopped["error"]) == ("ABORTED", "Enough")

    cloud.states.redrive_execution(executionArn=arn)
    second = cloud.receive(queue)
    cloud.states.send_task_success(taskToken=first["token"], output="{}")
    cloud.states.send_task_success(taskToken=second["token"], output="{}")

    assert cloud.end(arn)["status"] == "SUCCEEDED"
    assert cloud.told(arn) == [
        "ExecutionStarted", "TaskStateEntered Hold", "TaskScheduled", "ExecutionAborted",
        "ExecutionRedriven", "TaskScheduled", "TaskSucceeded", "TaskStateExited Hold",
        "PassStateEntered Last", "PassStateExited Last", "ExecutionSucceeded",
    ]  # fmt: skip


def test_a_redrive_restarts_the_machine_s_timeout(cloud: Cloud) -> None:
    queue = cloud.queue("timeout")
    late = cloud.run(hold("Hold", queue), TimeoutSeconds=1)
    arn = late["executionArn"]
    assert late["status"] == "TIMED_OUT"
    assert cloud.told(arn)[-1] == "ExecutionTimedOut"
    cloud.receive(queue)
    cloud.states.redrive_execution(executionArn=arn)
    cloud.states.send_task_success(taskToken=cloud.receive(queue)["token"], output="{}")
    assert cloud.end(arn)["status"] == "SUCCEEDED"


def test_starting_an_open_execution_again_answers_with_it(cloud: Cloud) -> None:
    queue = cloud.queue("start")
    again = {"stateMachineArn": cloud.machine(hold("Hold", queue)), "name": name(), "input": "{}"}
    first = cloud.states.start_execution(**again)
    second = cloud.states.start_execution(**again)
    assert (first["executionArn"], first["startDate"]) == (
        second["executionArn"], second["startDate"],
    )  # fmt: skip
    refused = pytest.raises(ClientError, match="ExecutionAlreadyExists")
    with refused:
        cloud.states.start_execution(**{**again, "input": '{"other": 1}'})
    cloud.states.send_task_success(taskToken=cloud.receive(queue)["token"], output="{}")
    cloud.end(first["executionArn"])
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        cloud.states.start_execution(**again)


def test_a_payload_over_the_limit_fails_and_no_wildcard_catches_it(cloud: Cloud) -> None:
    doubled = {"one.$": "$", "two.$": "$"}
    fits = cloud.run(step("Twice", Parameters=doubled), value="x" * 131_000)
    assert fits["status"] == "SUCCEEDED"
    wildcard = [{"ErrorEquals": ["States.ALL"], "Next": "Last"}]
    items = each("All", step("Grow"), Catch=wildcard, ItemSelector={"text.$": "$[0]"})
    too_large = cloud.run(items, step("Last"), value=["x" * 140_000, "y"])
    assert (too_large["status"], too_large["error"]) == ("FAILED", "States.DataLimitExceeded")


def test_wildcards_and_delays_of_retries() -> None:
    assert not error_matches(["States.ALL"], "States.Runtime")
    assert not error_matches(["States.TaskFailed"], "States.DataLimitExceeded")
    assert error_matches(["States.ALL"], "Anything")
    assert not error_matches(["States.TaskFailed"], "States.Timeout")
    retrier = {"ErrorEquals": ["E"], "IntervalSeconds": 2, "MaxAttempts": 9, "MaxDelaySeconds": 10}
    second, _ = find_matching_retrier([retrier], "E", {0: 1})
    capped, _ = find_matching_retrier([retrier], "E", {0: 5})
    jittered, _ = find_matching_retrier([{**retrier, "JitterStrategy": "FULL"}], "E", {0: 5})
    assert second is not None
    assert second["IntervalSeconds"] == 4
    assert capped is not None
    assert capped["IntervalSeconds"] == 10
    assert jittered is not None
    assert 0 <= jittered["IntervalSeconds"] <= 10
    assert find_matching_retrier([retrier], "E", {0: 9})[0] is None


def test_a_failed_execution_outlives_the_server(tmp_path: Path) -> None:
    kept = {"PERSIST_STATE": "1"}
    with serve(tmp_path, **kept) as before:
        before.open_gate("a")
        queue = before.queue("outlive")
        pages = each("Pages", gate("Gate"), step("Page"), mode="DISTRIBUTED", MaxConcurrency=1)
        arn = before.run(pages, value=["a", "b"])["executionArn"]
        running = before.start(before.machine(hold("Hold", queue)))
        until(lambda: "TaskScheduled" in before.told(running))
    with serve(tmp_path, **kept) as after:
        after.open_gate("b")
        assert after.redrive(arn)["result"] == ["a", "b"]
        assert after.map_run(arn)["redriveCount"] == 1
        assert after.end(running)["error"] == "States.ServiceRestart"
        assert after.told(running)[-1] == "ExecutionFailed"
        after.receive(queue)
        after.states.redrive_execution(executionArn=running)
        after.states.send_task_success(taskToken=after.receive(queue)["token"], output="{}")
        assert after.end(running)["status"] == "SUCCEEDED"


def test_another_version_of_ministack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "version", lambda _: "1.6.0")
    with pytest.raises(RuntimeError, match=r"ministack 1\.5\.33 is expected, 1\.6\.0 is installed"):
        service.install()
