"""The model of a burst: no upload is left over, and few runs work."""

from __future__ import annotations

import pytest
from benchmarks.burst_model import RUN_SECONDS, WINDOWS, simulate


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("files", "files_per_second"), [(1, 1.0), (200, 100.0), (10_000, 1000.0)])
def test_a_burst_that_is_shorter_than_a_run_is_two_working_runs_at_most(
    files: int, files_per_second: float, window: float
) -> None:
    outcome = simulate(files, files_per_second, window)
    assert 1 <= outcome.working <= min(files, 2)
    assert outcome.executions >= outcome.working
    assert outcome.first_row <= outcome.last_row <= window + 2.5 * RUN_SECONDS


def test_one_file_waits_for_the_window_and_a_run() -> None:
    waits = [simulate(1, 1.0, window).first_row for window in WINDOWS]
    assert [wait - waits[0] for wait in waits] == list(WINDOWS)


def test_a_longer_burst_is_a_run_for_each_length_of_a_run() -> None:
    """Each run takes in what has come meanwhile, so that rows don't wait for the burst's end."""
    outcome = simulate(10_000, 100.0, 20)
    assert outcome.working <= 100 / RUN_SECONDS + 2
    assert outcome.first_row < 20 + 2 * RUN_SECONDS
