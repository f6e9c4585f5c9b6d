"""A few rounds of random faults with a fixed seed; `make chaos` plays more."""

from __future__ import annotations

import pytest

from tests.chaos.rounds import compact, play, start_another, stop_and_redrive
from tests.workflow.deployed import Deployed


@pytest.mark.timeout(300)
def test_rounds_of_random_faults_end_right(deployed: Deployed) -> None:
    played = list(play(deployed, rounds=3, seed=7))
    assert sum(one.rows for one in played) > 1_000
    assert [one for one in played if one.differences] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compactions_and_redrives_leave_no_older_row(deployed: Deployed) -> None:
    played = list(
        play(deployed, rounds=2, seed=3, faults=[compact, stop_and_redrive, start_another])
    )
    assert [one for one in played if one.differences] == []
