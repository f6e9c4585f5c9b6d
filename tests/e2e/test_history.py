"""What became of each run, as `history`, `status RUN` and the runs' own outcomes say it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from devtools.cli_reference import find_commands

from tests.e2e.cli import as_json, error_of, forecast_sync
from tests.lake import MORNING, make_row, make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed


def by_name(at: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {run["run_id"]: run for run in as_json("history", **at)}


def test_history_says_what_a_run_did_and_why_it_did_nothing(
    deployed: Deployed, at: dict[str, Any]
) -> None:
    deployed.upload("a", make_rows(range(20)))
    deployed.succeed(name="history-first")
    later = MORNING + timedelta(hours=1)
    deployed.upload("b", [make_row(1, y_50=6000.0, updated_at=later)])
    deployed.execute("ALTER TABLE forecast_data ADD CONSTRAINT small CHECK (y_50 < 5000)")
    assert deployed.run(name="history-refused").error != ""
    eventually(lambda: (deployed.status("history-refused") or {}).get("status") == "failed")
    deployed.execute("ALTER TABLE forecast_data DROP CONSTRAINT small")
    deployed.succeed(name="history-second")
    runs = by_name(at)
    first, refused, second = (
        runs[name] for name in ("history-first", "history-refused", "history-second")
    )
    assert (first["outcome"], first["table"], first["git_ref"]) == ("succeeded", "forecast", "dev")
    assert first["rows"] == {"inserted": 20, "updated": 0, "unchanged": 0, "rejected": 0}
    assert (second["outcome"], second["rows"]["updated"]) == ("succeeded", 1)
    files = [run["files"] for run in (first, refused, second)]
    counts = [(known["taken_in"], known["overlapping"]) for known in files]
    assert counts == [(1, 0), (1, 1), (1, 1)], "a failed run knows them too"
    assert (refused["outcome"], refused["rows"]) == ("failed", None)
    assert refused["error"].startswith("BatchRefused: ")
    assert "\n" not in refused["error"]
    words = forecast_sync("history", **at).stdout
    assert "BatchRefused: " in words
    assert "1 file taken in, 1 read beside; 1 updated" in words
    known = as_json("status", "history-refused", **at)
    assert known["outcome"] == "failed"
    reason = error_of("redrive", "history-refused", **at)
    assert "history-second has written or succeeded since; start a new run" in reason
    assert (
        deployed.describe(
            deployed.cloud.state_machine_arn.replace("stateMachine", "execution")
            + ":history-refused"
        ).get("redriveCount", 0)
        == 0
    )


def test_the_loser_of_a_lease_says_that_another_run_holds_it(
    deployed: Deployed, at: dict[str, Any]
) -> None:
    deployed.upload("a", make_rows(range(20)))
    with deployed.held_query():
        holder = deployed.start(name="holder")
        eventually(lambda: (deployed.status("holder") or {}).get("status") == "running")
        coalesced = forecast_sync("start", "--name", "coalesced", **at)
        assert "COALESCED coalesced" in coalesced.stdout
        assert "holder starts one more run when it ends" in coalesced.stdout
        waiting = deployed.start(name="waiting", sync_type="full")
        wait = eventually(lambda: as_json("status", "waiting", **at)["waits"], 30)
        assert wait.startswith("Run holder works on this database")
        assert "waits: Run holder works" in forecast_sync("history", **at).stdout
        runs = by_name(at)
    assert (runs["coalesced"]["outcome"], runs["coalesced"]["coalesced_into"]) == (
        "coalesced",
        "holder",
    )
    assert runs["waiting"]["outcome"] == runs["holder"]["outcome"] == "running"
    assert (runs["waiting"]["sync_type"], runs["holder"]["waits"]) == ("full", None)
    assert deployed.wait(holder).status == "SUCCEEDED"
    assert deployed.wait(waiting).status == "SUCCEEDED"
    assert by_name(at)["waiting"]["waits"] is None


def test_status_names_the_file_that_holds_a_branch_back(
    deployed: Deployed, at: dict[str, Any]
) -> None:
    deployed.upload("a", make_rows(range(20)))
    deployed.succeed(name="held-back-first")
    known = as_json("status", **at)
    assert known["why"].startswith("no file waits; the lake was last listed ")
    assert (known["state"], known["waiting_files"], known["waiting_file"]) == ("fresh", 0, None)
    deployed.upload("bad", b"no parquet")
    deployed.succeed(name="held-back-second")
    known = as_json("status", **at)
    assert (known["waiting_files"], known["waiting_file"]) == (1, "forecast/bad.parquet")
    assert known["why"].startswith("forecast/bad.parquet has waited for ")
    words = forecast_sync("status", "--goal-hours", "0", **at).stdout
    assert words.startswith("dev: stale: forecast/bad.parquet has waited for ")
    assert "UTC has arrived, except for 1 file\n" in words
    assert by_name(at)["held-back-second"]["files"]["left_out"] == 1
    deployed.succeed(name="held-back-third")
    assert "1 left out" in forecast_sync("history", **at).stdout


WITH_TABLE = [
    name
    for name, command in find_commands()
    if {"--table", "--environment"} <= {name for option in command.params for name in option.opts}
]
NEEDED = {
    "preview": ("7",),
    "backfill": ("--from", "2026-01-01", "--to", "2026-01-31"),
    "files accept": ("x",),
    "files retry": ("x",),
    "rejects export": ("x.csv",),
}


def test_a_table_can_be_named_wherever_its_runs_rows_or_files_are(
    deployed: Deployed, at: dict[str, Any]
) -> None:
    assert {"start", "backfill", "plan", "diff", "status", "history", "doctor"} <= {*WITH_TABLE}
    assert {"rejects", "rejects replay", "files", "files accept"} <= {*WITH_TABLE}
    assert {"redrive", "preview"} <= {*WITH_TABLE}
    before = [*by_name(at)]
    for command in WITH_TABLE:
        line = error_of(*command.split(), *NEEDED.get(command, ()), "--table", "sales", **at)
        assert line.startswith("error: --table sales: the stack forecast-sync-dev doesn't sync ")
        assert "Deployed: forecast." in line
    assert [*by_name(at)] == before, "nothing was started"
    deployed.upload("a", make_rows(range(20)))
    started = as_json("start", "--table", "tables/forecast.toml", **at)
    assert started["result"]["table"] == "forecast"
    listed = as_json("history", "--table", "forecast", **at)
    assert started["run_id"] in [run["run_id"] for run in listed]
