"""Every command with hostile names, values and errors: terminals get inert text, JSON is exact."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from devtools.cli_reference import find_commands
from forecast_sync.contracts.counts import Counts
from forecast_sync.tables import load_table
from forecast_sync_cli import backfill, diff, local_database, main
from forecast_sync_cli.client import (
    deployment,
    executions,
    files,
    freshness,
    history,
    logs,
    rejects,
    run_status,
)
from forecast_sync_cli.client.deploy_changes import DeployChanges
from forecast_sync_cli.commands import backfill as backfill_commands
from forecast_sync_cli.commands import doctor, local, plan, sync, tables
from forecast_sync_cli.doctor.runner import Result, Status
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.local_sync import LeftOut, Synced
from forecast_sync_cli.terminal import Table, Terminal
from localcloud import cloud
from localcloud.description import Cloud

EVIL = (
    "\x1b]52;c;cm0gLXJm\x07\x1b[6n\x1b[3J\x9b31m[red]x[/red][link=https://evil]y[/link]:bomb:"
    "\r\nerror: forged\u202e\u200b\x7f\x00\ud800\\"
)
AT = "2026-11-23T06:00:00.000+00:00"
COLORS = re.compile(r"\x1b\[[?\d;]*[mhlKA]")
"""What Rich writes by itself: styles, and how a line is written again."""

ROWS = ("window_rows", "rejected", "candidates", "superseded", "good")
COUNTS = dict.fromkeys((*ROWS, "inserted", "updated", "unchanged"), 1)
GROUP = {
    "reason": EVIL,
    "rows": 1,
    "files": 1,
    "example_file": EVIL,
    "last_rejected_at": AT,
    "first_date": "2026-01-01",
    "last_date": "2026-01-02",
    "undated": 0,
}
FILE_OF_THE_LAKE = {
    **dict.fromkeys(("key", "table", "reason", "run_id", "accepted_by"), EVIL),
    **dict.fromkeys(("modified", "taken_in_at", "first_seen_at", "accepted_at"), AT),
    **dict.fromkeys(("first_date", "last_date"), "2026-01-01"),
    "state": "quarantined",
    "size": 1,
    "rows": 1,
}
REJECT = {
    **dict.fromkeys(("content_hash", "run_id", "last_run_id", "resolved_run_id"), EVIL),
    "source_file": EVIL,
    "table": EVIL,
    "reason": EVIL,
    "row_json": {EVIL: EVIL},
    "rejected_at": AT,
}
REPORT = {
    **dict.fromkeys(("run_id", "git_ref", "neon_branch", "watched"), EVIL),
    "counts": dict[str, Any](**COUNTS, warnings={EVIL: 1}),
    "group_by": [EVIL],
    "groups": [
        {"by": [EVIL + str(n)], "inserted": 1, "updated": 0, "unchanged": 0, "rejected": 0}
        for n in range(3)
    ],
    "key": [EVIL],
    "reasons": {EVIL: 1},
    "examples": {EVIL: [{"source_file": EVIL, "row": {EVIL: EVIL}}]},
    "largest": [{"key": [EVIL], "before": EVIL, "after": EVIL}] * 3,
    "queries": [{"scanned_bytes": 1, "usd": 1.0}],
    "schema_differences": [{"where": EVIL, "column": EVIL, "found": EVIL, "expected": EVIL}],
    "losses": [EVIL],
}
DEPLOY_CHANGES = DeployChanges(
    table=EVIL,
    definition=EVIL,
    deployed_definition=EVIL,
    changes=[EVIL],
    adds=[EVIL],
    refusals=[dict.fromkeys(("column", "expected", "found", "remedy"), EVIL)],
    unknown=EVIL,
)
SNAPSHOT = run_status.Snapshot(
    run_id=EVIL,
    execution_arn=EVIL,
    status="FAILED",
    state=EVIL,
    started_at=AT,
    stopped_at=AT,
    seconds=1.0,
    redrive_count=1,
    table=EVIL,
    outcome="failed",
    coalesced_into=EVIL,
    waits=EVIL,
    pages=2,
    rows_expected=2,
    definition=EVIL,
    window_reason=EVIL,
    error=EVIL,
    result=run_status.Result(
        run_id=EVIL,
        status="succeeded",
        git_ref=EVIL,
        neon_branch=EVIL,
        sync_type="full",
        watermark=None,
        counts=Counts(**COUNTS, warnings={EVIL: 1}),
        report=EVIL,
    ),
)
FRESH: dict[str, Any] = {
    **dict.fromkeys(("environment", "git_ref", "why", "running"), EVIL),
    "state": "stale",
    "waiting_files": 1,
    "watermark": AT,
    "table": dict.fromkeys(("name", "target", "definition", "difference"), EVIL),
    "tables": [],
    "runs": [
        {
            **COUNTS,
            **dict.fromkeys(("run_id", "sync_type", "window_reason", "table"), EVIL),
            "status": "succeeded",
            "deletes_deferred": 1,
            "rejected": None,
        }
    ],
}
FRESH["tables"] = [{**FRESH, "name": EVIL}]
LINE = {
    "timestamp": AT,
    "level": "ERROR",
    "message": EVIL,
    "stream": EVIL,
    "details": {"function": EVIL, "answer": {EVIL: EVIL}},
}
CLOUD = Cloud(
    endpoint_url=EVIL,
    region=EVIL,
    bucket=EVIL,
    results_bucket=EVIL,
    state_machine_arn=EVIL,
    api_url=EVIL,
    neon_api_url=EVIL,
    neon_project_id=EVIL,
    neon_api_key=EVIL,
    access_key_id=EVIL,
    secret_access_key=EVIL,
    database_urls={EVIL: EVIL},
    state_dir=EVIL,
    pid=1,
)
FILE = "\x1b]52;c;cm0=\x07\u202e.csv"
STATES: tuple[Status, ...] = ("ok", "advice", "finding", "skipped")
COMMANDS = {
    "start": ["start"],
    "status": ["status"],
    "history": ["history"],
    "redrive": ["redrive", EVIL],
    "stop": ["stop", EVIL],
    "logs": ["logs", EVIL],
    "plan": ["plan", "--limit", "1"],
    "diff": ["diff"],
    "doctor": ["doctor"],
    "backfill": ["backfill", "--from", "2026-01-01", "--to", "2026-01-02"],
    "preview": ["preview", "7"],
    "sync": ["sync", ".", "--database-url", "postgresql:///x"],
    "local up": ["local", "up"],
    "files": ["files"],
    "files accept": ["files", "accept", EVIL],
    "files retry": ["files", "retry", EVIL],
    "rejects": ["rejects"],
    "rejects list": ["rejects", "list"],
    "rejects reasons": ["rejects", "reasons"],
    "rejects export": ["rejects", "export", FILE],
    "rejects replay": ["rejects", "replay"],
    "tables check": ["tables", "check", "x"],
    "tables declare": ["tables", "declare"],
}
WITHOUT = {
    "dashboard": "its page has its own tests",
    "demo": "it shows its own data, by the functions that these commands show theirs with",
    "example": "it says the name that it was given: see test_example",
    "local down": "it says nothing but its own words",
    "tables ddl": "another program reads it: see below",
    "tables init": "another program reads it: see test_table_proposal",
}


def give(value: Any) -> Callable[..., Any]:
    """A function that answers everything with ``value``."""
    return lambda *_, **__: value


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A deployment of which everything is hostile, and a terminal with colors."""
    settings = SimpleNamespace(
        table_file="price", forecast_table_name=EVIL, athena_db_name=EVIL, data_location="s3://x/"
    )
    deployed = SimpleNamespace(
        settings=settings,
        table=load_table("price"),
        environment=EVIL,
        endpoint_url=None,
        execution_arn=give(EVIL),
        function_name=give(""),
        invoke=give({}),
        ask_status=give(None),
        client=give(None),
        selected_table=None,
        tables=(EVIL, "price"),
        has_several_tables=True,
        table_name=EVIL,
        table_choice={"table": EVIL},
        table_option=f" --table {EVIL}",
        run_label=lambda run, table: f"{run} of {table}",
        start_command=lambda table: f"forecast-sync start --table {table}",
        inspect=give({}),
        describe_table=give(FRESH["table"]),
        table_in_use=SimpleNamespace(label=EVIL, difference=EVIL),
    )
    deployed.of_table = deployed.one_table = give(deployed)
    deployed.each_table = give([deployed, deployed])
    planned = SimpleNamespace(**{**SNAPSHOT.__dict__, "status": "SUCCEEDED"})
    table = SimpleNamespace(
        target=SimpleNamespace(table=EVIL),
        source=SimpleNamespace(prefix=None),
        column=[],
        reject=[],
        leaves=EVIL,
        expect=[],
    )
    job = SimpleNamespace(
        run=give(Synced(SNAPSHOT, [LeftOut(EVIL, EVIL)])),
        list_rejected=give([local_database.Rejected(EVIL, 1, EVIL)]),
    )
    differing = diff.Diff(
        AT, 1, 1, 1, [diff.Day(EVIL, 1, 1)], [diff.Key({EVIL: EVIL}, "different")], False
    )
    window = backfill.Filled(EVIL, EVIL, EVIL, "started", "FAILED", EVIL, COUNTS)
    item = history.HistoryItem.model_construct(
        run_id=EVIL,
        status=EVIL,
        started_at=AT,
        stopped_at=AT,
        redrive_count=1,
        outcome=EVIL,
        coalesced_into=EVIL,
        waits=EVIL,
        error=EVIL,
        sync_type=EVIL,
        dry_run=True,
        trigger=EVIL,
        git_ref=EVIL,
        table=EVIL,
        window_reason=EVIL,
        files=None,
        rows={EVIL: 1},
    )
    for owner, name, answer in (
        (deployment, "find", deployed),
        (executions, "start", EVIL),
        (executions, "redrive", 1),
        (executions, "stop", None),
        (history, "read_history", [item]),
        (run_status, "describe", SNAPSHOT),
        (run_status, "follow", [SNAPSHOT, SNAPSHOT]),
        (freshness, "ask", FRESH),
        (logs, "read", [LINE]),
        (plan, "find_changes", DEPLOY_CHANGES),
        (plan, "_dry_run", planned),
        (plan, "read_report", REPORT),
        (diff, "watermark", None),
        (diff, "compare", differing),
        (doctor, "run_checks", [Result(EVIL, state, EVIL, EVIL) for state in STATES]),
        (backfill_commands, "fill", [window]),
        (sync, "LocalSync", job),
        (sync, "working_alone", nullcontext()),
        (sync, "find_files", [Path(EVIL)]),
        (sync, "read_checked", SimpleNamespace(name=EVIL, text="", table=table)),
        (local, "read_together", [SimpleNamespace(name=EVIL, text="", table=table)]),
        (local, "Deployment", deployed),
        (local, "declare_table", "created"),
        (cloud, "up", CLOUD),
        (files, "read", [FILE_OF_THE_LAKE]),
        (files, "decide", None),
        (rejects, "ask", {"reasons": [GROUP], "rejects": [REJECT], "next": None}),
        (rejects, "export", 1),
        (tables, "read_checked", SimpleNamespace(name=EVIL, text="", table=table)),
        (tables, "read_together", [SimpleNamespace(name=EVIL, text="", table=table)]),
        (tables, "declare_table", "created"),
    ):
        monkeypatch.setattr(owner, name, give(answer))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.chdir(tmp_path)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of a command, which runs as its entry point runs it."""
    monkeypatch.setattr(sys, "argv", ["forecast-sync", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    code = ended.value.code
    assert isinstance(code, int)
    return code


def assert_inert(text: str) -> None:
    """Nothing acts but Rich's styles, and no line is forged."""
    plain = COLORS.sub("", text)
    assert [line for line in re.split("[\r\n]", plain) if not line.isprintable()] == []
    assert "\x1b]" not in text, "neither the clipboard nor a link"
    assert not re.search(r"^error: forged", plain, re.MULTILINE)


def test_every_command_is_attacked() -> None:
    assert set(COMMANDS) | set(WITHOUT) == {name for name, _ in find_commands()}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.usefixtures("hostile")
def test_what_a_command_shows_does_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(monkeypatch, *COMMANDS[name]) in (0, 1)
    shown = capsys.readouterr()
    assert_inert(shown.out)
    assert_inert(shown.err)
    output = COLORS.sub("", shown.out + shown.err)
    assert "Traceback" not in output
    assert r"\x1b]52;c;" in output, "hidden isn't visible"


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.usefixtures("hostile")
def test_json_is_exact_and_escaped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    run(monkeypatch, *COMMANDS[name], "--json")
    shown = capsys.readouterr()
    assert re.fullmatch(r"[\x20-\x7e\n]+", shown.out)
    if name not in ("rejects export", "tables check"):
        assert json.dumps(EVIL) in shown.out
    json.loads(shown.out)
    assert_inert(shown.err)


@pytest.mark.usefixtures("hostile")
def test_followed_logs_are_a_document_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logs, "follow", give([LINE, LINE]))
    assert run(monkeypatch, "logs", EVIL, "--follow", "--json") == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [LINE, LINE]


REFUSED = ClientError({"Error": {"Code": EVIL, "Message": EVIL}}, "DescribeExecution")


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (UserError(EVIL), "error: "),
        (REFUSED, "error: AWS refused"),
        (ValueError(EVIL), "ValueError"),
        (KeyError(EVIL), "KeyError"),
    ],
)
@pytest.mark.usefixtures("hostile")
def test_what_a_failure_says_does_nothing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: Exception,
    words: str,
) -> None:
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr(freshness, "ask", fail)
    assert run(monkeypatch, "status") == 1
    stderr = capsys.readouterr().err
    assert_inert(stderr)
    assert words in stderr
    assert r"x1b]52;c;" in stderr


@pytest.mark.parametrize("arguments", [[EVIL], ["status", f"--{EVIL}"], ["history", "-n", EVIL]])
def test_what_wrong_usage_says_does_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    stderr = capsys.readouterr().err
    assert_inert(stderr)
    assert "error: " in stderr


def test_what_a_library_warns_of_does_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "--help")
    capsys.readouterr()
    assert logging.lastResort is not None
    record = logging.LogRecord("urllib3", logging.WARNING, "x", 1, "host %s", (EVIL,), None)
    logging.lastResort.handle(record)
    stderr = capsys.readouterr().err
    assert_inert(stderr)
    assert r"\x1b]52;c;" in stderr


def test_ddl_is_for_another_program_and_stays_exact_or_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tables, "read_checked", give(SimpleNamespace(table=None)))
    sound = "CREATE TABLE x (\n\ty text CHECK (y <> '[red]é')\n);\n"
    monkeypatch.setattr(tables, "write_ddl", give(sound))
    assert run(monkeypatch, "tables", "ddl", "x") == 0
    assert capsys.readouterr().out == sound
    monkeypatch.setattr(tables, "write_ddl", give(f"CREATE TABLE x (\ny text CHECK ('{EVIL}'));"))
    assert run(monkeypatch, "tables", "ddl", "x") == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert_inert(shown.err)
    assert "line 2 of the DDL of x has an invisible character" in shown.err


def test_markup_and_emoji_codes_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.line("[bold]a[/] :bomb: [link=x]", " \\[red]")
    table = Table("[red]head", right={"[red]head"}, indent=2)
    table.add_row("[/]cell\n:x:")
    terminal.table(table)
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        "[bold]a[/] :bomb: [link=x] \\[red]",
        "[red]head",
        r"[/]cell\n:x:",
    ]
