"""The probe's three forms: they parse, and the line is what the values say."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import cast

import pytest
import sqlglot
from forecast_sync.adapters.glue import Catalog
from forecast_sync.adapters.postgres import Connection
from forecast_sync.adapters.s3 import Storage
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Window
from forecast_sync.diagnostics.inspect import InspectRequest, inspect
from forecast_sync.diagnostics.probe import (
    PROBED_AT,
    Statements,
    build_empty,
    build_one,
    build_probe,
    build_sample,
    expected_line,
    expected_values,
)
from forecast_sync.extract.athena_sql import Dates, build_extract, build_lake, build_profile
from forecast_sync.tables import known_tables, load_table, parse_table
from forecast_sync.target.differences import find_differences
from localcloud.athena.embedded import fetch, open_database
from localcloud.athena.trino_dialect import parse, transpile
from localcloud.athena.unload import parse_unload
from pydantic import ValidationError

from tests.builders import Files, make_run

TABLE = load_table()


def test_the_line_holds_all_that_gets_lost_elsewhere() -> None:
    fields = expected_line(TABLE).split("\t")
    assert fields[3] == "\\\\\\t\\n\\r\\\\N é🍕 'quoted'"
    assert fields[6:] == ["1.01", "1.01", "\\N"]
    assert len(fields) == len(TABLE.names)


SETTINGS = Settings(environment="dev", athena_db_name="d")
SAMPLE = {
    "path": "s3://l/it's",
    "modified": "2026-11-23T06:00:00.000Z",
    "day": "2026-12-01",
    "key_0": "it's",
    "key_1": "7",
    "key_2": "2026-12-01",
}


@pytest.mark.parametrize("name", known_tables())
def test_the_queries_parse_as_athena(name: str) -> None:
    table = load_table(name)
    sqlglot.parse_one(build_sample(table, SETTINGS, "run.0.0"), read="athena")
    for statements in (
        build_empty(table, SETTINGS, "s3://b/it's/", "run.0.0"),
        build_one(table, SETTINGS, "s3://b/it's/", SAMPLE, "run.0.0"),
        build_probe(table, SETTINGS, "s3://b/it's/"),
    ):
        sqlglot.parse_one(statements.profile, read="athena")
        assert statements.extract.count("'s3://b/it''s/'") == 1
        unloaded = statements.extract
        query = unloaded[unloaded.index("(") + 1 : unloaded.rindex(")\nTO")]
        sqlglot.parse_one(query, read="athena")


@pytest.mark.parametrize("name", known_tables())
def test_doctor_s_statements_are_a_run_s_but_for_what_they_read(name: str) -> None:
    """Take the query for the rows out, and nothing differs."""
    table = load_table(name)
    window, prefix = Window(high=PROBED_AT), "s3://b/p/"
    ruleless = table.model_copy(update={"reject": (), "expect": ()})
    lake = build_lake(ruleless, SETTINGS, Dates(), window)
    run = Statements(
        build_extract(ruleless, SETTINGS, make_run(), window, prefix, 1),
        build_profile(ruleless, SETTINGS, make_run(), window),
    )
    probe = build_probe(table, SETTINGS, prefix)
    for ours, theirs in zip(probe, run, strict=True):
        before, after = theirs.split(lake)
        assert ours.startswith(before)
        assert ours.endswith(after)


def test_postgres_reads_the_line_and_a_broken_one_shows(connection: Connection) -> None:
    files = Files()
    line = expected_line(TABLE)
    files.add("good", [line.encode() + b"\n"])
    files.add("bad", [line.replace("\\\\N", "\\N").encode() + b"\n"])
    question = {"about": "probe", "bucket": "b", "keys": ["good", "bad"]}
    request = InspectRequest.model_validate({"question": question})
    good, bad = inspect(
        connection, cast("Storage", files), cast("Catalog", None), TABLE, SETTINGS, request
    )["rows"]
    assert good["dma_id"] == "\\\t\n\r\\N é🍕 'quoted'"
    assert (good["y_50"], good["y_95"]) == ("1.01", None)
    assert bad["dma_id"] != good["dma_id"]
    assert connection.execute("SELECT to_regclass('forecast_sync_probe')").fetchone() == (None,)


def test_differences_name_column_expectation_and_finding(connection: Connection) -> None:
    assert find_differences(connection, TABLE) == []
    connection.execute("ALTER TABLE forecast_data ADD note text NOT NULL, DROP dma_id")
    assert find_differences(connection, TABLE) == [
        {"column": "dma_id", "expected": "character varying(50)", "found": None},
        {"column": "note", "expected": "a default, or no NOT NULL", "found": "text NOT NULL"},
    ]


def test_an_unknown_question_is_refused() -> None:
    with pytest.raises(ValidationError):
        InspectRequest.model_validate({"question": {"about": "everything"}})


def test_each_type_s_value_is_one_line_in_all_three_forms(connection: Connection) -> None:
    """As the embedded engine writes it, as the line says, and as Postgres reads and sums it."""
    file = Path(__file__).parents[1] / "workflow/every_type.toml"
    table = parse_table(file.read_text(), file.name)
    line = expected_line(table)
    unload = parse_unload(build_probe(table, SETTINGS, "s3://b/p/").extract)
    assert unload is not None
    with open_database() as engine:
        rows = fetch(engine, transpile(parse(unload.query)), Path()).rows
    assert [written for written, *_ in rows] == [line]
    files = Files()
    files.add("all", [line.encode() + b"\n"])
    question = {"about": "probe", "bucket": "b", "keys": ["all"]}
    request = InspectRequest.model_validate({"question": question})
    answer = inspect(
        connection, cast("Storage", files), cast("Catalog", None), table, SETTINGS, request
    )
    assert answer["rows"] == [expected_values(table)]
    digest = hashlib.md5(line.encode()).hexdigest()
    assert answer["hashes"] == [str(int(digest[:15], 16))]
