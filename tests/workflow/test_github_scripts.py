"""The workflows' scripts against the local cloud, with the real AWS CLI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.stack import ROOT
from tests.lake import make_rows
from tests.waiting import eventually
from tests.workflow.breakages import refuse_a_row
from tests.workflow.deployed import Deployed

CLI = ROOT / ".tools/awscli/bin"


@dataclass(frozen=True)
class Runner:
    """A job's step on GitHub's runner: files for results, and only the variables it is given."""

    folder: Path
    cloud: dict[str, str]

    def step(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        given = {
            "PATH": f"{CLI}:{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "RESULT_FILE": str(self.folder / "result.json"),
            "POLL_SECONDS": "0.2",
            "GITHUB_RUN_ATTEMPT": "1",
        }
        return subprocess.run(
            [sys.executable, ROOT / "scripts/github" / script],
            env={**given, **self.cloud, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def outputs(self) -> dict[str, str]:
        lines = (self.folder / "output").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def summary(self) -> str:
        return (self.folder / "summary.md").read_text()


@pytest.fixture
def offline(tmp_path: Path) -> Runner:
    return Runner(tmp_path, {})


@pytest.fixture
def runner(tmp_path: Path, deployed: Deployed) -> Runner:
    assert CLI.is_dir(), "the AWS CLI is missing: make test installs it"
    cloud = {
        "AWS_ENDPOINT_URL": deployed.cloud.endpoint_url,
        "AWS_REGION": deployed.cloud.region,
        "AWS_DEFAULT_REGION": deployed.cloud.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "ENVIRONMENT": "dev",
        "GIT_REF": "dev",
        "GITHUB_RUN_ID": uuid.uuid4().hex[:12],
    }
    return Runner(tmp_path, cloud)


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


def test_a_failed_page_tells_why_it_failed_and_not_that_a_map_has(
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
    deployed.athena_faults({"match": "UNLOAD", "seconds": 30})
    arn = _execution_arn(runner, deployed, "github")

    def stop() -> None:
        eventually(lambda: _waits_for_athena(deployed, arn), 30)
        deployed.client("stepfunctions").stop_execution(
            executionArn=arn, error="StoppedByHand", cause="by a test"
        )

    stopped = threading.Thread(target=stop)
    stopped.start()
    ended = runner.step("run_sync.py")
    stopped.join()
    assert ended.returncode == 1
    assert ended.stderr == "::error::The run is ABORTED. StoppedByHand: by a test\n"


def test_a_run_that_takes_longer_than_the_job_is_told_from_one_that_failed(
    runner: Runner, deployed: Deployed
) -> None:
    deployed.athena_faults({"match": "UNLOAD", "seconds": 3})
    ended = runner.step("run_sync.py", WAIT_SECONDS="0")
    assert ended.returncode == 1
    assert "still works after 0 s" in ended.stderr
    assert json.loads((runner.folder / "result.json").read_text())["status"] == "RUNNING"


def test_a_preview_branch_that_appears_late_is_filled(runner: Runner, deployed: Deployed) -> None:
    deployed.upload("first", make_rows(range(12)))
    appears = threading.Timer(1.5, _make_branch, [deployed, "preview/pr-801"])
    appears.start()
    preview = {"GIT_REF": "preview/pr-801", "TRIGGER": "preview"}
    ended = runner.step("sync_preview.py", WAIT_FOR_BRANCH="60", **preview)
    appears.join()
    assert ended.returncode == 0, ended.stderr
    assert runner.outputs() == {"outcome": "filled"}
    execution = json.loads((runner.folder / "result.json").read_text())
    assert execution["name"].startswith("preview-")
    output = json.loads(execution["output"])
    assert (output["neon_branch"], output["counts"]["good"]) == ("preview/pr-801", 12)
    assert runner.step("report_run.py").returncode == 0
    assert "`preview/pr-801` to the Neon branch `preview/pr-801`" in runner.summary()


def test_a_preview_branch_that_is_gone_is_a_warning_and_starts_nothing(
    runner: Runner, deployed: Deployed
) -> None:
    ended = runner.step("sync_preview.py", GIT_REF="preview/pr-404", TRIGGER="preview")
    told = "The Neon branch preview/pr-404 is gone, or was never made; nothing was run."
    assert ended.returncode == 0
    assert ended.stderr == f"::warning::{told}\n"
    assert runner.outputs() == {"outcome": "gone"}
    assert told in runner.summary()
    with pytest.raises(deployed.client("stepfunctions").exceptions.ExecutionDoesNotExist):
        deployed.describe(_execution_arn(runner, deployed, "preview"))


def test_a_preview_branch_that_goes_while_the_run_works_is_a_warning(
    runner: Runner, deployed: Deployed
) -> None:
    branch_id = _make_branch(deployed, "preview/pr-802")
    deployed.upload("first", make_rows(range(12)))
    deployed.athena_faults({"match": "UNLOAD", "seconds": 3})
    arn = _execution_arn(runner, deployed, "preview")

    def delete() -> None:
        eventually(lambda: _waits_for_athena(deployed, arn), 30)
        deployed.neon("DELETE", f"/branches/{branch_id}")

    goes = threading.Thread(target=delete)
    goes.start()
    ended = runner.step("sync_preview.py", GIT_REF="preview/pr-802", TRIGGER="preview")
    goes.join()
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.startswith("::error::The run is FAILED. ")
    assert "::warning::The Neon branch preview/pr-802 was deleted while the run" in ended.stderr
    assert runner.outputs() == {"outcome": "gone"}


def test_a_preview_whose_run_fails_or_whose_branch_cannot_be_asked_for_fails(
    runner: Runner,
) -> None:
    preview = {"GIT_REF": "preview/pr-7", "TRIGGER": "preview"}
    ended = runner.step("sync_preview.py", DATE_FROM="never", **preview)
    assert ended.returncode == 1
    assert "InvalidInput" in ended.stderr
    assert runner.outputs() == {"outcome": "failed"}
    ended = runner.step("sync_preview.py", GIT_REF="pr-7", TRIGGER="preview")
    assert ended.returncode == 1
    assert ended.stderr.startswith("::error::BranchNotMapped: ")
    assert len(ended.stderr.splitlines()) == 1


def _execution_arn(runner: Runner, deployed: Deployed, trigger: str) -> str:
    machine = deployed.cloud.state_machine_arn.replace(":stateMachine:", ":execution:")
    return f"{machine}:{trigger}-{runner.cloud['GITHUB_RUN_ID']}-1"


def _make_branch(deployed: Deployed, name: str) -> str:
    """A new branch of main, which is empty; its id."""
    branch: dict[str, str] = deployed.neon("POST", "/branches", {"branch": {"name": name}})[
        "branch"
    ]
    return branch["id"]


def _waits_for_athena(deployed: Deployed, arn: str) -> bool:
    try:
        return "Poll Athena query" in deployed.entered(arn)
    except deployed.client("stepfunctions").exceptions.ExecutionDoesNotExist:
        return False


def test_a_report_without_a_run_says_so(offline: Runner) -> None:
    ended = offline.step("report_run.py")
    assert ended.returncode == 1
    assert "wasn't started" in ended.stderr
