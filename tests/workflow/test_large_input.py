"""Large and strange input through the deployed machine: messages are bounded, and name the file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from forecast_sync_cli.client import deployment, rejects

from tests.lake import make_row, make_rows, reference
from tests.workflow.deployed import Deployed

LARGE = 24_000_000


@pytest.mark.parametrize(
    "asked",
    [
        {"git_ref": "feature/a\0b"},
        {"trigger": "\x1b]52;c;eA==\x07"},
        {"dry_run": "true"},
        {"batch_size": True},
        {"date_from": 20_000},
        {"x" * 100_000: 1},
    ],
    ids=lambda asked: next(iter(asked))[:20],
)
def test_a_strange_execution_input_fails_by_name_and_in_one_short_line(
    deployed: Deployed, asked: dict[str, Any]
) -> None:
    failed = deployed.run(**asked)
    assert (failed.status, failed.error) == ("FAILED", "InvalidInput")
    message = json.loads(failed.cause)["errorMessage"]
    assert message.isprintable()
    assert len(message) < 4_000


def test_a_reject_of_24_mb_goes_all_the_way(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept whole, shown shortened with its size, and hinders no other row."""
    deployed.upload("good", make_rows(range(10)))
    large = make_row(50, dma_id="d" * LARGE)
    deployed.upload("large", [large])
    ended = deployed.succeed()
    assert ended.counts["rejected"] == 1
    assert deployed.table() == reference(deployed.files)
    kept = deployed.query("SELECT octet_length(row_json::text) FROM forecast_sync_rejects")
    for name, value in deployed.cloud.variables.items():
        monkeypatch.setenv(name, value)
    target = deployment.find("dev")
    [shown] = rejects.read(target, None)
    assert (shown["row_bytes"], shown["shortened"]) == (kept[0][0], True)
    assert shown["row_json"]["dma_id"] == "d" * 200 + "… (24,000,000 characters)"
    [whole] = rejects.whole(target, iter([shown]), None)
    assert whole["row_json"]["dma_id"] == "d" * LARGE
