"""Filling a pull request's Neon branch, against the local cloud, with the real AWS CLI."""

from __future__ import annotations

import json
import threading

import pytest

from tests.lake import make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed
from tests.workflow.runner import Runner, execution_arn, waits_for_athena


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
    warning = "The Neon branch preview/pr-404 is gone, or was never created; nothing was run."
    assert ended.returncode == 0
    assert ended.stderr == f"::warning::{warning}\n"
    assert runner.outputs() == {"outcome": "gone"}
    assert warning.replace("preview/pr-404", "`preview/pr-404`") in runner.summary()
    with pytest.raises(deployed.client("stepfunctions").exceptions.ExecutionDoesNotExist):
        deployed.describe(execution_arn(runner, deployed, "preview"))


def test_a_preview_branch_that_goes_while_the_run_works_is_a_warning(
    runner: Runner, deployed: Deployed
) -> None:
    branch_id = _make_branch(deployed, "preview/pr-802")
    deployed.upload("first", make_rows(range(12)))
    deployed.athena_faults({"match": "UNLOAD", "hold": True})
    arn = execution_arn(runner, deployed, "preview")

    def delete() -> None:
        eventually(lambda: waits_for_athena(deployed, arn), 30)
        deployed.neon("DELETE", f"/branches/{branch_id}")
        deployed.athena_faults()

    goes = threading.Thread(target=delete)
    goes.start()
    ended = runner.step("sync_preview.py", GIT_REF="preview/pr-802", TRIGGER="preview")
    goes.join()
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.startswith("::error::The run is FAILED. ")
    assert "::warning::The Neon branch preview/pr-802 was deleted while the run" in ended.stderr
    assert runner.outputs() == {"outcome": "gone"}


def test_a_preview_fails_if_its_run_fails_or_its_branch_can_t_be_checked(
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


def _make_branch(deployed: Deployed, name: str) -> str:
    """A new branch of main, which is empty; its id."""
    branch: dict[str, str] = deployed.neon("POST", "/branches", {"branch": {"name": name}})[
        "branch"
    ]
    return branch["id"]
