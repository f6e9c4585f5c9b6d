"""One local cloud for all workflow tests, emptied before each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from forecast_sync_ops.local import cloud

from tests.workflow.deployed import Deployed

PARAMETERS = {"BatchingWindowSeconds": "1", "PageBytes": "1"}


@pytest.fixture(scope="session")
def _deployed() -> Iterator[Deployed]:
    with cloud.running(wait_scale=0.02, parameters=PARAMETERS) as running:
        yield Deployed(running)


@pytest.fixture
def deployed(_deployed: Deployed) -> Deployed:
    """The deployed machine with an empty lake and an empty database."""
    _deployed.reset()
    return _deployed
