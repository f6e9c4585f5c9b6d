"""A job's step on GitHub's runner, with the real AWS CLI and the local cloud."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.contract.stack import ROOT
from tests.workflow.deployed import Deployed

CLI = ROOT / ".tools/awscli/bin"


@dataclass(frozen=True)
class Runner:
    """Files for a step's results, and only the variables that it is given."""

    folder: Path
    cloud: dict[str, str]

    def step(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        given = {
            "PATH": f"{CLI}:{os.environ['PATH']}",
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "RESULT_FILE": str(self.folder / "result.json"),
            "POLL_SECONDS": "1",
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


def runner_at(deployed: Deployed, folder: Path) -> Runner:
    """A runner of its own run, for the environment and branch ``dev``."""
    assert CLI.is_dir(), "the AWS CLI is missing: make test installs it"
    cloud = {
        **deployed.cloud.variables,
        "AWS_DEFAULT_REGION": deployed.cloud.region,
        "ENVIRONMENT": "dev",
        "GIT_REF": "dev",
        "GITHUB_RUN_ID": uuid.uuid4().hex[:12],
    }
    return Runner(folder, cloud)


def execution_arn(runner: Runner, deployed: Deployed, trigger: str) -> str:
    """The ARN of the execution that a step of this trigger starts."""
    machine = deployed.cloud.state_machine_arn.replace(":stateMachine:", ":execution:")
    return f"{machine}:{trigger}-{runner.cloud['GITHUB_RUN_ID']}-1"


def waits_for_athena(deployed: Deployed, arn: str) -> bool:
    """Whether an execution has begun to poll its query."""
    try:
        return "Poll Athena query" in deployed.entered(arn)
    except deployed.client("stepfunctions").exceptions.ExecutionDoesNotExist:
        return False
