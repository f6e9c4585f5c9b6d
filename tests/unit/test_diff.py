"""``forecast-sync diff``: what it says of keys that differ."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from forecast_sync.contracts.counts import Sums
from forecast_sync.extract.athena_sql import Dates
from forecast_sync.tables import Table, parse_table
from forecast_sync_cli import diff
from forecast_sync_cli.commands.common import out
from forecast_sync_cli.commands.diff import _show

from tests.workflow.leaving import table_file

DAY = "2026-01-01"
WAITS = "What is deleted in the lake waits until somebody lets it go:"


def key(number: int) -> tuple[str, ...]:
    return (str(number), "7", DAY)


class Sides:
    """One business date whose sums differ, with these hashes by key in the lake and in Postgres."""

    def __init__(self, lake: dict[int, str], target: dict[int, str], table: Table) -> None:
        self._lake, self._target = lake, target
        self.as_of = datetime(2026, 1, 2, tzinfo=UTC)
        self.deployment = SimpleNamespace(table=table)

    def lake_sums(self, _: Dates) -> dict[str, Sums]:
        return {DAY: Sums(len(self._lake), 1)}

    def target_sums(self, _: Dates) -> dict[str, Sums]:
        return {DAY: Sums(len(self._target), 2)}

    def lake_keys(self, _: Any) -> dict[tuple[str, ...], str]:
        return {key(number): line for number, line in self._lake.items()}

    def target_keys(self, _: Any) -> dict[tuple[str, ...], str]:
        return {key(number): line for number, line in self._target.items()}


def compare(
    lake: dict[int, str], target: dict[int, str], **options: bool
) -> tuple[diff.Diff, Table]:
    table = parse_table(table_file(tombstones=True, **options), "forecast.toml")
    sides = cast("diff.Sides", Sides(lake, target, table))
    return diff.compare(sides, Dates(None, None), 20), table


def test_a_key_that_the_lake_deletes_is_called_so_while_postgres_has_it() -> None:
    lake = {1: diff.DELETED, 2: diff.DELETED, 3: "a", 4: "a", 6: "a"}
    found, _ = compare(lake, {1: "x", 3: "a", 4: "b", 5: "x"})
    assert {int(item.key["restaurant_id"]): item.difference for item in found.keys} == {
        1: "deleted in the lake",
        4: "different",
        5: "only in Postgres",
        6: "only in the lake",
    }


@pytest.mark.parametrize(
    ("lake", "target", "mirror", "said", "unsaid"),
    [
        ({1: diff.DELETED}, {1: "x"}, False, WAITS, "--sync-type full"),
        ({1: diff.DELETED}, {1: "x"}, True, "how many rows wait", "only in Postgres have left"),
        ({}, {1: "x"}, True, "the next full run deletes them, unless they are too many.", WAITS),
        ({}, {1: "x"}, False, "no run deletes them.", WAITS),
        ({1: "x"}, {}, False, "--sync-type full", WAITS),
    ],
)
def test_the_advice_fits_what_was_found(
    capsys: pytest.CaptureFixture[str],
    lake: dict[int, str],
    target: dict[int, str],
    mirror: bool,
    said: str,
    unsaid: str,
) -> None:
    _show(out(), *compare(lake, target, mirror=mirror))
    shown = " ".join(capsys.readouterr().out.split())
    assert said in shown
    assert unsaid.lower() not in shown.lower()
