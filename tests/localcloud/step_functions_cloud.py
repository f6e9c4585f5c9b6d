"""A ministack with our Step Functions, and the helpers that its tests use."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

Json = dict[str, Any]
SERVER = (
    "from localcloud.step_functions import service; service.install();"
    "from ministack.app import main; main()"
)
ENDED = {"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"}


class Cloud:
    """Clients of one running server; every machine and execution gets a new name."""

    def __init__(self, url: str) -> None:
        session = boto3.Session("test", "test", region_name="us-east-2")
        self.states: Any = session.client("stepfunctions", endpoint_url=url)
        self.sqs: Any = session.client("sqs", endpoint_url=url)
        self.ssm: Any = session.client("ssm", endpoint_url=url)
        self.events: Any = session.client("events", endpoint_url=url)
        self.made = 0

    def queue(self, name: str) -> str:
        return str(self.sqs.create_queue(QueueName=name)["QueueUrl"])

    def machine(self, *states: Json, **fields: object) -> str:
        self.made += 1
        definition = json.dumps({**chain(*states), **fields})
        role = "arn:aws:iam::000000000000:role/states"
        made = self.states.create_state_machine(
            name=f"machine-{self.made}", definition=definition, roleArn=role
        )
        return str(made["stateMachineArn"])

    def start(self, machine: str, value: object = None) -> str:
        text = json.dumps({} if value is None else value)
        return str(self.states.start_execution(stateMachineArn=machine, input=text)["executionArn"])

    def run(self, *states: Json, value: object = None, **fields: object) -> Json:
        return self.end(self.start(self.machine(*states, **fields), value))

    def end(self, arn: str) -> Json:
        """The description of an execution once it has ended, its output as ``result``."""
        found: Json = {}

        def ended() -> bool:
            found.update(self.states.describe_execution(executionArn=arn))
            return found["status"] in ENDED

        until(ended)
        return {**found, "result": json.loads(found.get("output", "null"))}

    def redrive(self, arn: str) -> Json:
        self.states.redrive_execution(executionArn=arn)
        return self.end(arn)

    def history(self, arn: str) -> list[Json]:
        events = self.states.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        assert [event["id"] for event in events] == list(range(1, len(events) + 1))
        return list(events)

    def told(self, arn: str) -> list[str]:
        """The history as words: "ExecutionStarted", "PassStateEntered First" ..."""
        return [" ".join(_words(event)) for event in self.history(arn)]

    def map_run(self, arn: str) -> Json:
        (run,) = self.states.list_map_runs(executionArn=arn)["mapRuns"]
        return dict(self.states.describe_map_run(mapRunArn=run["mapRunArn"]))

    def children(self, run: Json) -> dict[Any, Json]:
        """The child executions of a Map Run by their input."""
        executions = self.states.list_executions(mapRunArn=run["mapRunArn"])["executions"]
        about = [self.states.describe_execution(executionArn=c["executionArn"]) for c in executions]
        return {json.loads(child["input"]): child for child in about}

    def receive(self, queue: str, seconds: int = 5) -> Json:
        """The next message of a queue."""
        message = self.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=seconds)["Messages"][0]
        self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return dict(json.loads(message["Body"]))

    def open_gate(self, name: str) -> None:
        self.ssm.put_parameter(Name=name, Value="open", Type="String")


def _words(event: Json) -> Iterator[str]:
    yield event["type"]
    for key in ("stateEnteredEventDetails", "stateExitedEventDetails"):
        if key in event:
            yield event[key]["name"]
    for key, details in event.items():
        if key.startswith("mapIteration"):
            yield str(details["index"])


def until(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition didn't come true in time"
        time.sleep(0.02)


def chain(*states: Json) -> Json:
    """A machine of the given states, one after the other; each has its own ``Name``."""
    names = [state["Name"] for state in states]
    following = [{"Next": name} for name in names[1:]] + [{"End": True}]
    inner = {}
    for state, after in zip(states, following, strict=True):
        body = {key: value for key, value in state.items() if key != "Name"}
        inner[state["Name"]] = body if "Default" in body else {**body, **after}
    return {"StartAt": names[0], "States": inner}


def step(name: str, **fields: object) -> Json:
    """A Pass state."""
    return {"Name": name, "Type": "Pass", **fields}


def gate(name: str, key: str = "$", **fields: object) -> Json:
    """A Task that fails until the parameter of this name (a path into its input) is there."""
    resource = "arn:aws:states:::aws-sdk:ssm:getParameter"
    return {"Name": name, "Type": "Task", "Resource": resource, "ResultPath": None,
            "Parameters": {"Name.$": key}, **fields}  # fmt: skip


def hold(name: str, queue: str, **fields: object) -> Json:
    """A Task that stays in flight until its token, sent to the queue, is answered."""
    body = {"token.$": "$$.Task.Token", "input.$": "$"}
    return {"Name": name, "Type": "Task", "ResultPath": None,
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {"QueueUrl": queue, "MessageBody": body}, **fields}  # fmt: skip


def each(name: str, *states: Json, mode: str = "INLINE", **fields: object) -> Json:
    """A Map over its input."""
    processor = {"ProcessorConfig": {"Mode": mode, "ExecutionType": "STANDARD"}, **chain(*states)}
    return {"Name": name, "Type": "Map", "ItemProcessor": processor, **fields}


@contextmanager
def serve(state_dir: Path, **environment: str) -> Iterator[Cloud]:
    """Run a server of our own until the end of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    settings = {"GATEWAY_PORT": port, "BIND_HOST": "127.0.0.1", "SFN_WAIT_SCALE": "0",
                "STATE_DIR": str(state_dir), "TMPDIR": str(state_dir), "IOT_MTLS_ENABLED": "0",
                "SFTP_ENABLED": "0", "MINISTACK_REGION": "us-east-2", "DOCKER_HOST": "unix:///nonexistent",
                "PYTHONPATH": os.pathsep.join(sys.path), **environment}  # fmt: skip
    log = (state_dir / "server.log").open("ab")
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], env={**os.environ, **settings}, stdout=log, stderr=log
    )
    try:
        until(lambda: _answers(int(port)) or server.poll() is not None, 30)
        assert server.poll() is None, (state_dir / "server.log").read_text()
        yield Cloud(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with serve(tmp_path_factory.mktemp("step-functions")) as running:
        yield running
