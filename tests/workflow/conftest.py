"""Fixtures that several of these files share."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.workflow.deployed import Deployed
from tests.workflow.runner import CLI, Runner


@pytest.fixture
def offline(tmp_path: Path) -> Runner:
    return Runner(tmp_path, {})


@pytest.fixture
def runner(tmp_path: Path, deployed: Deployed) -> Runner:
    assert CLI.is_dir(), "the AWS CLI is missing: make test installs it"
    cloud = {
        **deployed.cloud.variables,
        "AWS_DEFAULT_REGION": deployed.cloud.region,
        "ENVIRONMENT": "dev",
        "GIT_REF": "dev",
        "GITHUB_RUN_ID": uuid.uuid4().hex[:12],
    }
    return Runner(tmp_path, cloud)
