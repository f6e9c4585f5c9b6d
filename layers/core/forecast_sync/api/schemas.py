"""The API's requests and answers, except runs, whose model is ``forecast_sync.runs.model``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from forecast_sync.contracts.base import LINE_PATTERN, Model
from forecast_sync.contracts.run import TABLE_PATTERN, SyncRequest
from forecast_sync.resolve.git_refs import REF_PATTERN
from forecast_sync.runs.model import Answered, Links

FileKey = Annotated[str, Field(min_length=1, max_length=1024, pattern=LINE_PATTERN)]


class StartRequest(SyncRequest):
    """The execution input; every key is optional."""

    git_ref: Annotated[str, Field(max_length=255, pattern=REF_PATTERN)] | None = None
    trigger: Annotated[str, Field(min_length=1, max_length=64, pattern=LINE_PATTERN)] = "manual"


class FilesRequest(Model):
    """Which quarantined files to decide about; `git_ref` names the branch.

    `table` names the table; it is required only if the stack has several.
    """

    keys: Annotated[list[FileKey], Field(min_length=1, max_length=1000)]
    git_ref: Annotated[str, Field(max_length=255, pattern=REF_PATTERN)] | None = None
    table: Annotated[str, Field(max_length=255, pattern=TABLE_PATTERN)] | None = None


class DeployedTable(Answered):
    """The table that the deployment syncs."""

    name: str = Field(description="`NAME` of the file `tables/NAME.toml`.")
    target: str = Field(description="The Postgres table.")
    definition: str = Field(description="Hash of what decides values in the file.")
    location: str = Field(description="Where the lake's objects are, `s3://bucket/prefix/`.")
    file: str = Field(description="The text of the table file.")


class Accepted(Answered):
    """The requested run; `GET /syncs/{run_id}` shows its progress."""

    run_id: str
    execution_arn: str
    links: Links
