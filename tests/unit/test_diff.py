"""``forecast-sync diff``: what it calls keys that differ."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from forecast_sync.contracts.counts import Sums
from forecast_sync.extract.athena_sql import Dates
from forecast_sync.tables import parse_table
from forecast_sync_cli import diff

from tests.workflow.leaving import table_file

DAY = "2026-01-01"


def key(number: int) -> tuple[str, ...]:
    return (str(number), "7", DAY)


class Sides:
    """One business date whose sums differ, with these hashes by key in the lake and in Postgres."""

    def __init__(self, lake: dict[int, str], target: dict[int, str]) -> None:
        self._lake, self._target = lake, target
        self.as_of = datetime(2026, 1, 2, tzinfo=UTC)
        self.deployment = SimpleNamespace(
            table=parse_table(table_file(tombstones=True), "forecast.toml")
        )

    def lake_sums(self, _: Dates) -> dict[str, Sums]:
        return {DAY: Sums(len(self._lake), 1)}

    def target_sums(self, _: Dates) -> dict[str, Sums]:
        return {DAY: Sums(len(self._target), 2)}

    def lake_keys(self, _: Any) -> dict[tuple[str, ...], str]:
        return {key(number): line for number, line in self._lake.items()}

    def target_keys(self, _: Any) -> dict[tuple[str, ...], str]:
        return {key(number): line for number, line in self._target.items()}


def compare(lake: dict[int, str], target: dict[int, str]) -> diff.Diff:
    return diff.compare(cast("diff.Sides", Sides(lake, target)), Dates(None, None), 20)


def test_a_key_that_the_lake_deletes_is_called_so_while_postgres_has_it() -> None:
    lake = {1: diff.DELETED, 2: diff.DELETED, 3: "a", 4: "a", 6: "a"}
    found = compare(lake, {1: "x", 3: "a", 4: "b", 5: "x"})
    assert {int(item.key["restaurant_id"]): item.difference for item in found.keys} == {
        1: "deleted in the lake",
        4: "different",
        5: "only in Postgres",
        6: "only in the lake",
    }
