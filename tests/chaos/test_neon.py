"""Neon refuses, sleeps, forgets a branch, or has its key rotated."""

from __future__ import annotations

import time

import psutil
import psycopg
import pytest

from tests.chaos import scene
from tests.lake import make_rows, reference
from tests.waiting import eventually
from tests.workflow.deployed import Deployed


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_ends_the_run_by_name_and_a_redrive_finishes_it(
    deployed: Deployed, status: int
) -> None:
    deployed.upload("few", make_rows(range(20)))
    deployed.neon_fault(status=status, times=1)
    failed = deployed.run()
    assert (failed.status, failed.error) == ("FAILED", "NeonRefused")
    assert f"({status})" in failed.cause
    scene.finished(deployed, deployed.redrive(failed))


def test_too_many_requests_are_waited_for_as_long_as_neon_says(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(20)))
    deployed.neon_fault(status=429, times=2, retry_after=1)
    began = time.monotonic()
    ended = deployed.succeed()
    assert time.monotonic() - began > 2
    assert deployed.attempts(ended.arn, "Resolve branch") == 1
    scene.finished(deployed, ended)


def test_a_compute_takes_seconds_to_wake_up(deployed: Deployed) -> None:
    """Its port accepts connections, but no answer comes for a while."""
    deployed.upload("few", make_rows(range(20)))
    scene.kill_workers(deployed, "read-watermark")
    with scene.stopped([_postmaster(deployed)]):
        began = time.monotonic()
        arn = deployed.start()
        eventually(lambda: "Read watermark" in deployed.entered(arn))
        eventually(lambda: time.monotonic() > began + 3)
    scene.finished(deployed, deployed.wait(arn))


def _postmaster(deployed: Deployed) -> psutil.Process:
    with psycopg.connect(deployed.cloud.database_urls["dev"]) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        parent = backend.parent()
    assert parent is not None
    return parent


def test_the_branch_is_deleted_during_the_run(deployed: Deployed) -> None:
    """The run fails by name, and no other branch gets its rows."""
    deployed.upload("few", make_rows(range(20)))
    created = deployed.neon("POST", "/branches", {"branch": {"name": "preview/pr-8"}})
    with deployed.held_query():
        arn = deployed.start(git_ref="preview/pr-8")
        eventually(lambda: "Run queries" in deployed.entered(arn))
        deployed.neon("DELETE", f"/branches/{created['branch']['id']}")
        _end_sessions(deployed)
    failed = deployed.wait(arn)
    assert failed.status == "FAILED"
    assert "no such branch, database or role (404)" in scene.task_failures(deployed, failed.arn)
    for branch in ("dev", "preview/pr-7"):
        assert deployed.query("SELECT to_regclass('forecast_data')", branch=branch) == [(None,)]


def _end_sessions(deployed: Deployed) -> None:
    deployed.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )


def test_the_key_is_rotated_between_two_runs(deployed: Deployed) -> None:
    deployed.upload("few", make_rows(range(20)))
    deployed.succeed()
    secrets = deployed.client("secretsmanager")
    for key in ("another-key", deployed.cloud.neon_api_key):
        deployed.neon("POST", "/_key", {"api_key": key})
        secrets.put_secret_value(SecretId="forecast-sync-dev/neon-api-key", SecretString=key)
        scene.finished(deployed, deployed.succeed())


def test_a_branch_made_in_the_middle_of_a_run_ends_right_too(deployed: Deployed) -> None:
    """It has a copy of the lease and of half the rows; both databases must end right."""
    deployed.upload("first", make_rows(range(2_000)))
    deployed.succeed()
    deployed.upload("bulky", scene.bulky_rows(range(2_000, 30_000)))
    # A page whose file is late leaves its session idle, so that the database can be copied.
    with scene.held_results(deployed, after_bytes=0):
        arn = deployed.start()
        eventually(lambda: _rows(deployed) > 2_000)
        deployed.make_branch("preview/pr-9", "dev")
        assert 2_000 < _rows(deployed, "preview/pr-9") < 30_000
    deployed.upload("more", make_rows(range(40_000, 40_100)))
    deployed.succeed(git_ref="preview/pr-9")
    assert deployed.wait(arn).status == "SUCCEEDED"
    scene.finished(deployed, deployed.succeed(), ids=60_000)
    assert deployed.table("preview/pr-9") == reference(deployed.files)


def _rows(deployed: Deployed, branch: str = "dev") -> int:
    return int(deployed.query("SELECT count(*) FROM forecast_data", branch=branch)[0][0])
