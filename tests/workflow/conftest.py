"""Fixtures that several of these files share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflow.deployed import Deployed
from tests.workflow.runner import Runner, runner_at


@pytest.fixture
def offline(tmp_path: Path) -> Runner:
    return Runner(tmp_path, {})


@pytest.fixture
def runner(tmp_path: Path, deployed: Deployed) -> Runner:
    return runner_at(deployed, tmp_path)
