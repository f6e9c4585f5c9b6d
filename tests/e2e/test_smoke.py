"""Every command once as it is installed: in its own process, which prints its answer and ends.

What commands do is tested in the test's process, which is faster.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from devtools.cli_reference import find_commands

from tests.contract.stack import ROOT
from tests.e2e.cli import as_installed, forecast_sync
from tests.e2e.test_deploy_walk import COMMANDS as WALKED
from tests.lake import make_row, make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed

SMOKE: dict[str, tuple[list[str], str]] = {
    "history": ([], "smoke-failed"),
    "logs": (["smoke-ended"], "resolve-branch"),
    "plan": (["--sync-type", "full"], "no row was written"),
    "diff": ([], "11 rows in the lake"),
    "files": (["--state", "loaded"], "forecast/"),
    "files accept": (["forecast/bad.parquet"], "accepted forecast/bad.parquet"),
    "files retry": (["forecast/bad.parquet"], "the next run judges forecast/bad.parquet again"),
    "rejects": ([], "state is NULL"),
    "rejects list": ([], "restaurant_id=9"),
    "rejects reasons": ([], "state is NULL"),
    "rejects export": (["rejects.csv"], "1"),
    "redrive": (["smoke-failed"], "SUCCEEDED"),
    "rejects replay": ([], "rejects: 1 before, 1 now"),
    "backfill": (
        ["--from", "2026-12-01", "--to", "2026-12-02", "--name", "smoke"],
        "backfill-smoke-",
    ),
    "preview": (["7"], "SUCCEEDED"),
    "stop": (["smoke-running"], "ABORTED"),
    "tables check": (["forecast"], "valid: forecast (forecast_data)"),
    "tables ddl": (["forecast"], "CREATE TABLE"),
}
"""By command what else it is called with, and what it then says."""

ELSEWHERE = {
    "demo": "tests/e2e/test_demo.py",
    "sync": "tests/e2e/test_sync.py",
    "tables init": "tests/e2e/test_own_table.py",
    "dashboard": "tests/browser/conftest.py",
    "local up": "tests/e2e/test_smoke.py",
    "local down": "tests/e2e/test_smoke.py",
}
"""Commands that need more than a line, and who starts them."""

ON_THE_PAGE = {"doctor", "start", "status", "example", "tables declare"}
"""Commands of docs/deploy.md, which test_deploy_walk.py runs in a shell."""


def test_every_command_is_started_once() -> None:
    """A new command goes into one of these tables."""
    tables = [*SMOKE, *ELSEWHERE, *ON_THE_PAGE]
    assert sorted(tables) == sorted(name for name, _ in find_commands())
    for command, file in ELSEWHERE.items():
        words = ", ".join(f'"{word}"' for word in command.split())
        text = (ROOT / file).read_text()
        assert f"as_installed({words}" in text or f"COMMAND, {words}" in text, command
    for command in ON_THE_PAGE:
        beginning = f".venv/bin/forecast-sync {command}"
        assert any(line.startswith(beginning) for line in WALKED), command


@pytest.fixture(scope="module")
def scene(_deployed: Deployed) -> Deployed:
    """A run with a reject and a bad file, and one that a constraint stopped, which is repaired."""
    _deployed.reset()
    _deployed.upload("bad", b"not Parquet")
    _deployed.upload(
        "a", [*make_rows(range(9)), make_row(9, state=None), make_row(10), make_row(19)]
    )
    ended = _deployed.run(name="smoke-ended")
    assert ended.changed == (11, 0, 0)
    _deployed.execute("ALTER TABLE forecast_data ADD CONSTRAINT small CHECK (y_50 < 5000)")
    _deployed.upload("b", [make_row(20, y_50=6000.0)])
    assert _deployed.run(name="smoke-failed").status == "FAILED"
    eventually(lambda: (_deployed.status("smoke-failed") or {}).get("status") == "failed")
    _deployed.execute("ALTER TABLE forecast_data DROP CONSTRAINT small")
    return _deployed


@pytest.mark.parametrize("command", SMOKE)
def test_a_command_runs_as_it_is_installed(
    scene: Deployed, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, words = SMOKE[command]
    monkeypatch.chdir(tmp_path)
    at: dict[str, Any] = scene.cloud.variables
    with scene.held_query() if command == "stop" else nullcontext():
        if command == "stop":
            scene.start(name="smoke-running")
        assert words in as_installed(*command.split(), *arguments, **at).stdout


def test_a_local_cloud_goes_up_and_down(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    place = ("--state-dir", str(state_dir), "--json")
    up: dict[str, Any] = json.loads(as_installed("local", "up", *place).stdout)
    try:
        again = json.loads(forecast_sync("local", "up", *place).stdout)
        assert again == up | {"already_running": True}
        names = {"endpoint_url", "region", "bucket", "results_bucket", "state_machine_arn"}
        names |= {"neon_api_url", "neon_project_id", "neon_api_key", "database_urls", "api_url"}
        names |= {"access_key_id", "secret_access_key"}
        assert names <= set(up)
        assert set(up["database_urls"]) == {"main", "dev", "preview/pr-7"}
        assert up["bucket"] == "forecast-sync-datalake-dev-35315550"
    finally:
        down = json.loads(as_installed("local", "down", *place).stdout)
    assert down == {"was_running": True}
    assert json.loads(forecast_sync("local", "down", *place).stdout) == {"was_running": False}
