"""What the commands that set something up print with ``--json``; see ``shapes``."""

from __future__ import annotations

from typing import Literal

from forecast_sync.contracts.base import Model
from pydantic import Field


class CloudShape(Model):
    """Where a local cloud listens, and the keys that were made for it."""

    endpoint_url: str
    region: str
    bucket: str
    results_bucket: str
    state_machine_arn: str
    api_url: str
    neon_api_url: str
    neon_project_id: str
    neon_api_key: str
    access_key_id: str = Field(description="For the AWS variables.")
    secret_access_key: str
    database_urls: dict[str, str] = Field(description="By Neon branch.")
    state_dir: str
    pid: int
    already_running: bool


class DownShape(Model):
    """What was stopped."""

    was_running: bool


class TableShape(Model):
    """A sound table file."""

    target: str
    columns: int
    reject_rules: int
    expectations: int


class DeclareShape(Model):
    """A table in Glue."""

    database: str
    table: str
    action: Literal["created", "updated"]
