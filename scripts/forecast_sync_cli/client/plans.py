"""The reports of dry runs, which are objects in the deployment's bucket of results."""

from __future__ import annotations

import json
from typing import Any

from forecast_sync.adapters.s3 import Storage, split_location

from forecast_sync_cli.client.deployment import Deployment


def read_report(deployment: Deployment, location: str) -> dict[str, Any]:
    """The report at an ``s3://`` location."""
    content = Storage(deployment.client("s3")).read(*split_location(location))
    report: dict[str, Any] = json.loads(content)
    return report
