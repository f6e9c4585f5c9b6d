"""A local sync's messages never advise a redrive: its cloud is gone."""

from __future__ import annotations

import pytest
from forecast_sync_cli.local_advice import advise_again


@pytest.mark.parametrize(
    ("said", "advised"),
    [
        ("Correct it, then redrive.", "Correct it, then run the same command again."),
        ("Redrive when it has ended.", "Run the same command again when it has ended."),
        (
            "Repair it, then redrive or start a new run.",
            "Repair it, then run the same command again.",
        ),
        ("It failed before the redrive.", "It failed before the redrive."),
        (
            "Repair, remove or accept it: forecast-sync files --state quarantined.",
            "Repair or remove it, then run the same command again.",
        ),
    ],
)
def test_who_is_told_to_redrive_is_told_to_run_the_command_again(said: str, advised: str) -> None:
    assert advise_again(said) == advised
