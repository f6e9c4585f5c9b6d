"""The dashboard's parts: the state diagram, rates, formatting, the runbook."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from forecast_sync_cli.client.api import Answer
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.dashboard import formatting, runbook, state_graph
from forecast_sync_cli.dashboard.app import make_app
from forecast_sync_cli.dashboard.scope import Scope
from forecast_sync_cli.dashboard.security import Keys
from forecast_sync_cli.dashboard.throughput import Rates
from forecast_sync_cli.dashboard.view_models import Views, axis_labels, chart_of
from forecast_sync_cli.progress import count_times
from forecast_sync_cli.units import show_size

from tests.contract.stack import machine as definition
from tests.waiting import run_coroutine

AT = "2026-11-24T10:00:00Z"


def visit(name: str, left_at: str | None = AT) -> dict[str, Any]:
    return {"name": name, "visits": 1, "entered_at": AT, "left_at": left_at}


def place(status: str, *visits: dict[str, Any]) -> dict[str, state_graph.Placed]:
    steps = state_graph.read_steps(definition())
    placed = state_graph.place(steps, {"execution_status": status, "states": list(visits)})
    return {item.step.name: item for item in placed}


def test_the_picture_follows_the_definition() -> None:
    steps = state_graph.read_steps(definition())
    names = [step.name for step in steps]
    assert names[0] == definition()["StartAt"]
    assert {"Run queries", "Plan pages", "Load pages", "Verify load"} <= set(names)
    exits = {step.name: step.exits for step in steps if step.exits}
    assert exits["Lease held?"] == ("Coalesced",)
    assert all(step.comment for step in steps)


def test_a_running_run_stands_where_it_is() -> None:
    placed = place(
        "RUNNING",
        visit("Resolve branch"),
        visit("Run queries", None),
        visit("Wait for Athena", None),
    )
    assert placed["Resolve branch"].progress == "done"
    assert placed["Run queries"].progress == "current"
    assert placed["Run queries"].inside == "Wait for Athena"
    assert placed["Verify load"].words == "not yet"


def test_a_failed_run_stands_where_it_failed() -> None:
    placed = place("FAILED", visit("Resolve branch"), visit("Load pages", None))
    assert placed["Load pages"].progress == "failed"
    assert placed["Verify load"].words == "not reached"


def test_a_run_that_had_nothing_to_do_says_why() -> None:
    placed = place("SUCCEEDED", visit("Lease held?"), visit("Coalesced"))
    assert placed["Lease held?"].exits_taken == ("Coalesced",)
    assert placed["Load pages"].words == "not needed"


def test_rates_need_two_looks_and_forget_what_is_old() -> None:
    now = [0.0]
    rates = Rates(lambda: now[0])
    assert rates.observe("a", 0, 1000).rows_per_second is None
    now[0] = 10.0
    rate = rates.observe("a", 500, 1000)
    assert (rate.rows_per_second, rate.seconds_left) == (50, 10)
    for second in range(20, 100, 10):
        now[0] = float(second)
        rate = rates.observe("a", 500, 1000)
    assert rate.rows_per_second is None, "nothing has come for half a minute"
    now[0] = 101.0
    assert rates.observe("a", 10, 1000).rows_per_second is None, "a redrive starts again"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "–"), (0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_durations_are_said_in_the_largest_unit_of_two(seconds: float | None, said: str) -> None:
    assert formatting.duration(seconds) == said


def test_times_without_an_offset_are_utc() -> None:
    assert formatting.between("2026-11-24T10:00:00", "2026-11-24T10:01:00+00:00") == 60
    assert formatting.utc_time("2026-11-24T10:00:00Z") == "24 Nov 10:00:00"


def test_the_section_of_an_error_is_found_in_the_runbook(tmp_path: Path) -> None:
    path = tmp_path / "runbook.md"
    path.write_text(
        "# Runbook\n\n## Errors\n\n### `BatchRefused`\n\nLook at **the** row.\n\n"
        "<script>alert(1)</script>\n\n### States.Timeout\n\nWait.\n"
    )
    section = runbook.read_section("BatchRefused", path)
    assert section is not None
    assert "<strong>the</strong>" in section
    assert "<script>" not in section
    assert "Wait" not in section
    assert runbook.read_section("States.Timeout", path) == "<p>Wait.</p>\n"
    assert runbook.read_section("Unheard", path) is None
    assert '<h3 id="statestimeout">' in (runbook.read_whole(path) or "")
    path.write_text("# Alarms\n\n### One\n")
    assert '<h2 id="one">' in (runbook.read_whole(path) or "")
    assert runbook.read_whole(tmp_path / "none.md") is None


class Unanswered:
    """A deployment whose API gives one answer to every start."""

    def __init__(self, status: int) -> None:
        self._answer = Answer(status, {"detail": "no"})
        self.keys: list[str | None] = []
        self.deployment = SimpleNamespace(environment="dev")
        self.tables = ("forecast",)

    def act(self, _path: str, _body: dict[str, Any], key: str | None) -> Answer:
        self.keys.append(key)
        return self._answer


def press_start(views: Unanswered, key: str) -> str:
    """Send the form that starts a run; the form that comes back."""
    return request(views, "POST", "/start", f"sync_type=full&key={key}")


def request(views: object, method: str, address: str, form: str = "") -> str:
    """What the page gets."""
    path, _, query = address.partition("?")
    keys, parts = Keys(8377), []
    app = make_app(cast("Views", views), keys)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": form.encode()}

    async def send(message: Any) -> None:
        parts.append(message.get("body", b""))

    cookie = f"{keys.cookie}={keys.session}".encode()
    headers = [(b"host", b"localhost"), (b"x-csrf-token", keys.page.encode()), (b"cookie", cookie)]
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    run_coroutine(app({**scope, "query_string": query.encode()}, receive, send))
    return b"".join(parts).decode()


@pytest.mark.parametrize(("status", "same"), [(502, True), (503, True), (400, False), (422, False)])
def test_a_second_try_after_a_lost_answer_finds_the_same_run(status: int, same: bool) -> None:
    views = Unanswered(status)
    form = press_start(views, "first-key")
    [key] = re.findall(r'name="key" value="([^"]+)"', form)
    assert views.keys == ["first-key"]
    assert (key == "first-key") is same


def test_counts_are_written_as_a_person_says_them() -> None:
    assert [count_times(number) for number in (1, 2, 3)] == ["once", "twice", "3 times"]


def test_no_label_stands_twice_on_the_axis() -> None:
    times = ["2026-11-26T23:59:10Z", "2026-11-27T00:01:00Z", "2026-11-27T00:01:30Z"]
    assert axis_labels([*times, "2026-11-27T23:59:10Z"]) == [
        ["23:59", "26 Nov"],
        ["00:01", "27 Nov"],
        [],
        ["23:59"],
    ]


def test_the_chart_shows_what_was_written() -> None:
    counts = {"inserted": 1, "updated": 2, "unchanged": 3, "rejected": 4}
    common = {"outcome": "succeeded", "rows": counts}
    runs = [
        {**common, "run_id": "b", "started_at": AT.replace("10:00", "10:01"), "dry_run": True},
        {**common, "run_id": "a", "started_at": AT, "dry_run": False},
    ]
    chart = json.loads(chart_of(runs, Scope(("forecast",))))
    assert chart["runs"] == ["a", "b"]
    assert chart["rows"] == {name: [count, 0] for name, count in counts.items()}


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (8300, "8.3 kB"), (2.5e12, "2.5 TB")]
)
def test_sizes_are_said_in_their_unit(count: float, said: str) -> None:
    assert show_size(count) == said


def file(key: str, state: str, reason: str | None = None) -> dict[str, Any]:
    dates = {"first_date": "2026-12-01", "last_date": "2026-12-02"}
    return {"key": key, "state": state, "reason": reason, "rows": 5, "size": 8300, **dates} | {
        "run_id": "run-1" if state == "loaded" else None
    }


class Files:
    """A deployment that keeps a list of files, or none."""

    def __init__(self, *files: dict[str, Any], is_there: bool = True) -> None:
        self._files = files
        self._is_there = is_there
        self.settings = SimpleNamespace(table_file="price")
        self.tables = ("price",)

    def renewed(self) -> Files:
        return self

    def ask_status(self, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        if path == "/table":  # As an older deployment, whose table file is the checkout's.
            return None
        assert path == "/files"
        state, run_id, limit = query.get("state"), query.get("run_id"), int(query["limit"])
        chosen = [
            item
            for item in self._files
            if state in (None, item["state"])
            and run_id in (None, item["run_id"])
            and item["key"].startswith(query.get("prefix", ""))
        ]
        following = chosen[limit - 1]["key"] if len(chosen) > limit else None
        return {"files": chosen[:limit], "next": following} if self._is_there else None


LOADED = [file(f"forecast/{number:03}.parquet", "loaded") for number in range(60)]
BAD = file("forecast/zzz.parquet", "quarantined", "its footer can't be read")


def show_files(*files: dict[str, Any], **filters: str) -> str:
    address = f"/files?{urlencode(filters)}"
    return request(Views(cast("Deployment", Files(*files))), "GET", address)


def test_files_that_are_left_out_come_first_with_their_reason() -> None:
    shown = show_files(*LOADED, BAD)
    assert "its footer can&#39;t be read" in shown
    assert shown.index("zzz.parquet") < shown.index("000.parquet")
    assert "These are the first 50. All of them: <code>forecast-sync files</code>" in shown


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        ({"prefix": "forecast/01"}, [f"forecast/{number:03}.parquet" for number in range(10, 20)]),
        ({"state": "quarantined"}, ["forecast/zzz.parquet"]),
        ({"run": "run-1", "prefix": "forecast/000"}, ["forecast/000.parquet"]),
        ({"run": "run-2"}, []),
        ({"run": " ", "state": "", "prefix": "forecast/zzz"}, ["forecast/zzz.parquet"]),
    ],
)
def test_files_are_filtered_by_prefix_state_and_run(
    filters: dict[str, str], keys: list[str]
) -> None:
    shown = show_files(*LOADED, BAD, **filters)
    assert re.findall(r'title="(forecast/[^"]+)"', shown) == keys
    assert ("No file matches." in shown) == (not keys)


def test_the_command_that_lists_the_same_files_can_be_pasted() -> None:
    shown = show_files(file("it's/1.parquet", "loaded"), prefix="it's/", state="loaded")
    command = html.unescape(shown.split("In a terminal: <code>")[1].split("</code>")[0])
    assert shlex.split(command) == [
        *("forecast-sync", "files", "--prefix", "it's/", "--state", "loaded")
    ]


def test_what_is_no_name_of_a_run_is_said() -> None:
    shown = show_files(*LOADED, run="run/1")
    assert "No run is named run/1: expected 1 to 80 letters, digits, - and _" in shown


def test_a_lake_that_nobody_has_listed_is_no_filter_s_fault() -> None:
    assert "No files are known yet." in show_files()


def test_the_table_shows_its_rules() -> None:
    shown = request(Views(cast("Deployment", Files())), "GET", "/table")
    assert "<code>price</code>" in shown
    assert "the price is negative" in shown


def test_a_deployment_without_a_list_of_files_says_so() -> None:
    shown = request(Views(cast("Deployment", Files(is_there=False))), "GET", "/files")
    assert "This deployment keeps no list of files." in shown
    assert "Table of files" not in shown
