# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""What the local Athena lacks: UNLOAD, Athena's dialect, its hidden columns and its strictness."""

from __future__ import annotations

import asyncio
import contextvars
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ministack.core.responses import json_response
from ministack.services import athena, s3

from localcloud.athena.embedded import Engine
from localcloud.athena.unload import QueryError, Unload, parse_unload
from localcloud.faults import FaultFile

_execution: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("execution")


def install(faults_dir: Path) -> None:
    """Replace ministack's way of submitting and running queries by ours.

    ``faults_dir/athena-faults.json`` may hold faults for coming queries:
    ``[{"match": "UNLOAD", "times": 1, "seconds": 0, "state": "FAILED", "retryable": true,
    "reason": "..."}]``; ``match`` is a part of the query's text, without ``state`` it is only slow.
    ``"manifest"`` says what an UNLOAD leaves: ``"written"`` one also without a row, ``"unwritten"``
    its location only, ``"unnamed"`` neither; by itself the local Athena names none without a row.
    """
    extension = _Extension(FaultFile(faults_dir / "athena-faults.json"), Engine())
    original_start, original_execute = athena._start_query_execution, athena._execute_query

    def start(request: dict[str, Any]) -> Any:
        token = request.get("ClientRequestToken")
        for execution in list(athena._executions.values()):
            if token and execution.get("_token") == token:
                return json_response({"QueryExecutionId": execution["QueryExecutionId"]})
        answer = original_start(request)
        if answer[0] == 200:
            query_id = json.loads(answer[2])["QueryExecutionId"]
            athena._executions[query_id]["_token"] = token
        return answer

    async def execute(query_id: str, *arguments: Any) -> None:
        execution = athena._executions[query_id]
        _execution.set(execution)
        await original_execute(query_id, *arguments)
        extension.finish(execution)

    athena._start_query_execution = start
    athena._execute_query = execute
    athena._run_duckdb = extension.run


@dataclass(slots=True)
class _Extension:
    """Runs the queries, or fails them when it is asked to."""

    faults: FaultFile
    engine: Engine

    async def run(self, query: str, database: str, _catalog: str | None = None) -> dict[str, Any]:
        execution = _execution.get()
        await asyncio.to_thread(self._fail, query)
        unload = parse_unload(query)
        execution["_scanned"] = self.engine.measure(unload.query if unload else query, database)
        if unload is None:
            return await asyncio.to_thread(self.engine.select, query, database)
        _refuse_full(unload)
        files = await asyncio.to_thread(self.engine.unload, unload, database)
        _write(execution, unload, files)
        return {"columns": [], "rows": [], "column_types": []}

    def finish(self, execution: dict[str, Any]) -> None:
        """Complete what ministack leaves out of an ended query's description."""
        status = execution["Status"]
        execution["Statistics"]["DataScannedInBytes"] = execution.get("_scanned", 0)
        if "_state" in execution:
            status["State"] = execution["_state"]
        if status["State"] in ("FAILED", "CANCELLED"):
            status["AthenaError"] = {
                "ErrorCategory": 2,
                "Retryable": execution.get("_retryable", False),
                "ErrorMessage": status["StateChangeReason"],
            }

    def _fail(self, query: str) -> None:
        fault = self.faults.take(query)
        if fault is None:
            return
        time.sleep(fault.get("seconds", 0))
        execution = _execution.get()
        if "manifest" in fault:
            execution["_manifest"] = fault["manifest"]
        if "state" in fault:
            execution["_state"] = fault["state"]
            execution["_retryable"] = fault.get("retryable", False)
            raise QueryError(fault.get("reason", "an injected fault"))


def _refuse_full(unload: Unload) -> None:
    bucket = s3._buckets.get(unload.bucket)
    if bucket is None:
        raise QueryError(f"The specified bucket does not exist: {unload.bucket}")
    if any(key.startswith(unload.prefix) for key in list(bucket["objects"])):
        raise QueryError(
            f"HIVE_PATH_ALREADY_EXISTS: Target directory for table "
            f"'s3://{unload.bucket}/{unload.prefix}' already exists and is not empty"
        )


def _write(execution: dict[str, Any], unload: Unload, files: list[tuple[str, bytes]]) -> None:
    """The result files, and the manifest beside the query's other results."""
    query_id = execution["QueryExecutionId"]
    keys = []
    for number, (partition, content) in enumerate(files):
        keys.append(f"{unload.prefix}{partition}{query_id}_{number:05}.gz")
        _put(unload.bucket, keys[-1], content)
    leaves = execution.get("_manifest", "written" if files else "unnamed")
    if leaves == "unnamed":
        return
    output = execution["ResultConfiguration"]["OutputLocation"]
    manifest = f"{output.rpartition('/')[0]}/{query_id}-manifest.csv"
    bucket, _, key = manifest.removeprefix("s3://").partition("/")
    listed = "".join(f"s3://{unload.bucket}/{key}\n" for key in keys)
    if leaves == "written":
        _put(bucket, key, listed.encode())
    execution["Statistics"]["DataManifestLocation"] = manifest


def _put(bucket: str, key: str, content: bytes) -> None:
    headers = {"content-type": "binary/octet-stream", "content-length": str(len(content))}
    answer = s3._put_object(bucket, key, content, headers)
    if answer[0] >= 300:
        raise QueryError(f"Writing s3://{bucket}/{key} failed: {answer[2]!r}")
