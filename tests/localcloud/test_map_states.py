"""Map and Parallel states of the local Step Functions: what runs again, and its events."""

import uuid
from typing import Any

import pytest

from tests.localcloud.step_functions_cloud import (
    Cloud,
    chain,
    cloud,
    each,
    gate,
    hold,
    step,
    until,
)

__all__ = ["cloud"]


@pytest.fixture
def keys(cloud: Cloud) -> list[str]:
    """Four gates, of which the first and the third are open."""
    names = [f"{index}-{uuid.uuid4().hex}" for index in range(4)]
    cloud.open_gate(names[0])
    cloud.open_gate(names[2])
    return names


def test_an_inline_map_runs_only_the_failed_iterations_again(cloud: Cloud, keys: list[str]) -> None:
    pages = each("Pages", step("Before"), gate("Gate"), step("After"), MaxConcurrency=1)
    failed = cloud.run(pages, value=keys)
    arn, first_try = failed["executionArn"], cloud.told(failed["executionArn"])
    assert first_try[2:] == [
        "MapStateStarted", "MapIterationStarted 0", "PassStateEntered Before",
        "PassStateExited Before", "TaskStateEntered Gate", "TaskScheduled", "TaskSucceeded",
        "TaskStateExited Gate", "PassStateEntered After", "PassStateExited After",
        "MapIterationSucceeded 0", "MapIterationStarted 1", "PassStateEntered Before",
        "PassStateExited Before", "TaskStateEntered Gate", "TaskScheduled", "TaskFailed",
        "MapIterationFailed 1", "MapStateFailed", "ExecutionFailed",
    ]  # fmt: skip

    cloud.open_gate(keys[1])
    cloud.open_gate(keys[3])
    done = cloud.redrive(arn)

    assert done["result"] == keys
    again = cloud.told(arn)[len(first_try) :]
    assert again[:5] == [
        "ExecutionRedriven", "MapIterationStarted 1", "TaskScheduled", "TaskSucceeded",
        "TaskStateExited Gate",
    ]  # fmt: skip
    assert [word for word in again if word.startswith("MapIterationS")] == [
        f"MapIteration{what} {index}" for index in (1, 2, 3) for what in ("Started", "Succeeded")
    ]
    assert again[-3:] == ["MapStateSucceeded", "MapStateExited Pages", "ExecutionSucceeded"]


def test_a_failed_iteration_aborts_the_others(cloud: Cloud) -> None:
    queue = cloud.queue("siblings")
    rule = {"Variable": "$.hold", "BooleanEquals": True, "Next": "Hold"}
    choice = {"Name": "Hold?", "Type": "Choice", "Choices": [rule], "Default": "First"}
    machine = cloud.machine(each("Both", choice, hold("First", queue), hold("Hold", queue)))
    arn = cloud.start(machine, [{"hold": True}, {"hold": False}])
    held = {m["input"]["hold"]: m["token"] for m in (cloud.receive(queue), cloud.receive(queue))}
    cloud.states.send_task_failure(taskToken=held[False], error="Broken")
    failed = cloud.end(arn)
    assert failed["error"] == "Broken"
    assert cloud.told(arn)[-4:] == [
        "MapIterationFailed 1", "MapIterationAborted 0", "MapStateFailed", "ExecutionFailed",
    ]  # fmt: skip
    cloud.states.send_task_success(taskToken=held[True], output="{}")


def test_a_parallel_runs_only_the_failed_branch_again(cloud: Cloud, keys: list[str]) -> None:
    queue = cloud.queue("branch")
    shut = chain(hold("Hold", queue), gate("Shut", "$[1]"))
    branches = [chain(gate("Open", "$[0]")), shut]
    both = {"Name": "Both", "Type": "Parallel", "Branches": branches}
    arn = cloud.start(cloud.machine(both), keys)
    until(lambda: "TaskStateExited Open" in cloud.told(arn))
    cloud.states.send_task_success(taskToken=cloud.receive(queue)["token"], output="{}")
    assert cloud.end(arn)["status"] == "FAILED"
    page_events = cloud.told(arn)
    cloud.open_gate(keys[1])
    assert cloud.redrive(arn)["result"] == [keys, keys]
    assert cloud.told(arn)[len(page_events) :] == [
        "ExecutionRedriven", "TaskScheduled", "TaskSucceeded", "TaskStateExited Shut",
        "ParallelStateSucceeded", "ParallelStateExited Both", "ExecutionSucceeded",
    ]  # fmt: skip


def test_a_retry_of_a_map_runs_every_item_again(cloud: Cloud, keys: list[str]) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]
    pages = each("Pages", gate("Gate"), MaxConcurrency=1, Retry=retry)
    page_events = cloud.told(cloud.run(pages, value=keys)["executionArn"])
    assert page_events.count("MapStateStarted") == 2
    assert page_events.count("MapIterationSucceeded 0") == 2


def distributed(name: str, *states: dict[str, Any], **fields: object) -> dict[str, Any]:
    return each(name, *states, mode="DISTRIBUTED", Label=name, **fields)


REDRIVEN_CHILD = [
    "ExecutionStarted", "PassStateEntered Before", "PassStateExited Before",
    "TaskStateEntered Gate", "TaskScheduled", "TaskFailed", "ExecutionFailed",
    "ExecutionRedriven", "TaskScheduled", "TaskSucceeded", "TaskStateExited Gate",
    "PassStateEntered After", "PassStateExited After", "ExecutionSucceeded",
]  # fmt: skip


def test_a_map_run_runs_only_the_unsuccessful_children_again(cloud: Cloud, keys: list[str]) -> None:
    about = {"key.$": "$", "id.$": "$$.Execution.Id", "redrives.$": "$$.Execution.RedriveCount"}
    pages = distributed(
        "Pages", step("Before"), gate("Gate"), step("After", Parameters=about),
        MaxConcurrency=1, ToleratedFailureCount=1,
    )  # fmt: skip
    failed = cloud.run(pages, step("Last"), value=[*keys, keys[0]])
    arn = failed["executionArn"]
    assert failed["error"] == "States.ExceedToleratedFailureThreshold"
    run = cloud.map_run(arn)
    first = cloud.children(run)
    assert (run["status"], run["redriveCount"]) == ("FAILED", 0)
    counts = {"total": 5, "succeeded": 2, "failed": 2, "pending": 1}
    assert {key: count for key, count in run["itemCounts"].items() if count} == counts
    assert cloud.told(arn) == [
        "ExecutionStarted", "MapStateEntered Pages", "MapStateStarted", "MapRunStarted",
        "MapRunFailed", "MapStateFailed", "ExecutionFailed",
    ]  # fmt: skip

    cloud.open_gate(keys[1])
    cloud.open_gate(keys[3])
    done = cloud.redrive(arn)

    run = cloud.map_run(arn)
    assert (run["status"], run["redriveCount"]) == ("SUCCEEDED", 1)
    counts = {"total": 5, "succeeded": 5}
    assert {key: count for key, count in run["executionCounts"].items() if count} == counts
    assert [result["key"] for result in done["result"]] == [*keys, keys[0]]
    assert [result["redrives"] for result in done["result"]] == [0, 1, 0, 1, 0]
    assert cloud.told(arn)[7:] == [
        "ExecutionRedriven", "MapRunRedriven", "MapRunSucceeded", "MapStateSucceeded",
        "MapStateExited Pages", "PassStateEntered Last", "PassStateExited Last",
        "ExecutionSucceeded",
    ]  # fmt: skip
    again = cloud.children(run)[keys[1]]
    assert again["executionArn"] == first[keys[1]]["executionArn"] == done["result"][1]["id"]
    assert again["redriveCount"] == 1
    assert cloud.told(again["executionArn"]) == REDRIVEN_CHILD
    with pytest.raises(cloud.states.exceptions.ExecutionNotRedrivable):
        cloud.states.redrive_execution(executionArn=again["executionArn"])


def test_a_stop_ends_the_children_and_starts_no_more(cloud: Cloud) -> None:
    queue = cloud.queue("children")
    paths = {"MaxConcurrencyPath": "$.most", "ItemsPath": "$.all"}
    pages = distributed("Pages", hold("Hold", queue), **paths)
    arn = cloud.start(cloud.machine(pages), {"most": 2, "all": [0, 1, 2, 3, 4]})
    tokens = [cloud.receive(queue)["token"], cloud.receive(queue)["token"]]
    cloud.states.send_task_success(taskToken=tokens[0], output="{}")
    tokens.append(cloud.receive(queue)["token"])
    assert cloud.map_run(arn)["maxConcurrency"] == 2
    cloud.states.stop_execution(executionArn=arn)
    for token in tokens[1:]:
        cloud.states.send_task_success(taskToken=token, output="{}")

    run = cloud.map_run(arn)
    assert run["status"] == "ABORTED"
    counts = {"total": 5, "succeeded": 1, "aborted": 2, "pending": 2}
    assert {key: count for key, count in run["itemCounts"].items() if count} == counts

    cloud.states.redrive_execution(executionArn=arn)
    until(lambda: cloud.map_run(arn)["itemCounts"]["running"] == 2)
    for _ in range(4):
        cloud.states.send_task_success(taskToken=cloud.receive(queue)["token"], output="{}")
    assert cloud.end(arn)["result"] == [0, 1, 2, 3, 4]
    assert sorted(c["redriveCount"] for c in cloud.children(run).values()) == [0, 0, 0, 1, 1]


def test_children_beyond_the_tolerance_are_aborted_and_redriven(cloud: Cloud) -> None:
    queue = cloud.queue("tolerance")
    arn = cloud.start(cloud.machine(distributed("Pages", hold("Hold", queue))), [0, 1])
    held = [cloud.receive(queue), cloud.receive(queue)]
    cloud.states.send_task_failure(taskToken=held[0]["token"], error="Broken")
    assert cloud.end(arn)["status"] == "FAILED"
    counts = cloud.map_run(arn)["itemCounts"]
    assert (counts["failed"], counts["aborted"]) == (1, 1)
    cloud.states.redrive_execution(executionArn=arn)
    for _ in held:
        cloud.states.send_task_success(taskToken=cloud.receive(queue)["token"], output="{}")
    assert cloud.end(arn)["result"] == [0, 1]
