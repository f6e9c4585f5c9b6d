"""The probe's three forms: they parse, and the line is what the values say."""

from __future__ import annotations

import pytest
import sqlglot
from forecast_sync.adapters.postgres import Connection
from forecast_sync.diagnostics.inspect import InspectRequest, inspect
from forecast_sync.diagnostics.probe import build_probe_select, build_probe_unload, expected_line
from forecast_sync.tables import load_table
from forecast_sync.target.differences import find_differences
from pydantic import ValidationError

from tests.builders import Files

TABLE = load_table()


def test_the_line_holds_all_that_gets_lost_elsewhere() -> None:
    fields = expected_line(TABLE).split("\t")
    assert fields[3] == "\\\\\\t\\n\\r\\\\N é🍕 'quoted'"
    assert fields[6:] == ["1.01", "1.01", "\\N"]
    assert len(fields) == len(TABLE.names)


def test_the_queries_parse_as_athena() -> None:
    sqlglot.parse_one(build_probe_select(TABLE), read="athena")
    assert build_probe_unload(TABLE, "s3://b/it's/").count("'s3://b/it''s/'") == 1


def test_postgres_reads_the_line_and_a_broken_one_shows(connection: Connection) -> None:
    files = Files()
    line = expected_line(TABLE)
    files.add("good", [line.encode() + b"\n"])
    files.add("bad", [line.replace("\\\\N", "\\N").encode() + b"\n"])
    question = {"about": "probe", "bucket": "b", "keys": ["good", "bad"]}
    request = InspectRequest.model_validate({"question": question})
    good, bad = inspect(connection, files.stream, TABLE, request)["rows"]
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
