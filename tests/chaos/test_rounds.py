"""A few rounds of random faults with a fixed seed; `make chaos` plays more."""

from __future__ import annotations

import pytest

from tests.chaos.rounds import FAULTS, compact, play, start_another, stop_and_redrive
from tests.chaos.synced import Scene
from tests.workflow.deployed import Deployed


@pytest.mark.timeout(300)
def test_rounds_of_random_faults_end_right(deployed: Deployed) -> None:
    played = list(play(Scene(deployed.cloud), range(1, 4), seed=72, faults=FAULTS))
    assert sum(one.rows for one in played) > 1_000
    assert [one for one in played if not one.is_right] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compactions_and_redrives_leave_no_older_row(deployed: Deployed) -> None:
    faults = [compact, stop_and_redrive, start_another]
    played = list(play(Scene(deployed.cloud), range(1, 3), seed=3, faults=faults))
    assert [one for one in played if not one.is_right] == []
