"""The files of a deployment's lake and what became of them, read through the status API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Literal

from forecast_sync.runs.files import LISTED_BY

from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.errors import UserError

PAGE_FILES = 1000
LISTED_HERE = "`forecast-sync files --state quarantined` lists them."
NO_FILES = "the deployment's status API has no /files: deploy the current template.yaml"


def read(deployment: Deployment, limit: int, **query: str | None) -> Iterator[dict[str, Any]]:
    """At most ``limit`` files, table by table in the order of their keys, page by page."""
    left = limit
    for each in deployment.each_table():
        for file in _read_table(each, left, **query):
            left -= 1
            yield file


def _read_table(
    deployment: Deployment, limit: int, **query: str | None
) -> Iterator[dict[str, Any]]:
    after, left = None, limit
    while left > 0:
        texts = {
            **query,
            **deployment.table_choice,
            "after": after,
            "limit": str(min(left, PAGE_FILES)),
        }
        answer = deployment.ask_status(
            "/files", {name: value for name, value in texts.items() if value is not None}
        )
        if answer is None:
            raise UserError(NO_FILES)
        yield from ({**file, "table": deployment.table_name} for file in answer["files"])
        after, left = answer["next"], left - len(answer["files"])
        if after is None:
            return


def decide(
    deployment: Deployment,
    decision: Literal["accept", "retry"],
    keys: Sequence[str],
    git_ref: str | None,
) -> None:
    """Accept quarantined files, or have them judged again; ``UserError`` says why not."""
    for first in range(0, len(keys), PAGE_FILES):
        batch = [*keys[first : first + PAGE_FILES]]
        body: dict[str, Any] = {"keys": batch, **deployment.table_choice}
        if git_ref is not None:
            body["git_ref"] = git_ref
        answer = deployment.api.call("POST", f"/files/{decision}", body=body)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise UserError(NO_FILES)
        if not answer.ok:
            reason = answer.reason.replace(LISTED_BY, LISTED_HERE)
            raise UserError(f"nothing was changed: {reason}")
