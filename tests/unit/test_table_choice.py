"""Which of a stack's tables a command is about: named, the only one, each, or refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import boto3
import pytest
from forecast_sync.config import Settings
from forecast_sync_cli.backfill import Backfill
from forecast_sync_cli.client import executions
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.errors import UserError

ARN = "arn:aws:states:us-east-2:000000000000:stateMachine:forecast-sync-dev"
NAMES = ("sales", "stock", "waste")
YEAR = Backfill("dev", None, date(2026, 1, 1), date(2026, 12, 31), 31)


def deployed(*tables: str) -> Deployment:
    """A stack with these tables; without any it is one of an earlier version."""
    found = Deployment("dev", boto3.Session("test", "test"), None, ARN)
    settings = Settings(environment="dev", table_file="forecast", tables=",".join(tables))
    vars(found)["stack_settings"] = settings
    return found


def test_the_only_table_needs_no_name_and_is_in_no_request() -> None:
    for one in (deployed("sales"), deployed("sales").select_table("sales")):
        assert one.table_name == one.one_table().table_name == "sales"
        assert (one.table_choice, one.table_option, one.has_several_tables) == ({}, "", False)
        assert [each.table_name for each in one.each_table()] == ["sales"]
        assert one.run_label("r-1", "sales") == "r-1"
    assert deployed().table_name == "forecast"


def test_one_of_several_is_in_every_request_and_message() -> None:
    stock = deployed(*NAMES).select_table("tables/stock.toml")
    assert (stock.table_name, stock.table_choice) == ("stock", {"table": "stock"})
    assert [each.table_name for each in stock.each_table()] == ["stock"]
    assert [each.table_name for each in stock.all_tables()] == [*NAMES]
    assert (stock.table_option, stock.run_label("r-1", "stock")) == (
        " --table stock",
        "r-1 of stock",
    )
    assert stock.run_label("r-1", None) == "r-1", "it never got a table"


def test_without_a_name_several_are_each_or_refused_with_the_list() -> None:
    several = deployed(*NAMES)
    assert [each.table_name for each in several.each_table()] == [*NAMES]
    for refused in (several.one_table, lambda: several.table_choice, lambda: several.table_option):
        with pytest.raises(UserError, match="name one with --table, of sales, stock, waste"):
            refused()


@pytest.mark.parametrize(
    ("given", "guess"),
    [("stok", "Did you mean stock? "), ("tables/wast.toml", "Did you mean waste? "), ("x", "")],
)
def test_a_table_that_isn_t_deployed_is_refused_with_the_nearest_name_and_the_list(
    given: str, guess: str
) -> None:
    with pytest.raises(UserError) as refused:
        deployed(*NAMES).select_table(given)
    assert f"--table {given}: the stack forecast-sync-dev doesn't sync" in str(refused.value)
    assert f"this table. {guess}Deployed: sales, stock, waste." in str(refused.value)


def test_what_tables_share_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    several = deployed(*NAMES)
    vars(several)["api"] = object()
    monkeypatch.setattr(Deployment, "client", lambda *_: pytest.fail("nothing is asked"))
    for each in several.all_tables():
        assert each.api is several.api
        assert each.stack_settings is several.stack_settings


def test_backfills_of_two_tables_differ_and_the_only_table_s_are_as_before() -> None:
    first, last = YEAR.date_from, YEAR.date_to
    names = {replace(YEAR, table=name).run_name(first, last) for name in (None, *NAMES)}
    assert len(names) == 4
    # An earlier version's runs are found again only under the very name that it gave them.
    assert YEAR.run_name(first, last) == "backfill-1e53bd17-20260101-20261231"


RUN = {"status": "FAILED", "started_at": "2026-11-28T06:00:00+00:00", "stopped_at": None}


@pytest.mark.parametrize(
    ("tables", "selected", "newest", "answer"),
    [
        (("sales",), None, {"sales": "FAILED"}, "of-sales"),
        (("sales",), None, {"sales": "SUCCEEDED"}, "the newest run, of-sales, has succeeded"),
        (NAMES, None, {"stock": "SUCCEEDED", "sales": "TIMED_OUT"}, "of-sales"),
        (
            NAMES,
            None,
            {"stock": "FAILED", "sales": "FAILED"},
            "have failed: of-stock of stock, of-sales of sales. Name the run",
        ),
        (NAMES, None, {"stock": "RUNNING", "sales": "SUCCEEDED"}, "no table's newest run has"),
        (NAMES, "stock", {"stock": "RUNNING"}, "of-stock of stock is running"),
        (NAMES, None, {}, "none of the last 100 runs failed"),
    ],
)
def test_a_redrive_without_a_name_finds_the_only_one_that_it_can_mean(
    monkeypatch: pytest.MonkeyPatch,
    tables: tuple[str, ...],
    selected: str | None,
    newest: dict[str, str],
    answer: str,
) -> None:
    found: dict[str, Any] = {
        table: executions.ListedRun.model_validate(
            {**RUN, "run_id": f"of-{table}", "redrive_count": 0, "status": status}
        )
        for table, status in newest.items()
    }
    monkeypatch.setattr(executions, "_newest_by_table", lambda _: found)
    several = deployed(*tables)
    examined = several.of_table(selected) if selected else several
    if answer == "of-sales":
        arn = ARN.replace(":stateMachine:", ":execution:")
        assert executions.find_redrivable(examined) == f"{arn}:{answer}"
        return
    with pytest.raises(UserError) as refused:
        executions.find_redrivable(examined)
    assert answer in str(refused.value)
