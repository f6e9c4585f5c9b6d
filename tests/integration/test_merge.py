"""Claims about which write a batch gets, and what the loader's memory does, in a real Postgres."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from forecast_sync.adapters.postgres import Connection
from forecast_sync.load.merge import NEAR_FACTOR, SMALL_BATCH

from tests.builders import make_row, make_run, to_line
from tests.integration.loads import as_text, begin, last_id, ledger, load, stored

ITEMS = 40


def rows_of(restaurants: range, items: int = ITEMS, **changes: Any) -> list[tuple[Any, ...]]:
    return [
        make_row(restaurant, inventory_item_id=item, **changes)
        for restaurant in restaurants
        for item in range(items)
    ]


@pytest.mark.parametrize("batch_size", [7, 50, 1000])
@pytest.mark.parametrize("verified", [True, False])
def test_missing_changed_and_equal_rows_in_one_batch_are_distinguished(
    connection: Connection, batch_size: int, verified: bool
) -> None:
    run = make_run(batch_size=batch_size, verify_checksum=verified)
    begin(connection, run)
    load(connection, run, rows_of(range(10)))
    later = rows_of(range(12))
    later[3] = (*later[3][:7], "7.77", None)
    later[200] = (*later[200][:7], "8.88", None)
    load(connection, run, later, query="q-2")
    assert stored(connection) == as_text(sorted(later))
    sums = [sum(column) for column in zip(*ledger(connection, "q-2"), strict=True)][2:]
    assert sums == [2 * ITEMS, 2, 10 * ITEMS - 2]
    assert last_id(connection) == 12 * ITEMS


def test_many_changed_rows_are_all_updated(connection: Connection) -> None:
    run = make_run(batch_size=100)
    begin(connection, run)
    load(connection, run, rows_of(range(10)))
    changed = rows_of(range(10), y_50="5.55")
    load(connection, run, changed, query="q-2")
    assert stored(connection) == as_text(changed)
    assert sum(row[3] for row in ledger(connection, "q-2")) == 10 * ITEMS


def test_rows_far_more_numerous_in_the_target_are_looked_up(connection: Connection) -> None:
    """One item of restaurants with many, whose other rows it would be a waste to read."""
    run = make_run(batch_size=10)
    begin(connection, run)
    load(connection, run.model_copy(update={"batch_size": 10_000}), rows_of(range(10)))
    assert ITEMS > NEAR_FACTOR
    few = rows_of(range(10), items=1, y_50="5.55")
    load(connection, run, few, query="q-2")
    assert ledger(connection, "q-2") == [(1, 10, 0, 10, 0)]


def test_a_batch_too_large_to_be_guided_is_merged_too(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SMALL_BATCH > 10_000
    monkeypatch.setattr("forecast_sync.load.merge.SMALL_BATCH", 10)
    test_missing_changed_and_equal_rows_in_one_batch_are_distinguished(connection, 1000, True)


def test_memory_does_not_grow_with_the_page(database_url: str, tmp_path: Path) -> None:
    """Everything imported and batches of 10,000: as much for five times the rows, below 112 MB."""
    small = _peak_memory(database_url, tmp_path, range(2000), "small")
    large = _peak_memory(database_url, tmp_path, range(10_000), "large")
    assert large < 112_000_000
    assert large < 1.05 * small


def _peak_memory(database_url: str, folder: Path, restaurants: range, name: str) -> int:
    path = folder / f"{name}.gz"
    lines: Sequence[bytes] = [to_line(row) for row in rows_of(restaurants, items=20)]
    path.write_bytes(gzip.compress(b"".join(lines), compresslevel=1))
    program = Path(__file__).with_name("load_in_a_process.py")
    done = subprocess.run(
        [sys.executable, program, database_url, path],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": "layers/core:functions/upsert_batches:.", "ENVIRONMENT": "dev"},
        cwd=Path(__file__).parents[2],
    )
    return int(done.stdout)
