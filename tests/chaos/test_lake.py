"""Athena and S3 throttle, lose and damage what a run needs of them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import scene
from tests.lake import make_row, make_rows, to_parquet
from tests.waiting import eventually
from tests.workflow.deployed import Deployed

SLOW_DOWN = {"status": 503, "code": "SlowDown"}
THROTTLED = {"status": 400, "code": "TooManyRequestsException"}
REPEATS = 4
"""How often botocore repeats a call that is refused."""


def _long(*values: Any) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("match", "calls", "refusal"),
    [
        ("AmazonAthena.StartQueryExecution", 2, THROTTLED),
        _long("AmazonAthena.GetQueryExecution", 2, THROTTLED),
        _long("AmazonAthena.GetQueryResults", 2, THROTTLED),
        _long("GET /forecast-sync-datalake-dev-35315550/forecast", 4, SLOW_DOWN),
        _long("PUT /forecast-sync-results-dev-35315550/athena", 2, SLOW_DOWN),
        ("kind=row", 1, SLOW_DOWN),
    ],
)
def test_a_service_throttles(
    deployed: Deployed, match: str, calls: int, refusal: dict[str, Any]
) -> None:
    """More often than the clients of all ``calls`` of a kind repeat them by themselves."""
    deployed.upload("few", make_rows(range(50)))
    deployed.request_faults({"match": match, "times": calls * REPEATS + 1, **refusal})
    ended = deployed.succeed()
    assert re.search(r"(Athena|Storage)Unavailable", scene.task_failures(deployed, ended.arn))
    scene.finished(deployed, ended)


def test_an_engine_whose_disk_is_full_fails_the_run_and_a_redrive_heals(
    deployed: Deployed,
) -> None:
    """The embedded engine; tests/conformance fills Trino's disk."""
    deployed.upload("few", make_rows(range(50)))
    deployed.succeed()
    deployed.upload("bulky", scene.bulky_rows(range(50, 100)))
    (copies,) = (Path(deployed.cloud.state_dir) / "tmp").glob("athena-*")
    with scene.full_disk(copies) as disk:
        _fill(disk)
        ended = deployed.run()
    assert (ended.status, ended.error) == ("FAILED", "QueryFailed")
    # What the engine says of the disk isn't always "No space left on device".
    assert "Query exhausted resources at this scale factor" in ended.cause
    assert "Repair the cause and redrive" in ended.cause
    assert len(deployed.table()) == 50
    scene.finished(deployed, deployed.redrive(ended), ids=100)


def _fill(disk: Path) -> None:
    with (disk / "full").open("wb") as file:
        free = os.statvfs(disk)
        file.write(bytes(free.f_bavail * free.f_frsize))


@pytest.mark.parametrize("match", ["manifest.csv", "kind=row"])
def test_an_answer_is_cut(deployed: Deployed, match: str) -> None:
    """The connection ends in the middle of what is read: it is read again."""
    deployed.upload("bulky", scene.bulky_rows(range(30_000)))
    deployed.request_faults({"match": match, "cut": True})
    ended = deployed.succeed()
    scene.finished(deployed, ended, ids=60_000)


def _delete(content: bytes) -> bytes | None:
    del content
    return None


def _truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _garble(content: bytes) -> bytes:
    return b"no gzip" + content


@pytest.mark.parametrize("damage", [_delete, _truncate, _garble])
def test_result_files_are_lost_before_a_redrive(
    deployed: Deployed, damage: Callable[[bytes], bytes | None]
) -> None:
    """The files of a page that failed are damaged: the redrive notices, and queries again."""
    deployed.upload("first", make_rows(range(500)))
    deployed.succeed()
    deployed.execute("ALTER TABLE forecast_data ADD CONSTRAINT small CHECK (y_50 < 5000)")
    deployed.upload("second", [make_row(600), make_row(601, y_50=6000.0)])
    failed = deployed.run()
    assert failed.status == "FAILED"
    deployed.execute("ALTER TABLE forecast_data DROP CONSTRAINT small")
    s3, bucket = deployed.client("s3"), deployed.cloud.results_bucket
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"athena/{failed.name}/")["Contents"]
    for key in (item["Key"] for item in listed if "kind=row" in item["Key"]):
        content = damage(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        if content is None:
            s3.delete_object(Bucket=bucket, Key=key)
        else:
            s3.put_object(Bucket=bucket, Key=key, Body=content)
    ended = deployed.redrive(failed)
    assert "Query anew" in ended.entered
    scene.finished(deployed, ended, ids=504)


def test_a_manifest_is_lost_before_a_redrive(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(50)))
    deployed.request_faults(
        {"match": "manifest.csv", "times": 2, "status": 404, "code": "NoSuchKey"}
    )
    failed = deployed.run()
    assert (failed.status, failed.error) == ("FAILED", "ResultInvalid")
    ended = deployed.redrive(failed)
    assert "Query anew" in ended.entered
    scene.finished(deployed, ended)


def test_an_upload_in_parts_appears_behind_the_watermark(deployed: Deployed) -> None:
    """S3 gives it the time at which it began; the run between didn't see it, the next one does."""
    s3, bucket, key = deployed.client("s3"), deployed.cloud.bucket, "forecast/parts.parquet"
    content = to_parquet(make_rows(range(100, 150)))
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    deployed.upload("few", make_rows(range(50)))
    before = deployed.succeed()
    part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=content)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload=parts)
    deployed.remember(key, content)
    modified, _ = deployed.files[f"s3://{bucket}/{key}"]
    assert modified < (deployed.status(before.name) or {})["window_high"]
    scene.finished(deployed, deployed.succeed())


def test_an_upload_in_parts_appears_between_the_queries(deployed: Deployed) -> None:
    s3, bucket, key = deployed.client("s3"), deployed.cloud.bucket, "forecast/parts.parquet"
    content = to_parquet(make_rows(range(100, 150)))
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=content)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    deployed.upload("few", make_rows(range(50)))
    with deployed.held_query():
        arn = deployed.start()
        eventually(lambda: deployed.entered(arn).count("Query finished") == 1)
        s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload=parts)
    ended = deployed.wait(arn)
    assert "Query anew" not in ended.entered, "what comes meanwhile is for the next run"
    scene.finished(deployed, ended)
    deployed.remember(key, content)
    scene.finished(deployed, deployed.succeed())


def test_a_file_is_deleted_between_the_queries(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(50)))
    deployed.upload("gone", make_rows(range(50, 60)))
    with deployed.held_query():
        arn = deployed.start()
        eventually(lambda: deployed.entered(arn).count("Query finished") == 1)
        deployed.delete("gone")
    ended = deployed.wait(arn)
    assert "Query anew" in ended.entered
    scene.finished(deployed, ended)
