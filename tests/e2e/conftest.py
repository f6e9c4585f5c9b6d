"""A cloud for the commands to operate; uploads start nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest
from localcloud import cloud as local_cloud
from localcloud.protocol import Athena

from tests.e2e.cloud import client, execute, variables


@pytest.fixture(scope="module")
def cloud(athena: Athena) -> Iterator[dict[str, Any]]:
    with local_cloud.running(wait_scale=0.02, athena=athena) as running:
        up = asdict(running)
        client("events", up).disable_rule(Name="forecast-sync-dev-uploads")
        yield up


@pytest.fixture
def at(cloud: dict[str, Any]) -> dict[str, Any]:
    """The variables that point to the cloud, whose lake and databases are empty."""
    s3 = client("s3", cloud)
    for item in s3.list_objects_v2(Bucket=cloud["bucket"]).get("Contents", []):
        s3.delete_object(Bucket=cloud["bucket"], Key=item["Key"])
    for branch in ("dev", "preview/pr-7"):
        execute(cloud, "DROP SCHEMA public CASCADE", branch)
        execute(cloud, "CREATE SCHEMA public", branch)
    return variables(cloud)
