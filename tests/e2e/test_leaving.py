"""Rows that leave, as people see them: sync's exit code, plan, history, diff and status."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from localcloud.protocol import Athena

from tests.e2e.cli import as_json, forecast_sync
from tests.lake import MORNING, make_rows
from tests.workflow.leaving import BOTH, declare, table_file, to_parquet, tombstone
from tests.workflow.project import Project, copied_project

LATER = MORNING + timedelta(hours=1)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, athena: Athena) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("project")
    with copied_project(folder, wait_scale=0.02, athena=athena) as deployed:
        declare(deployed)
        deployed.react_to_uploads(False)
        yield deployed


def test_sync_exits_with_3_until_somebody_allows_the_deletions(
    tmp_path: Path, database_url: str
) -> None:
    lake, table = tmp_path / "lake", tmp_path / "forecast.toml"
    lake.mkdir()
    table.write_text(table_file(mirror=True))
    (lake / "a.parquet").write_bytes(to_parquet(make_rows(range(10))))
    (lake / "b.parquet").write_bytes(to_parquet(make_rows(range(10, 130))))
    sync = ("sync", lake, "--database-url", database_url, "--table", table)
    assert as_json(*sync)["result"]["counts"]["inserted"] == 130
    (lake / "b.parquet").unlink()
    (lake / "bad.parquet").write_text("no Parquet")
    shown = forecast_sync(*sync, code=3).stdout
    assert "120 rows stay that should leave" in shown.replace("\n", " ")
    assert "the same command with --allow-deletes 120" in shown.replace("\n", " ")
    held = f"{lake}/bad.parquet can't be read and may have these keys. Repair or remove it, then"
    assert held in shown.replace("\n", " ")
    allowed = as_json(*sync, "--allow-deletes", "120", code=3)
    assert allowed["result"]["counts"]["deleted"] == 120
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM forecast_data").fetchone() == (10,)


def test_what_leaves_and_what_waits_is_shown_everywhere(project: Project) -> None:
    project.deploy(BOTH)
    at: dict[str, Any] = project.cloud.variables
    project.upload("a", make_rows(range(200)))
    as_json("start", **at)
    project.upload("gone", to_parquet([tombstone(n, updated_at=LATER) for n in range(150)]))
    report = as_json("plan", **at)
    assert (report["counts"]["deleted"], report["deletes_deferred"]) == (0, 150)
    assert report["deletions"][0]["why"] == "tombstone"
    assert len(report["deletions"]) == 20
    assert len(project.table()) == 200
    words = forecast_sync("plan", report["run_id"], **at).stdout
    assert "rows that should leave the table: 150" in words
    assert "deleted in the lake" in words
    assert as_json("start", **at)["result"]["deletes_deferred"] == 150
    history = as_json("history", **at)
    assert [(run["deleted"], run["deletes_deferred"]) for run in history[:2]] == [(0, 150)] * 2
    assert "150 to delete wait" in forecast_sync("history", **at).stdout.replace("\n", " ")
    assert "start --allow-deletes 150" in forecast_sync("status", **at).stdout.replace("\n", " ")
    differing = " ".join(forecast_sync("diff", code=1, **at).stdout.split())
    assert differing.count(" deleted in the lake") == 21, "20 keys, and what to do"
    assert "What is deleted in the lake waits until somebody allows it:" in differing
    assert "To sync the other keys" not in differing, "no run lets them go by itself"
    refused = forecast_sync("start", "--allow-deletes", "0", code=2, **at).stderr
    assert "'--allow-deletes': expected at least 1" in refused
    done = as_json("start", "--allow-deletes", "150", **at)
    assert done["result"]["counts"]["deleted"] == 150
    assert len(project.table()) == 50
    assert as_json("status", **at)["runs"][0]["deleted"] == 150
