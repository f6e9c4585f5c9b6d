"""Folders like ``day=2026-01-31/region=eu/`` give columns, as each writer names them."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from localcloud.protocol import Athena

from tests.e2e.cli import as_json
from tests.workflow.deployed import PREFIX, Deployed
from tests.workflow.test_types import running_table

TABLE_FILE = """
[target]
table = "sales"
key = ["store", "day"]
written_at = "synced_at"

[source]
date = "day"
newest = "updated_at"
prefix = "forecast/"

[source.columns]
day = {type = "date", partition = true}
region = {type = "string", partition = true}
hour = {type = "tinyint", partition = true}
store = "int"
units = "bigint"
note = {type = "string", optional = true}
updated_at = "timestamp"

[[column]]
name = "store"
type = "integer"
required = true

[[column]]
name = "day"
type = "date"
required = true

[[column]]
name = "region"
type = "text"

[[column]]
name = "hour"
type = "smallint"

[[column]]
name = "units"
type = "bigint"

[[column]]
name = "note"
type = "text"

[report]
by = ["region"]
"""

REGIONS = [
    "eu",
    "north america",
    "ü/ö",
    "a=b",
    "50%",
    "%2F",
    "+",
    "it's",
    'say "hi"',
    "#?&*:",
    None,
]
FIRST = date(2026, 1, 1)
MORNING = datetime.fromisoformat("2026-02-01T06:00:00")
FOLDERS = ("day", "region", "hour")
SPECIAL = set("\"#%'*/:=?\\\x7f{[]^") | set(map(chr, range(1, 32)))
"""What Spark and Hive escape in a folder's name; everything else stays as it is."""

Row = dict[str, Any]
STORED = pa.schema(
    [("store", pa.int32()), ("units", pa.int64()), ("updated_at", pa.timestamp("us"))]
)
WHOLE = pa.schema([*STORED, ("day", pa.date32()), ("region", pa.string()), ("hour", pa.int32())])


def sale(number: int, **changes: Any) -> Row:
    """A row whose number makes its key and its folders."""
    return {
        "store": number,
        "units": number * 3,
        "updated_at": MORNING,
        "day": FIRST + timedelta(days=number % 4),
        "region": REGIONS[number % len(REGIONS)],
        "hour": None if number % 5 == 0 else number % 24,
        **changes,
    }


def by_spark(rows: list[Row], folder: Path) -> None:
    """As Spark and Hive name folders; neither runs here, so their rule is written down above."""
    for row in rows:
        parts = [f"{name}={_spark(row[name])}" for name in FOLDERS]
        path = folder.joinpath(*parts, f"part-{row['store']:05}-c000.snappy.parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist([row], schema=STORED), path)


def _spark(value: Any) -> str:
    if value is None:
        return "__HIVE_DEFAULT_PARTITION__"
    return "".join(f"%{ord(c):02X}" if c in SPECIAL else c for c in str(value))


def by_pyarrow(rows: list[Row], folder: Path) -> None:
    table = pa.Table.from_pylist(rows, schema=WHOLE)
    schema = pa.schema([WHOLE.field(name) for name in FOLDERS])
    partitioning = ds.partitioning(schema, flavor="hive")
    ds.write_dataset(table, folder, format="parquet", partitioning=partitioning)


def by_duckdb(rows: list[Row], folder: Path) -> None:
    table = pa.Table.from_pylist(rows, schema=WHOLE)
    with duckdb.connect() as connection:
        connection.register("rows", table)
        options = "FORMAT parquet, PARTITION_BY (day, region, hour)"
        connection.execute(f"COPY (SELECT * FROM rows) TO '{folder}' ({options})")


def by_duckdb_with_columns(rows: list[Row], folder: Path) -> None:
    """The files have the folders' columns too."""
    table = pa.Table.from_pylist(rows, schema=WHOLE)
    with duckdb.connect() as connection:
        connection.register("rows", table)
        options = "FORMAT parquet, PARTITION_BY (day, region, hour), WRITE_PARTITION_COLUMNS true"
        connection.execute(f"COPY (SELECT * FROM rows) TO '{folder}' ({options})")


WRITERS: dict[str, Callable[[list[Row], Path], None]] = {
    "spark": by_spark,
    "pyarrow": by_pyarrow,
    "duckdb": by_duckdb,
    "duckdb, columns in the files too": by_duckdb_with_columns,
}


@pytest.fixture(scope="module")
def sales(athena: Athena) -> Iterator[Deployed]:
    with running_table("sales", TABLE_FILE, athena) as deployed:
        yield deployed


@pytest.fixture
def emptied(sales: Deployed) -> Deployed:
    sales.reset()
    sales.execute("DROP TABLE IF EXISTS sales")
    return sales


def put(deployed: Deployed, folder: Path) -> list[str]:
    """Upload a folder's files under their names; the keys."""
    keys = []
    for path in sorted(folder.rglob("*.parquet")):
        keys.append(f"{PREFIX}{path.relative_to(folder).as_posix()}")
        body = path.read_bytes()
        deployed.client("s3").put_object(Bucket=deployed.cloud.bucket, Key=keys[-1], Body=body)
    return keys


def put_one(deployed: Deployed, key: str, *rows: Row, schema: pa.Schema = STORED) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), buffer)
    name = f"{PREFIX}{key}"
    deployed.client("s3").put_object(Bucket=deployed.cloud.bucket, Key=name, Body=buffer.getvalue())


def stored(deployed: Deployed) -> list[tuple[Any, ...]]:
    return deployed.query("SELECT store, day, region, hour, units FROM sales ORDER BY store")


def expected(rows: list[Row]) -> list[tuple[Any, ...]]:
    names = ("store", "day", "region", "hour", "units")
    return [tuple(row[name] for name in names) for row in sorted(rows, key=lambda r: r["store"])]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_folder_s_values_are_columns(emptied: Deployed, writer: str, tmp_path: Path) -> None:
    load_folders(emptied, WRITERS[writer], tmp_path)


def load_folders(
    emptied: Deployed, write: Callable[[list[Row], Path], None], tmp_path: Path
) -> None:
    """Load what a writer makes, and then a later file in two of the folders."""
    rows = [sale(number) for number in range(1, 23)]
    write(rows, tmp_path / "lake")
    keys = put(emptied, tmp_path / "lake")
    ended = emptied.succeed()
    assert emptied.query("SELECT key, reason FROM forecast_sync_file WHERE state <> 'loaded'") == []
    assert stored(emptied) == expected(rows)
    assert ended.counts["good"] == len(rows)
    files = emptied.query("SELECT count(*) FROM forecast_sync_file WHERE state = 'loaded'")
    assert files == [(len(keys),)]

    # One more file of a day makes the run read that day's folders only.
    days = emptied.query("SELECT DISTINCT first_date, last_date FROM forecast_sync_file")
    assert {first for first, last in days if first == last} == {row["day"] for row in rows}
    shutil.rmtree(tmp_path / "lake")
    later = [sale(number, updated_at=MORNING + timedelta(hours=1), units=-1) for number in (5, 9)]
    write(later, tmp_path / "lake")
    for path in sorted((tmp_path / "lake").rglob("*.parquet")):
        path.rename(path.with_name(f"later-{path.name}"))
    put(emptied, tmp_path / "lake")
    again = emptied.succeed()
    changed = {row["store"]: row for row in later}
    assert stored(emptied) == expected([changed.get(row["store"], row) for row in rows])
    assert again.counts["updated"] == 2
    assert again.counts["candidates"] <= 4
    assert emptied.succeed(sync_type="full").changed == (0, 0, len(rows))


def bad(deployed: Deployed) -> dict[str, str]:
    rows = deployed.query(
        "SELECT key, reason FROM forecast_sync_file WHERE state = 'quarantined' ORDER BY key"
    )
    return {key.removeprefix(PREFIX): reason for key, reason in rows}


def test_a_file_that_disagrees_with_its_folder_is_named(emptied: Deployed) -> None:
    put_one(emptied, "day=2026-01-01/region=eu/hour=1/good.parquet", sale(1))
    folder = "day=2026-01-01/region=eu/hour=1"
    own = sale(2, day=FIRST, region="eu", hour=1)
    put_one(emptied, f"{folder}/agrees.parquet", own, schema=WHOLE)
    put_one(emptied, f"{folder}/day.parquet", {**own, "day": date(2026, 1, 2)}, schema=WHOLE)
    put_one(emptied, f"{folder}/region.parquet", {**own, "region": "us"}, schema=WHOLE)
    put_one(emptied, f"{folder}/null.parquet", own, {**own, "hour": None}, schema=WHOLE)
    null = "day=2026-01-01/region=__HIVE_DEFAULT_PARTITION__/hour=1/null.parquet"
    put_one(emptied, null, own, schema=WHOLE)
    ended = emptied.succeed()
    assert ended.output["quarantined"] == 4
    reasons = bad(emptied)
    assert reasons[f"{folder}/day.parquet"] == (
        "has the column day too, with the value 2026-01-02, but is in the folder day=2026-01-01: "
        "move it to its value's folder, or leave the column out"
    )
    assert "value us, but is in the folder region=eu" in reasons[f"{folder}/region.parquet"]
    assert "value NULL, but is in the folder hour=1" in reasons[f"{folder}/null.parquet"]
    assert "has the column region too, with the value eu" in reasons[null]
    assert [row[0] for row in stored(emptied)] == [1, 2]


def test_a_path_that_doesn_t_give_a_column_is_named(emptied: Deployed) -> None:
    put_one(emptied, "Day=2026-01-01/x/REGION=eu/hour=01/good.parquet", sale(1))
    for key in (
        "day=2026-01-01/hour=1/a.parquet",
        "day=2026-01-32/region=eu/hour=1/b.parquet",
        "day=2026-01-01/region=eu/hour=one/c.parquet",
        "day=2026-01-01/region=eu/region=us/hour=1/d.parquet",
        "day=2026-01-01/region=%FF/hour=1/e.parquet",
        "day=2026-01-01/region=%5CN/hour=1/f.parquet",
    ):
        put_one(emptied, key, sale(2))
    emptied.succeed()
    assert list(bad(emptied).values()) == [
        "lacks the folder region= (string) in its path: move it into one",
        "has the folder region=\\N, which Athena takes for NULL: rename it",
        "has the folder 'region=%FF', which isn't UTF-8: rename it",
        "has the folder hour=one, expected tinyint: rename it",
        "has two folders region=: leave one",
        "has the folder day=2026-01-32, expected date, like 2026-01-31: rename it",
    ]
    assert stored(emptied) == [(1, FIRST, "eu", 1, 3)]


def test_a_row_without_a_date_in_its_folder_is_a_reject(emptied: Deployed) -> None:
    put_one(emptied, "day=2026-01-01/region=eu/hour=1/a.parquet", sale(1))
    put_one(emptied, "day=__HIVE_DEFAULT_PARTITION__/region=eu/hour=1/b.parquet", sale(2))
    ended = emptied.succeed()
    assert (ended.counts["good"], ended.counts["rejected"]) == (1, 1)
    assert emptied.query("SELECT reason FROM forecast_sync_rejects") == [("day is NULL",)]


def test_a_large_hour_is_a_reject_and_not_a_failure(emptied: Deployed) -> None:
    put_one(emptied, "day=2026-01-01/region=/hour=40000/a.parquet", sale(1))
    put_one(emptied, "day=2026-01-01/region=/hour=-7/b.parquet", sale(2))
    ended = emptied.succeed()
    assert (ended.counts["good"], ended.counts["rejected"]) == (1, 1)
    assert stored(emptied) == [(2, FIRST, None, -7, 6)]


def test_bounds_of_dates_are_those_of_folders(emptied: Deployed) -> None:
    for number in range(1, 9):
        row = sale(number, region="eu", hour=1)
        put_one(emptied, f"day={row['day']}/region=eu/hour=1/{number}.parquet", row)
    only = str(FIRST + timedelta(days=1))
    ended = emptied.succeed(sync_type="full", date_from=only, date_to=only)
    assert ended.counts["window_rows"] == 2
    assert {row[1] for row in stored(emptied)} == {date.fromisoformat(only)}


def test_an_optional_column_may_be_missing_and_comes_with_later_files(emptied: Deployed) -> None:
    put_one(emptied, "day=2026-01-01/region=eu/hour=1/a.parquet", sale(1))
    emptied.succeed()
    assert emptied.query("SELECT store, note FROM sales") == [(1, None)]
    with_note = pa.schema([*STORED, ("note", pa.string())])
    put_one(
        emptied,
        "day=2026-01-02/region=eu/hour=1/b.parquet",
        sale(2, note="new"),
        schema=with_note,
    )
    emptied.succeed()
    assert emptied.query("SELECT store, note FROM sales ORDER BY 1") == [(1, None), (2, "new")]


def test_a_partitioned_table_in_glue_whose_folders_aren_t_registered_loses_nothing(
    emptied: Deployed,
) -> None:
    """As a crawler has made it once; no query of a run looks at it."""
    glue, where = emptied.client("glue"), {"DatabaseName": "forecast_dev"}
    existing = glue.get_table(**where, Name="sales")["Table"]
    foreign = {name: existing[name] for name in ("Name", "TableType", "StorageDescriptor")}
    foreign["Parameters"] = {"CrawlerSchemaSerializerVersion": "1.0"}
    foreign["PartitionKeys"] = existing["PartitionKeys"]
    glue.update_table(**where, TableInput=foreign)
    rows = [sale(number, region="eu", hour=2) for number in range(1, 9)]
    for row in rows:
        put_one(emptied, f"day={row['day']}/region=eu/hour=2/{row['store']}.parquet", row)
    dry = emptied.succeed(dry_run=True)
    assert dry.counts["inserted"] == len(rows)
    emptied.succeed()
    assert stored(emptied) == expected(rows)
    for options in ((), ("--now",)):
        compared = as_json("diff", *options, code=0, **emptied.cloud.variables)
        assert (compared["equal"], compared["lake_rows"]) == (True, len(rows)), options
    checks = as_json("doctor", code=1, **emptied.cloud.variables)["checks"]
    found = {item["check"]: item for item in checks}
    wrong = [name for name, item in found.items() if item["status"] not in ("ok", "advice")]
    assert wrong == ["uploads"], "these tests have turned them off"
    assert found["declared table"]["found"].endswith("7 columns as in the table file")
    assert "over a row of s3://" in found["queries"]["found"]
    assert found["modified time"]["found"].endswith("is S3's LastModified")
