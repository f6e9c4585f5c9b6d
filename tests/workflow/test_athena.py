"""The local Athena is as strict as AWS's and describes its queries alike, whatever its engine."""

from __future__ import annotations

import gzip
import secrets
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from forecast_sync.adapters import athena as adapter
from forecast_sync.errors import QueryFailed
from localcloud.protocol import Athena

from tests.lake import make_row, make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed

ENDED = {"SUCCEEDED", "FAILED", "CANCELLED"}
ENDLESS = "SELECT count(*) FROM {table} a, {table} b, {table} c, {table} d WHERE a.y_50 < b.y_50"
Query = dict[str, Any]


@pytest.fixture
def submit(deployed: Deployed) -> Callable[..., str]:
    """Start a query; its id. ``{table}`` is the lake's."""
    database, table = _find_table(deployed)

    def start(statement: str, **options: Any) -> str:
        started = deployed.client("athena").start_query_execution(
            QueryString=statement.replace("{table}", f'"{database}"."{table}"'),
            QueryExecutionContext={"Database": database},
            ResultConfiguration={"OutputLocation": f"s3://{deployed.cloud.results_bucket}/test/"},
            **options,
        )
        return str(started["QueryExecutionId"])

    return start


@pytest.fixture
def run(deployed: Deployed, submit: Callable[..., str]) -> Callable[..., Query]:
    """Start a query and wait for its end; its description."""

    def start(statement: str, **options: Any) -> Query:
        query_id = submit(statement, **options)
        return eventually(lambda: _ended(deployed, query_id), 60, f"the end of {query_id}")

    return start


def _find_table(deployed: Deployed) -> tuple[str, str]:
    glue = deployed.client("glue")
    for database in glue.get_databases()["DatabaseList"]:
        for table in glue.get_tables(DatabaseName=database["Name"])["TableList"]:
            if "/forecast" in table["StorageDescriptor"]["Location"]:
                return database["Name"], table["Name"]
    raise AssertionError("the stack declares a table")


def _describe(deployed: Deployed, query_id: str) -> Query:
    answer = deployed.client("athena").get_query_execution(QueryExecutionId=query_id)
    described: Query = answer["QueryExecution"]
    return described


def _ended(deployed: Deployed, query_id: str) -> Query | None:
    described = _describe(deployed, query_id)
    return described if described["Status"]["State"] in ENDED else None


def _unload(deployed: Deployed, target: str, query: str, partitions: str = "'part'") -> str:
    location = f"s3://{deployed.cloud.results_bucket}/{target}/"
    return (
        f"UNLOAD ({query}) TO '{location}' WITH "
        f"(format = 'TEXTFILE', compression = 'GZIP', partitioned_by = ARRAY[{partitions}])"
    )


def _lines_by(count: int) -> str:
    return (
        "SELECT CAST(restaurant_id AS varchar) AS line, "
        f"restaurant_id % {count} AS part FROM {{table}}"
    )


def _target() -> str:
    return f"test-{uuid.uuid4().hex}"


def test_an_unload_lists_its_files_in_a_manifest(
    deployed: Deployed, run: Callable[..., Query]
) -> None:
    deployed.upload("few", make_rows(range(500)))
    target = _target()
    ended = run(_unload(deployed, target, _lines_by(3)))
    assert ended["Status"]["State"] == "SUCCEEDED", ended["Status"]
    listed = _read(deployed, ended["Statistics"]["DataManifestLocation"]).decode().split()
    stored = deployed.client("s3").list_objects_v2(
        Bucket=deployed.cloud.results_bucket, Prefix=f"{target}/"
    )["Contents"]
    bucket = deployed.cloud.results_bucket
    assert sorted(listed) == sorted(f"s3://{bucket}/{item['Key']}" for item in stored)
    assert {path.split("/")[4] for path in listed} == {"part=0", "part=1", "part=2"}
    lines = [line for path in listed for line in _unzip(deployed, path)]
    assert sorted(map(int, lines)) == list(range(500))


def test_an_unload_of_no_rows_names_no_manifest(
    deployed: Deployed, run: Callable[..., Query]
) -> None:
    deployed.upload("few", make_rows(range(5)))
    ended = run(_unload(deployed, _target(), f"{_lines_by(3)} WHERE restaurant_id < 0"))
    assert ended["Status"]["State"] == "SUCCEEDED", ended["Status"]
    assert "DataManifestLocation" not in ended["Statistics"]


def test_a_used_target_is_refused(deployed: Deployed, run: Callable[..., Query]) -> None:
    deployed.upload("few", make_rows(range(5)))
    target = _target()
    run(_unload(deployed, target, _lines_by(3)))
    status = run(_unload(deployed, target, _lines_by(3)))["Status"]
    assert status["State"] == "FAILED"
    assert status["StateChangeReason"].startswith("HIVE_PATH_ALREADY_EXISTS")
    assert (status["AthenaError"]["ErrorCategory"], status["AthenaError"]["Retryable"]) == (
        2,
        False,
    )


@pytest.mark.parametrize(("partitions", "state"), [(100, "SUCCEEDED"), (101, "FAILED")])
def test_a_statement_writes_at_most_100_partitions(
    deployed: Deployed, run: Callable[..., Query], partitions: int, state: str
) -> None:
    deployed.upload("some", make_rows(range(300)))
    status = run(_unload(deployed, _target(), _lines_by(partitions)))["Status"]
    assert status["State"] == state, status
    if state == "FAILED":
        assert "Exceeded limit of 100 open writers" in status["StateChangeReason"]


def test_a_statement_has_at_most_262144_bytes(run: Callable[..., Query]) -> None:
    longest = 262_144 - len("SELECT '' AS umlauts")
    ended = run(f"SELECT '{'ü' * (longest // 2)}' AS umlauts")
    assert ended["Status"]["State"] == "SUCCEEDED", ended["Status"]
    with pytest.raises(ClientError, match="less than or equal to 262144") as refused:
        run(f"SELECT '{'ü' * (longest // 2)}x' AS umlauts")
    assert refused.value.response["Error"]["Code"] == "InvalidRequestException"


def test_a_token_stands_for_one_statement(submit: Callable[..., str]) -> None:
    token = uuid.uuid4().hex
    first = submit("SELECT 1 AS one", ClientRequestToken=token)
    assert submit("SELECT 1 AS one", ClientRequestToken=token) == first
    assert submit("SELECT 1 AS one", ClientRequestToken=uuid.uuid4().hex) != first
    with pytest.raises(ClientError, match="Idempotent parameters do not match") as refused:
        submit("SELECT 2 AS two", ClientRequestToken=token)
    assert refused.value.response["Error"]["Code"] == "InvalidRequestException"


@pytest.mark.parametrize("statement", ["SELECT 1 +", "SELECT no_such_column FROM {table}"])
def test_a_wrong_statement_is_the_users_error(run: Callable[..., Query], statement: str) -> None:
    status = run(statement)["Status"]
    assert status["State"] == "FAILED"
    error = status["AthenaError"]
    assert (error["ErrorCategory"], error["Retryable"]) == (2, False)
    assert error["ErrorMessage"] == status["StateChangeReason"]


def test_an_object_that_is_no_parquet_is_named(
    deployed: Deployed, run: Callable[..., Query]
) -> None:
    deployed.upload("broken", b"these are no forecasts, and this is no Parquet")
    status = run("SELECT count(y_50) AS forecasts FROM {table}")["Status"]
    assert status["State"] == "FAILED"
    assert "forecast/broken.parquet" in status["StateChangeReason"]
    assert status["AthenaError"]["ErrorCategory"] == 2


def test_a_query_is_stopped(
    deployed: Deployed, submit: Callable[..., str], run: Callable[..., Query], athena: Athena
) -> None:
    deployed.upload("many", make_rows(range(20_000)))
    mark = f"endless_{uuid.uuid4().hex}"
    query_id = submit(ENDLESS.replace("count(*)", f"count(*) AS {mark}"))

    def on_trino(column: str) -> list[str]:
        listing = run(
            f"SELECT coalesce({column}, '') FROM system.runtime.queries "
            f"WHERE query LIKE '% AS {mark} %' AND query NOT LIKE '%system.runtime%'"
        )
        results = client.get_query_results(QueryExecutionId=listing["QueryExecutionId"])
        return [row["Data"][0]["VarCharValue"] for row in results["ResultSet"]["Rows"][1:]]

    client = deployed.client("athena")
    eventually(lambda: _describe(deployed, query_id)["Status"]["State"] == "RUNNING")
    with pytest.raises(ClientError, match=r"Query has not yet finished\. Current state: RUNNING"):
        client.get_query_results(QueryExecutionId=query_id)
    if athena != "embedded":
        eventually(lambda: on_trino("state") == ["RUNNING"])
    client.stop_query_execution(QueryExecutionId=query_id)
    ended = eventually(lambda: _ended(deployed, query_id), 10, "the end of the stopped query")
    assert ended["Status"]["State"] == "CANCELLED"
    # It was doing nothing else meanwhile: the engine has really stopped.
    eventually(lambda: "CompletionDateTime" in _describe(deployed, query_id)["Status"], 20)
    assert _describe(deployed, query_id)["Status"]["State"] == "CANCELLED"
    with pytest.raises(ClientError, match="Final query state: CANCELLED"):
        client.get_query_results(QueryExecutionId=query_id)
    if athena != "embedded":
        eventually(lambda: on_trino("error_code") == ["USER_CANCELED"])


def test_results_that_are_read_too_early_are_a_documented_error(
    deployed: Deployed, submit: Callable[..., str]
) -> None:
    deployed.athena_faults({"match": "AS slow", "seconds": 2})
    query_id = submit("SELECT 1 AS slow")
    athena = adapter.Athena(deployed.client("athena"), "primary", "s3://unused/")
    with pytest.raises(QueryFailed, match=r"Query has not yet finished\. Current state: "):
        athena.read_row(query_id)
    eventually(lambda: athena.poll(query_id) is not None)
    assert athena.read_row(query_id) == {"slow": "1"}


def test_a_query_says_what_it_took(
    deployed: Deployed, run: Callable[..., Query], athena: Athena
) -> None:
    # Trino reads files of less than 3 MB whole.
    deployed.upload("wide", [make_row(n, dma_id=secrets.token_hex(1_000)) for n in range(3_000)])
    (listed,) = deployed.client("s3").list_objects_v2(
        Bucket=deployed.cloud.bucket, Prefix="forecast/"
    )["Contents"]
    taken = run("SELECT sum(dc_id) AS total FROM {table}")["Statistics"]
    assert 0 < taken["DataScannedInBytes"] <= listed["Size"]
    if athena != "embedded":
        assert taken["DataScannedInBytes"] < listed["Size"] / 2
    assert 0 < taken["EngineExecutionTimeInMillis"] <= taken["TotalExecutionTimeInMillis"]
    assert run("SELECT 1 AS one")["Statistics"]["DataScannedInBytes"] == 0


def test_a_run_has_each_of_its_objects_read_once_by_each_query(deployed: Deployed) -> None:
    def upload(name: str, first: int) -> None:
        numbers = range(first, first + 1_500)
        deployed.upload(name, [make_row(n, dma_id=secrets.token_hex(25)) for n in numbers])

    def queries() -> set[str]:
        pages = client.get_paginator("list_query_executions").paginate(WorkGroup=workgroup)
        return {query for page in pages for query in page["QueryExecutionIds"]}

    client = deployed.client("athena")
    workgroup = "forecast-sync-dev"
    for number in range(3):
        upload(f"old-{number}", number * 1_000)
    before = queries()
    full = deployed.succeed().output["files"]
    upload("new", 500)
    partial = deployed.succeed().output["files"]
    assert (full["taken_in"], partial["taken_in"], partial["overlapping"]) == (3, 1, 3)
    described = [_describe(deployed, query) for query in queries() - before]
    assert len(described) == 2 * 2
    scanned = sum(query["Statistics"]["DataScannedInBytes"] for query in described)
    # And the lists of these objects, which are texts of some hundred bytes.
    assert scanned <= 2 * (full["bytes"] + partial["bytes"]) + 4_000


def test_values_are_text_as_athena_writes_it(deployed: Deployed, run: Callable[..., Query]) -> None:
    ended = run(
        "SELECT true AS yes, CAST(7 AS bigint) AS seven, CAST(1.5 AS double) AS half, "
        "CAST(2.50 AS decimal(10, 2)) AS price, DATE '1581-12-31' AS day, "
        "TIMESTAMP '2026-11-23 06:00:00.125' AS moment, 'a,b' AS text, CAST(NULL AS varchar) AS no"
    )
    answer = deployed.client("athena").get_query_results(QueryExecutionId=ended["QueryExecutionId"])
    header, row = answer["ResultSet"]["Rows"]
    assert [cell["VarCharValue"] for cell in header["Data"]] == [
        "yes", "seven", "half", "price", "day", "moment", "text", "no"
    ]  # fmt: skip
    assert [cell.get("VarCharValue") for cell in row["Data"]] == [
        "true", "7", "1.5", "2.50", "1581-12-31", "2026-11-23 06:00:00.125", "a,b", None
    ]  # fmt: skip


def _read(deployed: Deployed, location: str) -> bytes:
    bucket, _, key = location.removeprefix("s3://").partition("/")
    content: bytes = deployed.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def _unzip(deployed: Deployed, location: str) -> list[str]:
    return gzip.decompress(_read(deployed, location)).decode().splitlines()
