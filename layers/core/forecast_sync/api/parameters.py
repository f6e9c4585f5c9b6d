"""The parameters in the API's paths, queries and headers, as OpenAPI describes them."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query

from forecast_sync.contracts.base import LINE_PATTERN
from forecast_sync.contracts.run import TABLE_PATTERN
from forecast_sync.resolve.git_refs import REF_PATTERN

NAME = r"^[A-Za-z0-9_-]+$"

GitRef = Annotated[
    str | None,
    Query(
        max_length=255,
        pattern=REF_PATTERN,
        description="Git branch; default: the environment's own.",
    ),
]
TableName = Annotated[
    str | None,
    Query(
        pattern=TABLE_PATTERN,
        max_length=255,
        description="A table of the stack; needed only where there are several.",
    ),
]
OneTable = Annotated[
    str | None,
    Query(pattern=TABLE_PATTERN, max_length=255, description="Of this table only; default: all."),
]
RunId = Annotated[
    str, Path(pattern=NAME, min_length=1, max_length=80, description="Name of the run.")
]
AfterRun = Annotated[
    str | None,
    Query(pattern=NAME, max_length=80, description="`next` of the previous page."),
]
Trigger = Annotated[
    str | None, Query(pattern=LINE_PATTERN, max_length=64, description="What started the run.")
]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
GoalHours = Annotated[
    float | None,
    Query(ge=0, le=8760, description="How old the rows may be; default: as deployed."),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Repeating a key with the same body returns the run that it started.",
    ),
]
AfterReject = Annotated[
    str | None,
    Query(pattern=r"^[0-9a-f]{32}$", description="`next` of the previous page."),
]
ContentHash = Annotated[
    str, Path(pattern=r"^[0-9a-f]{32}$", description="`content_hash` of a reject.")
]
Offset = Annotated[
    int, Query(ge=0, le=2**31 - 1, description="`next` of the previous part, in characters.")
]
Reason = Annotated[
    str | None, Query(pattern=LINE_PATTERN, max_length=255, description="Exactly this reason.")
]
RejectsOf = Annotated[
    str | None,
    Query(pattern=NAME, max_length=80, description="Rejected by this run, first or last."),
]
Resolved = Annotated[bool, Query(description="Include those that a later full run no longer met.")]
AfterFile = Annotated[
    str | None,
    Query(pattern=LINE_PATTERN, max_length=1024, description="`next` of the previous page."),
]
Prefix = Annotated[
    str | None,
    Query(
        pattern=LINE_PATTERN,
        max_length=1024,
        description="Only objects whose key begins with this.",
    ),
]
TakenInBy = Annotated[
    str | None, Query(pattern=NAME, max_length=80, description="Taken in by this run.")
]
