# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""The local Athena's API: what ministack's lacks, and Athena's strictness, whatever the engine."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import athena

from localcloud.athena import storage
from localcloud.athena.engine import (
    INTERNAL,
    INVALID_ARGUMENT,
    SYSTEM,
    Engine,
    Job,
    QueryCancelled,
    QueryError,
    Rows,
)
from localcloud.athena.unload import Unload, UnloadUnsupported, parse_unload
from localcloud.faults import POLL_SECONDS, FaultFile

STATEMENT_LIMIT_BYTES = 262_144
PARTITION_LIMIT = 100
"""How many partitions Athena writes in one statement."""
MEASURES = "logs/athena.jsonl"
"""Below the state directory: an object for each ended query, with more than Athena's API says."""
_IDEMPOTENT = ("QueryString", "QueryExecutionContext", "ResultConfiguration", "WorkGroup")
_LOG = logging.getLogger("athena")


def install(engine: Engine, faults_dir: Path, measures: Path) -> None:
    """Replace ministack's submission, execution and cancellation of queries with ours.

    ``faults_dir/athena-faults.json`` may hold faults for coming queries:
    ``[{"match": "UNLOAD", "times": 1, "seconds": 0, "state": "FAILED", "retryable": true,
    "reason": "..."}]``; ``match`` is a part of the query's text; without ``state`` the query
    is only slow. With ``"hold": true`` it begins when the file no longer names the fault.
    ``"manifest"`` says what an UNLOAD leaves: ``"written"`` a manifest even without rows,
    ``"unwritten"`` only its location, ``"unnamed"`` neither, which is the default without rows.
    ``measures`` gets one line of JSON for each finished query: what it read and took.
    """
    service = _Service(engine, FaultFile(faults_dir / "athena-faults.json"), measures)
    service.take_over()


@dataclass(slots=True)
class _Service:
    """Athena's API over one engine."""

    engine: Engine
    faults: FaultFile
    measures: Path
    jobs: dict[str, Job] = field(default_factory=dict)
    """The queries that haven't ended."""

    def take_over(self) -> None:
        """Make ministack use this API from now on."""
        start, stop = athena._start_query_execution, athena._stop_query_execution

        def submit(request: dict[str, Any]) -> Any:
            return _find_refusal(request) or _find_earlier(request) or self._submit(start, request)

        def cancel(request: dict[str, Any]) -> Any:
            answer = stop(request)
            if job := self.jobs.get(request.get("QueryExecutionId", "")):
                job.cancellation.cancel()
            return answer

        athena._start_query_execution = submit
        athena._stop_query_execution = cancel
        athena._get_query_results = _wrap_results(athena._get_query_results)
        athena._execute_query = self.execute

    def _submit(self, start: Any, request: dict[str, Any]) -> Any:
        answer = start(request)
        if answer[0] == 200:
            query_id = json.loads(answer[2])["QueryExecutionId"]
            execution = athena._executions[query_id]
            execution["_request"] = request
            # Athena leaves out what a query doesn't have.
            del execution["Statistics"]["DataManifestLocation"]
            del execution["Status"]["StateChangeReason"]
            del execution["Status"]["CompletionDateTime"]
            self.jobs[query_id] = Job(query_id, execution["QueryExecutionContext"]["Database"])
        return answer

    async def execute(
        self, query_id: str, query: str, database: str, ddl: Any, _catalog: str | None = None
    ) -> None:
        """Run a query to its end and record how it ended."""
        execution, job = athena._executions[query_id], self.jobs[query_id]
        _move(execution, "RUNNING")
        started = time.monotonic()
        try:
            if ddl is None:
                rows = await asyncio.to_thread(self._run, execution, query, job)
            else:
                rows = _run_definition(ddl, database)
            execution["_results"] = {"columns": rows.columns, "rows": rows.rows}
            execution["_column_types"] = rows.types
            await athena._save_query_results(query_id)
            job.cancellation.check()
            _move(execution, "SUCCEEDED")
        except QueryCancelled as error:
            _end(execution, "CANCELLED", error)
        except QueryError as error:
            _end(execution, execution.get("_state", "FAILED"), error)
        except Exception as error:  # noqa: BLE001  # whatever went wrong, the query has ended
            _LOG.exception("Athena query %s", query_id)
            reason = f"{type(error).__name__}: {error}"
            _end(execution, "FAILED", QueryError(reason, category=SYSTEM, error_type=INTERNAL))
        finally:
            del self.jobs[query_id]
            seconds = time.monotonic() - started
            _measure(execution, job, seconds)
            self._note(job, seconds)

    def _note(self, job: Job, seconds: float) -> None:
        measured = {"query": job.query_id, "seconds": round(seconds, 3), **asdict(job.statistics)}
        with self.measures.open("a") as lines:
            lines.write(f"{json.dumps(measured)}\n")

    def _run(self, execution: dict[str, Any], query: str, job: Job) -> Rows:
        self._suffer(execution, query, job)
        try:
            unload = parse_unload(query)
        except UnloadUnsupported as error:
            raise QueryError(f"NOT_SUPPORTED: {error}", error_type=INVALID_ARGUMENT) from None
        if unload is None:
            return self.engine.select(query, job)
        _refuse_used_target(unload)
        keys = self.engine.unload(unload, job)
        _refuse_too_many_partitions(keys)
        _write_manifest(execution, unload, keys)
        return Rows([], [], [])

    def _suffer(self, execution: dict[str, Any], query: str, job: Job) -> None:
        """Apply the fault that a test or a drill has requested, if any."""
        fault = self.faults.take(query)
        if fault is None:
            return
        job.cancellation.wait(fault.get("seconds", 0))
        while fault.get("hold") and self.faults.names(fault):
            job.cancellation.wait(POLL_SECONDS)
        if "manifest" in fault:
            execution["_manifest"] = fault["manifest"]
        if "state" in fault:
            execution["_state"] = fault["state"]
            raise QueryError(
                fault.get("reason", "an injected fault"), retryable=fault.get("retryable", False)
            )


def _wrap_results(read: Any) -> Any:
    """Read results, or refuse as Athena does while a query has none, or if it never will."""

    def read_results(request: dict[str, Any]) -> Any:
        execution = athena._executions.get(request.get("QueryExecutionId", ""), {})
        state = execution.get("Status", {}).get("State", "SUCCEEDED")
        if state in ("QUEUED", "RUNNING"):
            return _refuse(f"Query has not yet finished. Current state: {state}")
        if state != "SUCCEEDED":
            return _refuse(f"Query did not finish successfully. Final query state: {state}")
        return read(request)

    return read_results


def _find_refusal(request: dict[str, Any]) -> Any | None:
    """The error for a statement that Athena rejects; None for one that it accepts."""
    size = len(request.get("QueryString", "").encode())
    if size <= STATEMENT_LIMIT_BYTES:
        return None
    return _refuse(
        "1 validation error detected: Value at 'queryString' failed to satisfy constraint: Member "
        f"must have length less than or equal to {STATEMENT_LIMIT_BYTES}"
    )


def _find_earlier(request: dict[str, Any]) -> Any | None:
    """The answer to a token that was used before: the same query, or a refusal of another one."""
    token = request.get("ClientRequestToken")
    for execution in list(athena._executions.values()):
        earlier = execution.get("_request", {})
        if not token or earlier.get("ClientRequestToken") != token:
            continue
        if any(earlier.get(name) != request.get(name) for name in _IDEMPOTENT):
            return _refuse("Idempotent parameters do not match")
        return json_response({"QueryExecutionId": execution["QueryExecutionId"]})
    return None


def _refuse(message: str) -> Any:
    extra = {"AthenaErrorCode": "INVALID_INPUT"}
    return error_response_json("InvalidRequestException", message, 400, extra=extra)


def _run_definition(ddl: Any, database: str) -> Rows:
    """A statement that changes the catalog, which ministack does by itself."""
    try:
        athena._run_ddl(ddl, database)
    except ValueError as error:
        raise QueryError(str(error)) from None
    return Rows([], [], [])


def _move(execution: dict[str, Any], state: str) -> None:
    """Move to a later state, unless the query was stopped meanwhile."""
    if execution["Status"]["State"] in ("QUEUED", "RUNNING"):
        execution["Status"]["State"] = state


def _end(execution: dict[str, Any], state: str, error: QueryError) -> None:
    _move(execution, state)
    execution["Status"]["StateChangeReason"] = str(error)
    execution["Status"]["AthenaError"] = {
        "ErrorCategory": error.category,
        "ErrorType": error.error_type,
        "Retryable": error.retryable,
        "ErrorMessage": str(error),
    }


def _measure(execution: dict[str, Any], job: Job, seconds: float) -> None:
    measured, milliseconds = job.statistics, int(seconds * 1000)
    execution["Status"]["CompletionDateTime"] = int(time.time())
    execution["Statistics"].update(
        EngineExecutionTimeInMillis=max(0, milliseconds - measured.queued_milliseconds),
        TotalExecutionTimeInMillis=milliseconds,
        QueryQueueTimeInMillis=measured.queued_milliseconds,
        QueryPlanningTimeInMillis=measured.planning_milliseconds,
        DataScannedInBytes=measured.scanned_bytes,
    )


def _refuse_used_target(unload: Unload) -> None:
    if storage.list_keys(unload.bucket, unload.prefix):
        raise QueryError(
            f"HIVE_PATH_ALREADY_EXISTS: Target directory for table "
            f"'s3://{unload.bucket}/{unload.prefix}' already exists and is not empty"
        )


def _refuse_too_many_partitions(keys: list[str]) -> None:
    """What was written stays, as Athena leaves it."""
    if len({key.rpartition("/")[0] for key in keys}) > PARTITION_LIMIT:
        raise QueryError(
            f"HIVE_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of {PARTITION_LIMIT} open writers for "
            "partitions/buckets"
        )


def _write_manifest(execution: dict[str, Any], unload: Unload, keys: list[str]) -> None:
    """The list of the result's files, beside the query's other results; none without a row."""
    leaves = execution.get("_manifest", "written" if keys else "unnamed")
    if leaves == "unnamed":
        return
    output = execution["ResultConfiguration"]["OutputLocation"]
    manifest = f"{output.rpartition('/')[0]}/{execution['QueryExecutionId']}-manifest.csv"
    bucket, _, manifest_key = manifest.removeprefix("s3://").partition("/")
    if leaves == "written":
        listed = "".join(f"s3://{unload.bucket}/{key}\n" for key in keys)
        storage.put(bucket, manifest_key, listed.encode())
    execution["Statistics"]["DataManifestLocation"] = manifest
