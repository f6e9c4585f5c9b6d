"""What ``tables init`` proposes for a Parquet file, and what it asks for."""

from __future__ import annotations

import re
import tomllib
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forecast_sync.tables import Table, parse_table
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.table_lint import find_sql_mistakes
from forecast_sync_cli.table_proposal import Answers, propose
from forecast_sync_cli.terminal import Terminal

from tests.unit.test_terminal import EVIL

DAY, TIME = date(2026, 1, 31), datetime.fromisoformat("2026-01-31T06:00:00")


def refuse(question: str, option: str, default: str | None) -> str:
    raise AssertionError(f"asked {question} {option} {default}")


def written(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    path = folder / "part-0.parquet"
    pq.write_table(pa.table(columns), path, **options)
    return path


def proposed(file: Path, key: str | None = "store,day", **answers: str) -> tuple[str, Table]:
    """The text of a proposal, which must be a sound table file, and the table."""
    text = propose(file, Answers(key, **answers), refuse).write()
    table = parse_table(text, "proposed.toml")
    assert list(find_sql_mistakes(table)) == []
    return text, table


BASE = {"store": pa.array([1], pa.int32()), "day": pa.array([DAY])}


@pytest.mark.parametrize(
    ("values", "source_type", "target_type"),
    [
        (pa.array([1], pa.int8()), "int", "integer"),
        (pa.array([1], pa.uint16()), "int", "integer"),
        (pa.array([1], pa.int64()), "bigint", "bigint"),
        (pa.array([True]), "boolean", "boolean"),
        (pa.array([DAY]), "date", "date"),
        (pa.array(["a"]), "string", "text"),
        (pa.array(["a"], pa.large_string()), "string", "text"),
        (pa.array(["a"]).dictionary_encode(), "string", "text"),
        (pa.array([b"a"]), "string", "text"),
        (pa.array([TIME], pa.timestamp("ns")), "timestamp", "timestamp"),
        (pa.array([TIME], pa.timestamp("ms", "UTC")), "timestamp", "timestamptz"),
        (pa.array([Decimal("1.5")], pa.decimal128(20, 3)), "decimal(20,3)", "numeric(20,3)"),
        (pa.array([1.5, None]), "double", "numeric(12,2)"),
        (pa.array([1.5, float("nan")]), "double", "double"),
        (pa.array([1.5, float("-inf")]), "double", "double"),
        (pa.array([0.1 + 0.2, 1.2345]), "double", "numeric(14,4)"),
        (pa.array([0.123456]), "double", "numeric(16,6)"),
        (pa.array([1.5, 0.123456789]), "double", "double"),
        (pa.array([1e14]), "double", "numeric(17,2)"),
        (pa.array([1e40]), "double", "double"),
        (pa.array([0.1], pa.float32()), "double", "numeric(12,2)"),
    ],
    ids=str,
)
def test_a_column_gets_the_types_that_hold_its_values(
    tmp_path: Path, values: Any, source_type: str, target_type: str
) -> None:
    count = len(values)
    columns = {name: pa.chunked_array([array] * count) for name, array in BASE.items()}
    _, table = proposed(written(tmp_path, {**columns, "what": values}))
    assert table.source.columns["what"] == source_type
    assert {column.name: column.type for column in table.column}["what"] == target_type


def test_folders_that_a_file_is_in_are_columns(tmp_path: Path) -> None:
    folder = tmp_path / "sales/day=2026-01-31/Region=a%2Fb/month=07/store=9/x=y/_x"
    folder.mkdir(parents=True)
    file = folder / "part.parquet"
    pq.write_table(pa.table({name: array for name, array in BASE.items() if name != "day"}), file)
    text, table = proposed(file)
    assert table.source.partitions == {
        "day": "date",
        "region": "string",
        "month": "bigint",
        "x": "string",
    }
    assert table.source.stored == {"store": "int"}
    assert "# in the folder: a/b, in this file's path" in text
    assert table.target.key == ("store", "day")


@pytest.mark.parametrize(
    ("name", "values", "options", "words"),
    [
        ("what", pa.array([1], pa.uint32()), {}, "Athena reads UINT_32 as signed"),
        ("what", pa.array([None], pa.null()), {}, "this file has only NULL in it"),
        ("what", pa.array([[1]]), {}, "it is nested"),
        ("what", pa.array([1], pa.time64("us")), {}, "Athena has no type for INT64 TIME"),
        ("a b", pa.array([1]), {}, "rename it in the files"),
        ("what", pa.array([1]), {"compression": {"what": "brotli"}}, "Athena can't read BROTLI"),
    ],
)
def test_what_athena_can_t_read_is_left_out_with_the_reason(
    tmp_path: Path, name: str, values: Any, options: dict[str, Any], words: str
) -> None:
    file = written(tmp_path, {**BASE, name: values}, **options)
    text, table = proposed(file)
    assert set(table.source.columns) == {"store", "day"}
    assert f"# {name} is left out: " in text
    assert words in text


def test_every_line_has_a_comment_and_the_first_one_is_for_editors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = written(tmp_path, {**BASE, "units": [1.5], "updated_at": [TIME]})
    text, _ = proposed(file)
    first, *lines = text.splitlines()
    assert first.startswith("#:schema file:///")
    assert first.endswith("table.schema.json")
    assert [line for line in lines if line and "# " not in line] == []


def test_a_checkout_s_schema_is_named_beside_the_table_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/table.schema.json").touch()
    monkeypatch.chdir(tmp_path)
    text, _ = proposed(written(tmp_path, BASE))
    assert text.splitlines()[0] == "#:schema ./table.schema.json"


@pytest.mark.parametrize(
    ("columns", "newest"),
    [
        ({"created_at2": [TIME], "updated_at": [TIME], "shipped_at": [TIME]}, "updated_at"),
        ({"exported_at": [TIME], "ordered": [TIME]}, "exported_at"),
        ({"updated_ts": [1_700_000_000_000], "seen": [TIME]}, "updated_ts"),
        ({"seen": [TIME]}, "seen"),
        ({"units": [1]}, '"$file_modified_time"'),
    ],
)
def test_what_makes_a_row_newer_is_proposed(
    tmp_path: Path, columns: dict[str, Any], newest: str
) -> None:
    _, table = proposed(written(tmp_path, {**BASE, **columns}))
    assert table.source.newest == newest


def test_a_table_is_named_like_the_lake_s_folder(tmp_path: Path) -> None:
    folder = tmp_path / "Store Sales" / "day=2026-01-31" / "region=eu"
    folder.mkdir(parents=True)
    _, table = proposed(written(folder, BASE))
    assert table.target.table == "store_sales"
    _, table = proposed(written(folder, BASE), target="7up")
    assert table.target.table == "t_7up"


def test_names_that_the_sync_needs_are_given_to_other_columns(tmp_path: Path) -> None:
    file = written(
        tmp_path, {"id": [1], "created_at": [TIME], "order": ["x"], "day": [DAY], "ctid": [1]}
    )
    _, table = proposed(file, key="id,day,order")
    named = {column.name: column.source for column in table.column}
    assert named["source_id"] == "id"
    assert named["source_created_at"] == "created_at"
    assert table.target.key == ("source_id", "day", "order")
    assert table.source.newest == "created_at"


@pytest.mark.parametrize(
    "values", [pa.array([TIME]), pa.array(["2026-01-31"])], ids=["time", "text"]
)
def test_a_date_is_made_of_a_time_or_a_text(tmp_path: Path, values: Any) -> None:
    file = written(tmp_path, {"store": [1], "sold": values})
    _, table = proposed(file, key="store", date="sold")
    assert table.target.key == ("store", "sold")
    [column] = [column for column in table.column if column.name == "sold"]
    assert (column.type, column.source) == ("date", "try_cast(sold AS date)")


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (
            Answers("stor,day"),
            "--key names stor, which isn't one of the file's columns store, day, units. Did you",
        ),
        (
            Answers("store", "dya"),
            "--date names dya, which isn't one of the file's columns store, day, units. Did y",
        ),
        (Answers("store", "units"), "--date units is bigint, expected a date, a timestamp or"),
        (
            Answers("store,day", newest="unit"),
            "--newest names unit, which isn't one of the file's columns",
        ),
        (Answers(" , "), "--key names no column: expected some of store, day"),
    ],
)
def test_an_answer_that_doesn_t_fit_is_refused(
    tmp_path: Path, answers: Answers, words: str
) -> None:
    file = written(tmp_path, {**BASE, "units": [1]})
    with pytest.raises(UserError, match="^" + re.escape(words)):
        propose(file, answers, refuse)


def test_it_asks_for_what_it_can_t_know(tmp_path: Path) -> None:
    file = written(tmp_path, {"a": [DAY], "b": [DAY], "x": [TIME], "y": [TIME], "shop": [1]})
    replies = {"--key a,b": "shop, a, b", "--date NAME": "b", "--newest x": "y"}
    asked: list[tuple[str, str | None]] = []

    def ask(question: str, option: str, default: str | None) -> str:
        asked.append((question, default))
        return replies[option]

    proposal = propose(file, Answers(), ask)
    assert (proposal.key, proposal.date, proposal.newest) == (("shop", "a", "b"), "b", "y")
    assert asked == [
        ("Which columns identify a row (a, b, x, y, shop)?", None),
        ("Which date of the key bounds backfills and reports (a, b)?", None),
        ("Which column says which of two rows with one key is newer (x, y)?", None),
    ]


def test_what_isn_t_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("store,day")
    with pytest.raises(UserError, match=r"a\.parquet isn't a Parquet file: "):
        propose(tmp_path / "a.parquet", Answers("a"), refuse)
    with pytest.raises(UserError, match=r"b\.parquet: No such file"):
        propose(tmp_path / "b.parquet", Answers("a"), refuse)


def test_hostile_names_can_t_write_lines_of_the_file(tmp_path: Path) -> None:
    evil = EVIL.encode("utf-8", "ignore").decode()
    name = f'{evil}\n[target]\ntable = "forged"'
    file = written(tmp_path, {**BASE, name: [1]})
    text, table = proposed(file)
    assert table.target.table != "forged"
    Terminal().document(text, "it")


def test_a_proposal_of_many_columns_is_valid(tmp_path: Path) -> None:
    columns = {f"c{number}": [number] for number in range(300)}
    text, table = proposed(written(tmp_path, {**BASE, **columns}))
    assert len(table.column) == 302
    assert tomllib.loads(text)["report"]["by"] == ["day"]


def test_a_key_that_athena_can_t_read_says_so(tmp_path: Path) -> None:
    ids = pa.array([b"0123456789abcdef"], pa.binary(16))
    file = written(tmp_path, {**BASE, "meter": ids})
    with pytest.raises(UserError, match="--key names meter, but meter is left out: Athena has no"):
        propose(file, Answers("meter,day"), refuse)
