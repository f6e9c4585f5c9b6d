"""A cloud for the commands to operate; uploads start nothing in it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.deployed import Deployed


@pytest.fixture
def at(deployed: Deployed) -> dict[str, Any]:
    """The variables that point to the cloud, whose lake and databases are empty."""
    return deployed.cloud.variables
