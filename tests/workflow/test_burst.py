"""Hundreds of files at once: every row arrives, and few runs are started."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

from tests.lake import MORNING, make_rows, reference, to_parquet
from tests.waiting import eventually
from tests.workflow.deployed import Deployed

FILES = 200
WINDOW = 5
"""Seconds in which uploads are collected: about as long as these take."""


def test_two_hundred_uploads_are_one_or_two_runs(deployed: Deployed) -> None:
    known = set(_executions(deployed))
    deployed.react_to_uploads(True)
    contents = [
        to_parquet(
            make_rows(range(number, number + 20), updated_at=MORNING + timedelta(hours=number))
        )
        for number in range(0, FILES * 10, 10)
    ]
    with batching_window(deployed, WINDOW), ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda item: deployed.upload(f"burst/{item[0]}", item[1]), enumerate(contents))
        )
        eventually(lambda: _quiet(deployed, known), 60, "the end of all runs")
    ended = [deployed.wait(arn) for arn in _executions(deployed) if arn not in known]
    worked = [run for run in ended if run.entered[-1] != "Coalesced"]
    assert {run.status for run in ended} == {"SUCCEEDED"}
    assert 1 <= len(worked) <= 2
    assert deployed.table() == reference(deployed.files)


@contextmanager
def batching_window(deployed: Deployed, seconds: int) -> Iterator[None]:
    """How long uploads are collected, for the length of a block."""
    functions = deployed.client("lambda")
    listed = functions.list_event_source_mappings(FunctionName="forecast-sync-dev-start-sync")
    (mapping,) = listed["EventSourceMappings"]
    change, name = functions.update_event_source_mapping, "MaximumBatchingWindowInSeconds"
    change(UUID=mapping["UUID"], **{name: seconds})
    try:
        yield
    finally:
        change(UUID=mapping["UUID"], **{name: mapping[name]})


def _executions(deployed: Deployed) -> dict[str, str]:
    pages = deployed.client("stepfunctions").get_paginator("list_executions")
    return {
        item["executionArn"]: item["status"]
        for page in pages.paginate(stateMachineArn=deployed.cloud.state_machine_arn)
        for item in page["executions"]
    }


def _quiet(deployed: Deployed, known: set[str]) -> bool:
    """Whether all rows are there, no message waits and no execution runs."""
    queue = deployed.client("sqs").get_queue_url(QueueName="forecast-sync-dev-uploads")["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    waiting = deployed.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)
    mine = {arn: status for arn, status in _executions(deployed).items() if arn not in known}
    return (
        bool(mine)
        and "RUNNING" not in mine.values()
        and not any(int(count) for count in waiting["Attributes"].values())
        and len(deployed.table()) == len(reference(deployed.files))
    )
