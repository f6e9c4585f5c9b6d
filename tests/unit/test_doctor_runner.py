"""The commands that doctor suggests name the region and the project that it examined."""

from __future__ import annotations

import pytest
from forecast_sync_cli.doctor.runner import Context, redeploy


@pytest.mark.parametrize(
    ("region", "project", "options"),
    [
        ("us-east-2", "forecast-sync", "--config-env dev`"),
        ("eu-west-1", "forecast-sync", "--config-env dev --region eu-west-1`"),
        (
            "eu-west-1",
            "other",
            "--config-env dev --region eu-west-1 --stack-name other-dev --s3-prefix other-dev`",
        ),
    ],
)
def test_the_command_includes_only_values_that_aren_t_defaults(
    region: str, project: str, options: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    assert f"sam deploy {options}" in redeploy(Context("dev", None, project))
