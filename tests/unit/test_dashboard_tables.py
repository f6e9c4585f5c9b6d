"""The dashboard of a stack with several tables, and rows that leave, in what the page gets."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from forecast_sync_cli.dashboard.scope import Scope
from forecast_sync_cli.dashboard.view_models import chart_of

from tests.stack_in_memory import HELD_BACK, LONG_KEY, RUNS, TABLES, Run, StackInMemory
from tests.unit.test_dashboard import request

PARTS = ("/now", "/status", "/runs", "/rejects", "/reject-rows?reason=x", "/files", "/table")
ONE = ("price",)


def get(stack: StackInMemory, address: str) -> str:
    """A part of the page, as readable text with its addresses."""
    return html.unescape(request(stack.views, "GET", address))


def post(stack: StackInMemory, form: str) -> str:
    return html.unescape(request(stack.views, "POST", "/start", form))


def in_table(address: str) -> str:
    return f"{address}{'&' if '?' in address else '?'}table=price"


def links(shown: str) -> set[str]:
    return set(re.findall(r'href="(/[^"]*)"', shown))


def rows(shown: str) -> list[str]:
    """The text of each line of the first table."""
    body = shown.partition("<tbody>")[2].partition("</tbody>")[0]
    texts = (re.sub(r"<[^>]+>", " ", row) for row in body.split("<tr")[1:])
    return [re.sub(r"\s+", " ", text.partition(">")[2]).strip() for text in texts]


def test_the_switch_names_each_table_and_what_is_chosen() -> None:
    shown = get(StackInMemory(), "/switch?table=price")
    assert re.findall(r"<option[^>]*>([^<]+)<", shown) == ["All tables", *TABLES]
    assert re.findall(r"<option selected>([^<]+)<", shown) == ["price"]
    assert get(StackInMemory(tables=ONE), "/switch").strip() == ""


@pytest.mark.parametrize("part", PARTS)
def test_a_chosen_table_is_all_that_a_part_asks_about_and_its_links_keep_it(part: str) -> None:
    stack = StackInMemory()
    shown = get(stack, in_table(part))
    about = [query for path, query in stack.asked if not path.startswith("/syncs/")]
    assert all(query.get("table") == "price" for query in about)
    assert all("table=price" in link for link in links(shown))
    assert not re.search(r"forecast-(now|early)|promotion|calendar", shown)


@pytest.mark.parametrize("part", PARTS)
def test_a_stack_with_one_table_is_asked_and_shown_as_before(part: str) -> None:
    stack = StackInMemory(tables=ONE, runs=tuple(run for run in RUNS if run.table == "price"))
    shown = get(stack, part)
    assert not any("table" in query for _, query in stack.asked)
    assert not any("table=" in link for link in links(shown))
    assert shown == get(stack, in_table(part)).replace("table=price&", "").replace(
        "?table=price", ""
    )


@pytest.mark.parametrize("part", PARTS)
def test_a_table_that_the_stack_does_not_have_is_said_in_words(part: str) -> None:
    shown = get(StackInMemory(), in_table(part).replace("price", "<b>prize"))
    assert "There is no table <b>prize here." in shown
    assert "The page keeps trying" not in shown
    shown = get(StackInMemory(), "/status?table=prize")
    assert "This stack doesn't sync prize: its tables are forecast, price, promotion" in shown
    assert {"/", *(f"/?table={name}" for name in TABLES)} == links(shown)
    alone = get(StackInMemory(tables=ONE), "/status?table=forecast")
    assert "This stack doesn't sync forecast: its only table is price." in alone


def test_the_overview_has_a_line_for_each_table() -> None:
    shown = get(StackInMemory(), "/status")
    fresh, stale, never, unreachable = rows(shown)
    assert fresh.startswith("forecast Fresh 4 min 1% No file waits. 7 open rejects of forecast 0")
    assert fresh.endswith("forecast-now forecast-early 27 Nov 09:00:00")
    assert stale.startswith(f"price Stale 8 h 100% {LONG_KEY} and 2 more 44 open rejects of price")
    assert "2 files left out of price price-now price-leaves" in stale
    assert "No run has succeeded yet. The last run failed: promotion-bad 0 0" in never
    assert unreachable == "calendar Unreachable – DatabaseUnreachable: no answer within 5 s – – – –"
    assert "Age, of 6 h" in shown
    assert {f"/?table={name}" for name in TABLES} < links(shown)
    assert "/?table=price#rejects-title" in links(shown)
    assert "/?table=price&run=price-now" in links(shown)


def test_each_run_names_its_table_and_other_runs_that_go_on_are_named() -> None:
    shown = get(StackInMemory(), "/runs")
    assert [row.split()[1] for row in rows(shown)] == [run.table for run in RUNS]
    now = get(StackInMemory(), "/now")
    assert "incremental of the table price" in now
    assert {"/?run=forecast-now", "/?table=forecast"} <= links(now)
    assert "Running too" not in get(StackInMemory(), "/now?run=forecast-now")


def test_a_table_s_runs_are_found_behind_those_of_the_others() -> None:
    many = tuple(Run(f"price-{number}", "price", number) for number in range(150))
    stack = StackInMemory(runs=(*many, Run("calendar-old", "calendar", 900)))
    assert len(rows(get(stack, "/runs?table=price"))) == 50
    assert [row.split()[0] for row in rows(get(stack, "/runs?table=calendar"))] == ["calendar-old"]
    views = stack.views
    for _ in range(2):  # The database, which knows a run that is so long ago, is asked once.
        shown = request(views, "GET", "/now?table=calendar")
        assert "calendar-old" in shown
    assert [path for path, _ in stack.asked if path == "/syncs"] == ["/syncs"]
    assert "No run of promotion is known." in get(stack, "/now?table=promotion")


def test_files_of_all_tables_are_those_that_wait() -> None:
    stack = StackInMemory()
    shown = get(stack, "/files")
    assert [row.split()[:2] for row in rows(shown)] == [
        [LONG_KEY, "price"],
        ["price/b.parquet", "price"],
    ]
    asked = [query for path, query in stack.asked if path == "/files"]
    assert {query["table"] for query in asked} == {"price"}, "the others have none"
    assert "forecast-sync files" not in shown
    loaded = rows(get(stack, "/files?state=loaded"))
    assert [row.split()[1] for row in loaded] == [*TABLES]
    assert "forecast-sync files --table price" in get(stack, "/files?table=price")
    calm = get(StackInMemory(tables=("forecast", "promotion")), "/files")
    assert "No file waits, in any table." in calm


def test_rejects_of_all_tables_are_by_table_and_their_rows_of_one() -> None:
    stack = StackInMemory()
    shown = get(stack, "/rejects")
    assert rows(shown)[0].startswith("price is negative price 41")
    asked = re.findall(r'hx-get="(/reject-rows[^"]*)"', shown)
    assert asked[0] == "/reject-rows?table=price&reason=price+is+negative"
    assert "1 newest rows of price: price is negative" in get(stack, asked[0])


def test_the_tables_are_listed_with_their_definitions() -> None:
    shown = get(StackInMemory(), "/table")
    assert [row.split()[:2] for row in rows(shown)] == [[name, f"t_{name}"] for name in TABLES]
    assert "its key is restaurant_id" in get(StackInMemory(), "/table?table=calendar")


def test_the_chart_of_all_tables_adds_up_what_began_in_a_minute() -> None:
    def run(name: str, table: str, second: int, outcome: str, inserted: int) -> dict[str, Any]:
        return {
            "run_id": name,
            "table": table,
            "started_at": f"2026-11-27T10:0{second // 60}:{second % 60:02}+00:00",
            "outcome": outcome,
            "dry_run": False,
            "rows": {"inserted": inserted} if outcome == "succeeded" else None,
        }

    runs = [
        run("c", "stock", 70, "coalesced", 0),
        run("b", "stock", 59, "failed", 0),
        run("a", "sales", 58, "succeeded", 5),
        run("a0", "sales", 57, "succeeded", 2),
    ]
    chart = json.loads(chart_of(runs, Scope(("sales", "stock"))))
    assert chart["rows"]["inserted"] == [7, 0]
    assert chart["titles"] == ["3 runs of sales, stock", "c (coalesced)"]
    assert (chart["runs"], chart["outcomes"]) == (["b", "c"], ["failed", "coalesced"])
    one = json.loads(chart_of(runs, Scope(("sales", "stock"), "sales")))
    assert one["runs"] == ["a0", "a", "b", "c"]


def test_a_run_is_started_only_for_a_table_that_somebody_has_chosen() -> None:
    stack = StackInMemory()
    assert "<option selected>" not in get(stack, "/dialogs/start")
    assert "<option selected>price<" in get(stack, "/dialogs/start?table=price")
    refused = post(stack, "sync_type=full&table=")
    assert "Choose the table that the run is about." in refused
    unknown = post(stack, "sync_type=full&table=prize")
    assert "This stack doesn't sync prize: its tables are forecast, price, promotion" in unknown
    assert stack.started == []
    post(stack, "sync_type=full&table=stock&table=price")
    assert [body["table"] for body in stack.started] == ["price"]


def test_the_only_table_isn_t_asked_for() -> None:
    stack = StackInMemory(tables=ONE)
    assert 'name="table"' not in get(stack, "/dialogs/start?table=price")
    post(stack, "sync_type=full")
    assert "table" not in stack.started[0]
    assert "its only table is price" in post(stack, "sync_type=full&table=forecast")
    assert len(stack.started) == 1


@pytest.mark.parametrize("action", ["redrive", "stop"])
def test_a_dialog_names_the_run_s_table(action: str) -> None:
    address = f"/dialogs/{action}?run=forecast-now&table=price"
    assert "a run of the table <strong>forecast</strong>" in get(StackInMemory(), address)
    alone = StackInMemory(tables=("forecast",))
    assert "of the table" not in get(alone, address.replace("&table=price", ""))


def test_a_run_says_how_many_rows_left_and_why_others_stay() -> None:
    shown = get(StackInMemory(), "/now?run=price-leaves")
    assert "3 rows left the table." in shown
    assert "119 rows that should leave the table stay." in shown
    assert HELD_BACK in shown
    assert "start a run that allows 119 deletions" in shown
    dry = get(StackInMemory(), "/now?run=price-plan")
    assert "1 row would leave the table." in dry
    assert "119 rows that should leave the table would stay." in dry
    assert "To delete them, start a run that allows 119 deletions" in dry
    assert "the table stay" not in get(StackInMemory(), "/now?run=calendar-old")


def test_the_list_says_how_many_rows_left_and_how_many_wait() -> None:
    by_run = {row.split()[0]: row for row in rows(get(StackInMemory(), "/runs"))}
    assert "3 deleted. 119 to delete wait." in by_run["price-leaves"]
    assert "1 would be deleted. 119 to delete wait." in by_run["price-plan"]
    assert "delete" not in by_run["calendar-old"]


def test_a_plan_names_rows_that_would_leave_and_why_others_wait() -> None:
    shown = get(StackInMemory(), "/plan?run=price-plan")
    assert "What this run would change in price" in shown
    assert "Rows that should leave the table: 120" in shown
    assert rows(shown[shown.index("Table of deletions") :]) == [
        "17 2026-11-27 deleted in the lake",
        "18 2026-11-27 no longer in any file",
    ]
    assert f"119 would wait: {HELD_BACK}" in shown
