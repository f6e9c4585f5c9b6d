"""Claims about rejects that are exported to files."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from forecast_sync.tables import load_table
from forecast_sync_ops import rejects
from forecast_sync_ops.problems import UserError

PRICE = load_table("price")


def reject_of(row: dict[str, Any]) -> dict[str, Any]:
    return {**dict.fromkeys(rejects.PLACES, "x"), "row_json": row}


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
