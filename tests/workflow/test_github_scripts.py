"""The workflows' scripts against the local cloud, with the real AWS CLI."""

from __future__ import annotations

import json
import threading

import pytest

from tests.lake import make_rows
from tests.waiting import eventually
from tests.workflow.breakages import refuse_a_row
from tests.workflow.deployed import Deployed
from tests.workflow.runner import Runner, execution_arn, waits_for_athena


@pytest.mark.parametrize(
    ("event", "branch", "asked", "environment", "git_ref"),
    [
        ("schedule", "refs/heads/main", "", "production", "main"),
        ("deployment_status", "main", "", "production", "main"),
        ("deployment_status", "dev", "", "dev", "dev"),
        ("deployment_status", "preview/pr-12", "", "dev", "preview/pr-12"),
        ("workflow_dispatch", "feature/x", "", "dev", "feature/x"),
        ("workflow_dispatch", "dev", "dev", "dev", "dev"),
        ("deployment_status", "renovate/react", "", "", ""),
        ("repository_dispatch", "preview/pr-12", "", "dev", "preview/pr-12"),
        ("repository_dispatch", "renovate/react", "", "", ""),
    ],
)
def test_an_event_finds_its_target(
    offline: Runner, event: str, branch: str, asked: str, environment: str, git_ref: str
) -> None:
    ended = offline.step("find_target.py", EVENT=event, BRANCH=branch, ENVIRONMENT=asked)
    assert ended.returncode == 0, ended.stderr
    assert offline.outputs() == {"environment": environment, "git_ref": git_ref}


def test_a_deployment_of_a_commit_is_warned_of_and_not_guessed_at(offline: Runner) -> None:
    commit = "0123abcd" * 5
    ended = offline.step("find_target.py", EVENT="deployment_status", BRANCH=commit)
    assert ended.returncode == 0
    assert ended.stderr.startswith(f"::warning::The deployment names the commit {commit}")
    assert offline.outputs() == {"environment": "", "git_ref": ""}


@pytest.mark.parametrize("asked", ["", "production"])
def test_a_dispatch_for_a_branch_of_no_or_another_environment_is_refused(
    offline: Runner, asked: str
) -> None:
    branch = "feature/x" if asked else "hotfix; curl evil"
    ended = offline.step(
        "find_target.py", EVENT="workflow_dispatch", BRANCH=branch, ENVIRONMENT=asked
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"::error::The git ref '{branch}' belongs to")
    assert len(ended.stderr.splitlines()) == 1


def test_the_check_names_the_neon_branch_and_creates_nothing(
    runner: Runner, deployed: Deployed
) -> None:
    deployed.succeed(dry_run=True)
    before = deployed.query("SELECT count(*) FROM forecast_sync_status")
    ended = runner.step("check_branch.py")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("dev is the Neon branch dev (br-")
    assert "Postgres 18 answers there" in ended.stdout
    assert deployed.query("SELECT count(*) FROM forecast_sync_status") == before


def test_the_check_refuses_a_branch_that_neon_does_not_have(runner: Runner) -> None:
    ended = runner.step("check_branch.py", GIT_REF="preview/pr-404")
    assert ended.returncode == 1
    assert ended.stderr.startswith("::error::BranchNotFound: ")
    assert len(ended.stderr.splitlines()) == 1


def test_a_run_is_started_once_followed_and_reported(runner: Runner, deployed: Deployed) -> None:
    deployed.upload("first", make_rows(range(1200)))
    for _ in range(2):
        ended = runner.step("run_sync.py", SYNC_TYPE="full", DATE_FROM="", DRY_RUN="false")
        assert ended.returncode == 0, ended.stderr
    assert "was started before" in ended.stdout
    assert len(deployed.table()) == 1200
    assert runner.step("report_run.py").returncode == 0
    assert "## Forecast sync: SUCCEEDED" in runner.summary()
    assert "| 1,200 | 0 | 1,200 | 0 | 1,200 | 1,200 | 0 | 0 |" in runner.summary()
    assert "https://us-east-2.console.aws.amazon.com/states/home" in runner.summary()


def test_a_failed_run_fails_the_job_and_says_why(runner: Runner) -> None:
    ended = runner.step("run_sync.py", DATE_FROM="$(reboot)")
    assert ended.returncode == 1
    assert ended.stderr.startswith("::error::The run is FAILED. InvalidInput: ")
    assert len(ended.stderr.splitlines()) == 1
    assert runner.step("report_run.py").returncode == 0
    assert "InvalidInput" in runner.summary()


def test_a_failed_page_gives_its_own_reason_and_not_the_map_s(
    runner: Runner, deployed: Deployed
) -> None:
    refuse_a_row(deployed)
    ended = runner.step("run_sync.py")
    assert ended.returncode == 1
    assert ended.stderr.startswith("::error::The run is FAILED. BatchRefused: Postgres answered")
    assert len(ended.stderr.splitlines()) == 1
    assert runner.step("report_run.py").returncode == 0
    assert "BatchRefused: Postgres answered 23514" in runner.summary()


def test_a_run_that_was_stopped_says_by_whom(runner: Runner, deployed: Deployed) -> None:
    arn = execution_arn(runner, deployed, "github")

    def stop() -> None:
        eventually(lambda: waits_for_athena(deployed, arn), 30)
        deployed.client("stepfunctions").stop_execution(
            executionArn=arn, error="StoppedByHand", cause="by a test"
        )

    stopped = threading.Thread(target=stop)
    with deployed.held_query():
        stopped.start()
        ended = runner.step("run_sync.py")
        stopped.join()
    assert ended.returncode == 1
    assert ended.stderr == "::error::The run is ABORTED. StoppedByHand: by a test\n"


def test_a_run_that_outlasts_the_job_is_distinguished_from_a_failed_one(
    runner: Runner, deployed: Deployed
) -> None:
    with deployed.held_query():
        ended = runner.step("run_sync.py", WAIT_SECONDS="0")
    assert ended.returncode == 1
    assert "still active after 0 s" in ended.stderr
    assert json.loads((runner.folder / "result.json").read_text())["status"] == "RUNNING"


def test_a_report_without_a_run_says_so(offline: Runner) -> None:
    ended = offline.step("report_run.py")
    assert ended.returncode == 1
    assert "wasn't started" in ended.stderr
