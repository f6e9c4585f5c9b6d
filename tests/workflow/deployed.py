"""The deployed state machine for tests: upload, start, wait, read Postgres, S3 and history."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from tests.lake import Row, make_row, to_parquet
from tests.waiting import eventually
from tests.workflow.databases import EMPTIED, Databases

PREFIX = "forecast/"
PARAMETERS = {"BatchingWindowSeconds": "1", "PageBytes": "1"}
"""Of most tests' stacks: an upload starts a run at once, and a result file is a page."""
WARM_UP_SECONDS = 180
RECORDED_SECONDS = 5
SCHEDULE = ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target", "State")
"""The settings that create a schedule; its description has more."""


@dataclass(frozen=True)
class Ended:
    """An execution that has ended; ``entered`` are its states in their order."""

    name: str
    arn: str
    status: str
    error: str
    cause: str
    output: dict[str, Any]
    entered: list[str]

    @property
    def counts(self) -> dict[str, Any]:
        """The run's counts."""
        counts: dict[str, Any] = self.output["counts"]
        return counts

    @property
    def changed(self) -> tuple[int, int, int]:
        """Inserted, updated, unchanged."""
        counts = self.counts
        return counts["inserted"], counts["updated"], counts["unchanged"]


@dataclass
class Deployed(Databases):
    """One local cloud, with the database of its branch ``dev``."""

    files: dict[str, tuple[datetime, bytes]] = field(default_factory=dict)
    clients: dict[str, Any] = field(default_factory=dict)
    statements: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    """Those of each function's role, once they are read: no test changes a role."""

    @property
    def name(self) -> str:
        """What the names of the stack's resources begin with."""
        return self.cloud.state_machine_arn.rpartition(":")[2]

    def client(self, service: str) -> Any:
        """A boto3 client, made once."""
        if service not in self.clients:
            self.clients[service] = self.cloud.session().client(
                service,  # type: ignore[call-overload]
                endpoint_url=self.cloud.endpoint_url,
            )
        return self.clients[service]

    def warm_up(self, **payload: Any) -> None:
        """Run once, and fail once, so that no test waits for the first start of its functions.

        On a busy machine these starts take longer than a test may wait for a run.
        """
        self.reset()
        self.upload("cold", [make_row(1)])
        ended = self.wait(self.start(**payload), WARM_UP_SECONDS)
        assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
        self.athena_faults({"match": "UNLOAD", "state": "FAILED"})
        failed = self.wait(self.start(**payload), WARM_UP_SECONDS)
        assert failed.error == "QueryFailed", failed
        recorded = partial(self._is_recorded, failed.name)
        eventually(recorded, WARM_UP_SECONDS, "the record of a failure")

    def _is_recorded(self, run: str) -> bool:
        return (self.status(run) or {}).get("status") == "failed"

    def postpone_schedules(self) -> None:
        """No schedule starts anything, however long the tests take."""
        scheduler = self.client("scheduler")
        for listed in scheduler.list_schedules()["Schedules"]:
            described = scheduler.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"])
            kept = {name: value for name, value in described.items() if name in SCHEDULE}
            tomorrow = datetime.now(UTC) + timedelta(days=1)
            scheduler.update_schedule(**kept, StartDate=tomorrow)

    def reset(self) -> None:
        """An empty lake, the first branches, empty databases; uploads start nothing.

        What the last test has left working ends first: it would ask Neon or write in the next one.
        """
        self.react_to_uploads(False)
        self.athena_faults()
        self.request_faults()
        self._await_end_of_runs()
        s3 = self.client("s3")
        for item in s3.list_objects_v2(Bucket=self.cloud.bucket).get("Contents", []):
            s3.delete_object(Bucket=self.cloud.bucket, Key=item["Key"])
        self.files.clear()
        self.reset_branches()

    def _await_end_of_runs(self) -> None:
        """Stop what runs, and wait until the failures of all runs are recorded."""
        sfn = self.client("stepfunctions")
        running = sfn.list_executions(
            stateMachineArn=self.cloud.state_machine_arn, statusFilter="RUNNING"
        )["executions"]
        for execution in running:
            self.stop(execution["executionArn"])
        # A test may have seen to it that a failure can't be recorded.
        with suppress(AssertionError):
            eventually(lambda: not any(map(self._has_running, EMPTIED)), RECORDED_SECONDS)

    def react_to_uploads(self, enabled: bool) -> None:
        """Let uploads start runs, or not."""
        events = self.client("events")
        change = events.enable_rule if enabled else events.disable_rule
        change(Name=f"{self.name}-uploads")

    def upload(self, name: str, rows: Sequence[Row] | bytes) -> None:
        """Put a file under ``forecast/`` and remember it for the reference."""
        content = rows if isinstance(rows, bytes) else to_parquet(rows)
        s3, key = self.client("s3"), f"{PREFIX}{name}.parquet"
        s3.put_object(Bucket=self.cloud.bucket, Key=key, Body=content)
        self.remember(key, content)

    def remember(self, key: str, content: bytes) -> None:
        """Put an object into the reference, with the time, to the millisecond, of a listing."""
        bucket = self.cloud.bucket
        (listed,) = self.client("s3").list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]
        self.files[f"s3://{bucket}/{key}"] = (listed["LastModified"], content)

    def delete(self, name: str) -> None:
        """Delete a file, in the reference too."""
        key = f"{PREFIX}{name}.parquet"
        self.client("s3").delete_object(Bucket=self.cloud.bucket, Key=key)
        del self.files[f"s3://{self.cloud.bucket}/{key}"]

    def start(self, name: str | None = None, **payload: Any) -> str:
        """Start an execution; its ARN."""
        answer = self.client("stepfunctions").start_execution(
            stateMachineArn=self.cloud.state_machine_arn,
            name=name or f"test-{uuid.uuid4().hex[:12]}",
            input=json.dumps(payload),
        )
        return str(answer["executionArn"])

    def run(self, name: str | None = None, **payload: Any) -> Ended:
        """Start an execution and wait for its end."""
        return self.wait(self.start(name, **payload))

    def succeed(self, **payload: Any) -> Ended:
        """A run that must succeed."""
        ended = self.run(**payload)
        assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
        return ended

    def stop(self, arn: str) -> None:
        """Stop an execution, unless it has ended meanwhile."""
        sfn = self.client("stepfunctions")
        with suppress(sfn.exceptions.ValidationException):
            sfn.stop_execution(executionArn=arn)

    def redrive(self, ended: Ended) -> Ended:
        """Redrive an execution and wait for its end."""
        self.client("stepfunctions").redrive_execution(executionArn=ended.arn)
        return self.wait(ended.arn)

    def describe(self, arn: str) -> dict[str, Any]:
        """DescribeExecution."""
        described: dict[str, Any] = self.client("stepfunctions").describe_execution(
            executionArn=arn
        )
        return described

    def wait(self, arn: str, seconds: float = 60) -> Ended:
        """The execution when it has ended."""

        def ended() -> dict[str, Any] | None:
            described = self.describe(arn)
            return described if described["status"] not in ("RUNNING", "PENDING_REDRIVE") else None

        described = eventually(ended, seconds, f"the end of {arn}")
        return Ended(
            name=described["name"],
            arn=arn,
            status=described["status"],
            error=described.get("error", ""),
            cause=described.get("cause", ""),
            output=json.loads(described.get("output") or "{}"),
            entered=self.entered(arn),
        )

    def history(self, arn: str) -> list[dict[str, Any]]:
        """All events of an execution."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history")
        return [event for page in pages.paginate(executionArn=arn) for event in page["events"]]

    def entered(self, arn: str) -> list[str]:
        """The states in the order in which they were entered."""
        return [
            event["stateEnteredEventDetails"]["name"]
            for event in self.history(arn)
            if "stateEnteredEventDetails" in event
        ]

    def attempts(self, arn: str, state: str) -> int:
        """How often the task of a state was scheduled that runs beside no other."""
        current, count = "", 0
        for event in self.history(arn):
            current = event.get("stateEnteredEventDetails", {}).get("name", current)
            count += current == state and event["type"] == "TaskScheduled"
        return count

    def children(self, arn: str) -> list[str]:
        """The ARNs of all children of an execution's Map Runs."""
        sfn = self.client("stepfunctions")
        return [
            child["executionArn"]
            for map_run in sfn.list_map_runs(executionArn=arn)["mapRuns"]
            for child in sfn.list_executions(mapRunArn=map_run["mapRunArn"])["executions"]
        ]

    def pages(self, arn: str) -> dict[int, tuple[str, int]]:
        """The status and the number of runs of each page's child execution, by page number."""
        pages = {}
        for child in self.children(arn):
            described = self.describe(child)
            number = json.loads(described["input"])["page"]["number"]
            pages[number] = (described["status"], 1 + described.get("redriveCount", 0))
        return pages

    def invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """Call a function as its event source does; it must succeed."""
        answer = self.client("lambda").invoke(
            FunctionName=f"{self.name}-{function}", Payload=json.dumps(event)
        )
        decoded: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, decoded
        return decoded

    def settings(self) -> dict[str, dict[str, str]]:
        """The environment variables of each function, by its name without the stack's."""
        listed = self.client("lambda").get_paginator("list_functions").paginate()
        return {
            function["FunctionName"].removeprefix(f"{self.name}-"): function.get(
                "Environment", {}
            ).get("Variables", {})
            for page in listed
            for function in page["Functions"]
            if function["FunctionName"].startswith(f"{self.name}-")
        }

    def configure(self, *functions: str, **changes: str) -> None:
        """Deploy settings to all functions, or only to those named; changed ones start cold."""
        for name, variables in self.settings().items():
            changed = {**variables, **changes}
            if changed != variables and (not functions or name in functions):
                self.restore(name, changed)

    def restore(self, function: str, variables: dict[str, str]) -> None:
        """Deploy all settings of a function."""
        self.client("lambda").update_function_configuration(
            FunctionName=f"{self.name}-{function}", Environment={"Variables": variables}
        )

    def forget(self, stack: str) -> None:
        """Delete another stack of this cloud, and the record of what its functions have called."""
        self.client("cloudformation").delete_stack(StackName=stack)
        for file in self.cloud.calls_dir.glob(f"{stack}-*.jsonl"):
            file.unlink()

    @contextmanager
    def held_query(self, match: str = "UNLOAD") -> Iterator[None]:
        """The next query whose text contains this runs until the end of the block."""
        self.athena_faults({"match": match, "hold": True})
        try:
            yield
        finally:
            self.athena_faults()

    def athena_faults(self, *faults: dict[str, Any]) -> None:
        """What the next queries suffer."""
        self._write_faults("athena-faults.json", faults)

    def request_faults(self, *faults: dict[str, Any]) -> None:
        """What the next requests to the local AWS suffer."""
        self._write_faults("request-faults.json", faults)

    def _write_faults(self, name: str, faults: Sequence[dict[str, Any]]) -> None:
        """Atomically, because the server may be reading it."""
        self.cloud.faults_dir.mkdir(exist_ok=True)
        unfinished = self.cloud.faults_dir / f"{name}.new"
        unfinished.write_text(json.dumps(faults))
        unfinished.rename(self.cloud.faults_dir / name)
