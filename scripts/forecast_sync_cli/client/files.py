"""The files of a deployment's lake and what became of them, read through the status API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.errors import UserError

PAGE_FILES = 1000


def read(deployment: Deployment, limit: int, **query: str | None) -> Iterator[dict[str, Any]]:
    """At most ``limit`` files in the order of their keys, page by page."""
    after, left = None, limit
    while left > 0:
        texts = {**query, "after": after, "limit": str(min(left, PAGE_FILES))}
        answer = deployment.ask_status(
            "/files", {name: value for name, value in texts.items() if value is not None}
        )
        if answer is None:
            raise UserError(
                "the deployment's status API has no /files: deploy the current template.yaml"
            )
        yield from answer["files"]
        after, left = answer["next"], left - len(answer["files"])
        if after is None:
            return
