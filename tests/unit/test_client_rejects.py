"""Claims about rejects that are exported to files."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from forecast_sync.tables import load_table
from forecast_sync_cli.client import rejects
from forecast_sync_cli.errors import UserError
from hypothesis import given
from hypothesis import strategies as st

PRICE = load_table("price")


def reject_of(row: dict[str, Any]) -> dict[str, Any]:
    return {**dict.fromkeys(rejects.FIELDS, "x"), "row_json": row}


def test_a_csv_file_has_every_value_of_another_table_than_forecast(tmp_path: Path) -> None:
    names = dict.fromkeys((*PRICE.names, PRICE.source.newest_name))
    row = {name: f"value of {name}" for name in names}
    path = tmp_path / "rejects.csv"
    assert rejects.export(iter([reject_of(row)]), PRICE, path) == 1
    [line] = csv.DictReader(path.read_text().splitlines())
    assert {name: line[name] for name in names} == row


def test_a_value_without_a_column_fails_the_export_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    with pytest.raises(UserError, match=r"has former, which the table file doesn't: .*\.jsonl"):
        rejects.export(iter([reject_of({"former": "1"})]), PRICE, path)
    assert list(tmp_path.iterdir()) == []
    kept = tmp_path / "rejects.jsonl"
    assert rejects.export(iter([reject_of({"former": "1"})]), PRICE, kept) == 1
    assert '"row": {"former": "1"}' in kept.read_text()


FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|'/c calc'!A1", "-a"]
NUMBERS = ["-1", "+1.5", "-0.25", "-1e-9", "-.5", "7"]


@pytest.mark.parametrize("cell", [*FORMULAS, "\uff1d1+1", "\0=1", "-\uff11", "-1\n", "--1"])
def test_no_cell_begins_a_formula(cell: str) -> None:
    assert rejects.guarded(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", [*NUMBERS, "OH", "", None, "2026-01-01", "a=1"])
def test_numbers_and_words_stay_as_they_are(cell: str | None) -> None:
    assert rejects.guarded(cell) == cell


@given(st.text())
def test_a_guard_can_be_taken_away(cell: str) -> None:
    assert (rejects.guarded(cell) or "").removeprefix("'") == cell


def test_a_hostile_row_is_no_formula_in_csv_and_exact_in_both(tmp_path: Path) -> None:
    first, second, third = PRICE.names[:3]
    row = {first: '=HYPERLINK("https://evil","x")', second: "-1.5", third: "a\",=1\r\n@b'"}
    hostile = [{**reject_of(row), "source_file": "@SUM(1)", "reason": "'quoted"}]
    assert rejects.export(iter(hostile), PRICE, tmp_path / "a.csv") == 1
    text = (tmp_path / "a.csv").read_bytes().decode()
    [line] = csv.DictReader(io.StringIO(text, newline=""))
    read = {name: cell.removeprefix("'") for name, cell in line.items()}
    assert {name: read[name] for name in row} == row
    assert (read["source_file"], read["reason"]) == ("@SUM(1)", "'quoted")
    assert line[second] == "-1.5"
    assert not [cell for cell in line.values() if cell[:1] in "=+@\t\r" and cell]


def test_json_lines_are_exact_and_printable(tmp_path: Path) -> None:
    row = {"a": "=1", "b": "\x1b]52;c;x\x07\u202e\x9b\ud800é\x7f", "c": None, "d": ""}
    rejects.export(iter([reject_of(row)]), PRICE, tmp_path / "a.jsonl")
    text = (tmp_path / "a.jsonl").read_text()
    assert text.rstrip("\n").isprintable()
    assert text.isascii()
    assert json.loads(text)["row"] == row


def test_half_a_surrogate_pair_stops_no_csv(tmp_path: Path) -> None:
    row = {PRICE.names[0]: "\ud800"}
    assert rejects.export(iter([reject_of(row)]), PRICE, tmp_path / "a.csv") == 1
    assert r"\ud800" in (tmp_path / "a.csv").read_text()
