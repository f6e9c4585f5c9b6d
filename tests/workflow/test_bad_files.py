"""A bad file stops nobody: it is left out with a reason, and the others' rows arrive."""

from __future__ import annotations

import io
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from forecast_sync_cli.client.deployment import Deployment

from tests.lake import SCHEMA, make_row, make_rows, reference, to_parquet
from tests.waiting import eventually
from tests.workflow.deployed import Deployed, Ended

ROWS = make_rows(range(3))

EXTRACT, PROBE = "UNLOAD", "AS longest_reject"
"""Parts of the statements of a run's extract, and of the queries that search for bad files."""


def written(types: dict[str, Any], rows: list[dict[str, Any]] = ROWS, **options: Any) -> bytes:
    """A file in which some columns have another type."""
    schema = SCHEMA
    for name, kind in types.items():
        schema = schema.set(schema.get_field_index(name), pa.field(name, kind))
    changed = [{**row, **{name: None for name, kind in types.items()}} for row in rows]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(changed, schema=schema), sink, **options)
    return sink.getvalue()


def without(name: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS, schema=SCHEMA).drop([name]), sink)
    return sink.getvalue()


class _Keys(pe.KmsClient):  # type: ignore[misc]  # pyarrow has no types
    def wrap_key(self, key_bytes: bytes, _master: str) -> bytes:
        return key_bytes

    def unwrap_key(self, wrapped_key: bytes, _master: str) -> bytes:
        return wrapped_key


def encrypted() -> bytes:
    """Its footer is encrypted too."""
    config = pe.EncryptionConfiguration(
        footer_key="footer", column_keys={"columns": SCHEMA.names}, plaintext_footer=False
    )
    factory = pe.CryptoFactory(lambda _connection: _Keys())
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), config)
    sink = io.BytesIO()
    table = pa.Table.from_pylist(ROWS, schema=SCHEMA)
    with pq.ParquetWriter(sink, SCHEMA, encryption_properties=properties) as writer:
        writer.write_table(table)
    return sink.getvalue()


def with_damaged_page() -> bytes:
    """Its footer is in order, and its first pages are noise."""
    content = to_parquet(make_rows(range(200, 500)))
    return content[:4] + bytes(range(7, 247)) * 2 + content[484:]


def with_damaged_footer() -> bytes:
    content = to_parquet(ROWS)
    size = int.from_bytes(content[-8:-4], "little")
    return content[: -8 - size] + b"\xff" * size + content[-8:]


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "it is empty, 0 bytes"),
    "truncated": (lambda: to_parquet(ROWS)[:900], "isn't a Parquet file"),
    "csv": (lambda: b"restaurant_id,y_50\n1,2.0\n", "isn't a Parquet file"),
    "damaged-footer": (with_damaged_footer, "isn't a Parquet file"),
    "damaged-page": (with_damaged_page, "makes Athena's queries fail, though its footer"),
    "encrypted": (encrypted, "encrypted"),
    "no-state": (lambda: without("state"), "lacks the column state"),
    "text-as-number": (lambda: written({"state": pa.int32()}), "has the column state as"),
    "number-as-text": (lambda: written({"y_50": pa.string()}), "has the column y_50 as"),
    "date-as-text": (lambda: written({"business_date": pa.string()}), "business_date as"),
    "date-as-time": (lambda: written({"business_date": pa.timestamp("us")}), "business_date as"),
    "time-as-date": (lambda: written({"updated_at": pa.date32()}), "updated_at as"),
    "unsigned": (lambda: written({"dc_id": pa.uint64()}), "write signed integers"),
    "list": (lambda: written({"dma_id": pa.list_(pa.string())}), "dma_id"),
    "struct": (lambda: written({"dma_id": pa.struct([("a", pa.string())])}), "dma_id"),
    "null": (lambda: written({"updated_at": pa.null()}), "updated_at as INT32 NULL"),
    "brotli": (lambda: written({}, compression="brotli"), "with BROTLI"),
    "lz4": (lambda: written({}, compression="lz4"), "with LZ4_RAW"),
    "split": (
        lambda: written({}, use_dictionary=False, column_encoding={"dc_id": "BYTE_STREAM_SPLIT"}),
        "BYTE_STREAM_SPLIT",
    ),
    "line\nbreak": (lambda: to_parquet(ROWS), "has a line break in its name"),
    "no//name": (lambda: to_parquet(ROWS), "lies in a folder without a name"),
}


def reasons(deployed: Deployed) -> dict[str, str]:
    """By name, why a file is left out."""
    rows = deployed.query("SELECT key, reason FROM forecast_sync_file WHERE state = 'quarantined'")
    return {key.removeprefix("forecast/").removesuffix(".parquet"): reason for key, reason in rows}


def test_every_kind_of_bad_file_is_left_out_by_name_and_the_good_rows_arrive(
    deployed: Deployed,
) -> None:
    deployed.upload("good", make_rows(range(20)))
    deployed.upload("good too", make_rows(range(20, 40)))
    expected = reference(deployed.files)
    for name, (make, _) in BAD.items():
        deployed.upload(name, make())
    ended = deployed.succeed()
    assert ended.output["quarantined"] == len(BAD)
    assert deployed.table() == expected
    found = reasons(deployed)
    assert found.keys() == BAD.keys()
    assert {name: reason for name, reason in found.items() if BAD[name][1] not in reason} == {}
    again = deployed.succeed()
    assert again.entered.count("Find bad files") == 0, "what was found is known"
    for name in BAD:
        deployed.upload(name, to_parquet([make_row(50)]))
    for name in ("line\nbreak", "no//name"):
        deployed.delete(name)
    assert deployed.succeed().output["quarantined"] == 0
    assert deployed.table() == reference(deployed.files)


@pytest.mark.parametrize("bad", [1, 3])
def test_damaged_pages_are_found_among_many_good_files(deployed: Deployed, bad: int) -> None:
    for number in range(12):
        deployed.upload(f"{number:02}", make_rows(range(number * 10, number * 10 + 10)))
    expected = reference(deployed.files)
    names = {f"bad-{number}" for number in range(bad)}
    for name in names:
        deployed.upload(name, with_damaged_page())
    ended = deployed.succeed()
    assert (ended.output["quarantined"], deployed.table()) == (bad, expected)
    assert reasons(deployed).keys() == names


def test_a_run_of_some_dates_leaves_out_no_file_for_its_other_dates(deployed: Deployed) -> None:
    deployed.upload("good", make_rows(range(20)))
    expected = reference(deployed.files)
    deployed.upload("bad", with_damaged_page())
    day = make_row(1)["business_date"].isoformat()
    ended = deployed.succeed(date_from=day, date_to=day)
    assert reasons(deployed).keys() == {"bad"}
    assert ended.output["quarantined"] == 1
    of_day = {
        key: values for key, values in expected.items() if key[2] == make_row(1)["business_date"]
    }
    assert deployed.table() == of_day


def test_a_file_with_fewer_rows_than_its_footer_says_is_left_out_by_name(
    deployed: Deployed,
) -> None:
    """As if the ledger had been told wrong: no writer makes such a file that an engine reads."""
    deployed.upload("good", make_rows(range(3)))
    deployed.succeed()
    expected = reference(deployed.files)
    deployed.execute(
        "CREATE FUNCTION miscount() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.row_count := 6; RETURN NEW; END';"
        "CREATE TRIGGER miscount BEFORE INSERT ON forecast_sync_file "
        "FOR EACH ROW EXECUTE FUNCTION miscount()"
    )
    deployed.upload("short", make_rows(range(10, 15)))
    ended = deployed.succeed()
    assert (ended.output["quarantined"], deployed.table()) == (1, expected)
    assert reasons(deployed) == {"short": "has 5 rows, and its footer says 6"}


def test_a_damaged_page_of_the_only_new_file_is_held_against_a_loaded_one(
    deployed: Deployed,
) -> None:
    """Or a missing permission would look like a bad file."""
    deployed.upload("bad", with_damaged_page())
    first = deployed.run()
    assert (first.status, first.error) == ("FAILED", "QueryFailed")
    assert "No object that the run reads could be read by itself either" in first.cause
    deployed.upload("good", make_rows(range(3)))
    ended = deployed.redrive(first)
    assert (ended.status, ended.output["quarantined"]) == ("SUCCEEDED", 1)
    deployed.upload("worse", with_damaged_page())
    ended = deployed.succeed()
    assert (ended.output["quarantined"], len(deployed.table())) == (2, 3)


def upload_four(deployed: Deployed) -> None:
    for number in range(4):
        deployed.upload(f"{number}", make_rows(range(number * 10, number * 10 + 10)))


@pytest.mark.parametrize(
    "fault",
    [
        {"state": "FAILED", "retryable": True, "reason": "the engine died", "times": 4},
        {"state": "FAILED", "reason": "the engine broke", "times": 2},
        {"state": "CANCELLED", "reason": "stopped", "times": 2},
    ],
    ids=["dies", "breaks", "is stopped"],
)
def test_an_engine_that_fails_the_search_too_leaves_out_no_file_and_a_redrive_heals(
    deployed: Deployed, fault: dict[str, Any]
) -> None:
    """A run comes to the search exactly when the engine has died three times."""
    upload_four(deployed)
    died = {"state": "FAILED", "retryable": True, "reason": "the engine died", "times": 3}
    deployed.athena_faults({"match": EXTRACT, **died}, {"match": PROBE, **fault})
    failed = deployed.run()
    assert (failed.status, failed.error) == ("FAILED", "QueryFailed"), failed.output
    assert failed.entered[-1] == "Find bad files"
    assert "the engine died. It was submitted 3 times." in failed.cause
    assert "\n" not in failed.cause.replace("\\n", "\n").partition("stackTrace")[0]
    assert reasons(deployed) == {}
    deployed.athena_faults()
    heal(deployed, failed)


def heal(deployed: Deployed, failed: Ended) -> None:
    """Redrive; every row of every file arrives."""
    ended = deployed.redrive(failed)
    assert (ended.status, ended.output["quarantined"]) == ("SUCCEEDED", 0), ended.cause
    assert deployed.table() == reference(deployed.files)


@pytest.mark.parametrize("match", [EXTRACT, "AS source_rows"], ids=["extract", "profile"])
def test_a_query_that_somebody_stops_starts_no_search_and_a_redrive_submits_it_again(
    deployed: Deployed, match: str
) -> None:
    upload_four(deployed)
    with deployed.held_query(match):
        arn = deployed.start()
        stop_query(deployed, match)
        failed = deployed.wait(arn)
    assert (failed.status, failed.error) == ("FAILED", "QueryFailed")
    assert "Find bad files" not in failed.entered
    assert "was cancelled: " in failed.cause
    assert "Somebody stopped it, or it read more than the workgroup lets" in failed.cause
    heal(deployed, failed)


def stop_query(deployed: Deployed, match: str) -> None:
    """As a person does in Athena's console, once a query with this text runs."""
    athena = deployed.client("athena")

    def find() -> str | None:
        # The local Athena lists the latest last.
        latest = athena.list_query_executions(WorkGroup=deployed.name)["QueryExecutionIds"][-50:]
        for query_id in latest:
            query = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            if match in query["Query"] and query["Status"]["State"] == "RUNNING":
                return str(query_id)
        return None

    athena.stop_query_execution(QueryExecutionId=eventually(find))


def test_a_probe_that_somebody_stops_ends_the_search_and_a_redrive_finds_the_bad_file(
    deployed: Deployed,
) -> None:
    upload_four(deployed)
    expected = reference(deployed.files)
    deployed.upload("bad", with_damaged_page())
    with deployed.held_query(PROBE):
        arn = deployed.start()
        stop_query(deployed, PROBE)
        failed = deployed.wait(arn)
    assert (failed.status, failed.error) == ("FAILED", "QueryFailed")
    assert "was cancelled. Redrive to search again." in failed.cause
    assert reasons(deployed) == {}
    ended = deployed.redrive(failed)
    assert (ended.status, ended.output["quarantined"]) == ("SUCCEEDED", 1), ended.cause
    assert reasons(deployed).keys() == {"bad"}
    assert deployed.table() == expected


def test_a_bad_file_whose_rows_were_loaded_is_accepted(deployed: Deployed) -> None:
    deployed.upload("older", make_rows(range(2), y_50=1.0))
    deployed.upload("newer", make_rows(range(1), y_50=2.0, updated_at=make_row(0)["updated_at"]))
    deployed.succeed()
    deployed.upload("newer", b"")
    failed = deployed.run()
    assert (failed.status, failed.error) == ("FAILED", "SourceInvalid")
    refused = decide(deployed, "accept", "forecast/older.parquet")
    assert refused[0] == HTTPStatus.CONFLICT
    assert "forecast/older.parquet is loaded, and only quarantined files can be" in refused[1]
    assert decide(deployed, "accept", "forecast/newer.parquet")[0] == HTTPStatus.OK
    ended = deployed.redrive(failed)
    assert ended.status == "SUCCEEDED", ended.cause
    del deployed.files[next(path for path in deployed.files if "newer" in path)]
    assert deployed.table() == reference(deployed.files), "the older rows win"
    ((by, at),) = deployed.query(
        "SELECT accepted_by, accepted_at FROM forecast_sync_file WHERE key LIKE '%newer%'"
    )
    assert by.startswith("arn:")
    assert at is not None
    assert decide(deployed, "retry", "forecast/newer.parquet")[0] == HTTPStatus.OK
    ended = deployed.run()
    assert ended.output["quarantined"] == 1
    ((by,),) = deployed.query("SELECT retried_by FROM forecast_sync_file WHERE key LIKE '%newer%'")
    assert by.startswith("arn:")


def decide(deployed: Deployed, decision: str, key: str) -> tuple[int, str]:
    """The API's answer: its status and the reason of a refusal."""
    cloud = deployed.cloud
    operator = Deployment("dev", cloud.session(), cloud.endpoint_url, cloud.state_machine_arn)
    answer = operator.api.call("POST", f"/files/{decision}", body={"keys": [key]})
    return answer.status, answer.reason
