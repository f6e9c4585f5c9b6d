"""Finds the Neon branch of ``GIT_REF`` in ``ENVIRONMENT`` and its database; creates nothing.

The deployed functions do the work, so GitHub holds no Neon key and no connection string.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import Any

from aws import AwsRefused, invoke, machine_arn, stack_name, tables
from forecast_sync.stack_names import execution_arn_of
from output import fail, say


def main() -> int:
    """Print the branch and its server, or why there is none."""
    environment, git_ref = os.environ["ENVIRONMENT"], os.environ["GIT_REF"]
    try:
        # Each table, so that a misspelled one is found before any is synced.
        run, *_ = [resolve(environment, git_ref, table) for table in tables()]
        checked = invoke(f"{stack_name(environment)}-check-branch", {"git_ref": git_ref})
    except AwsRefused as error:
        return fail(str(error))
    branch_id = run["neon_branch_id"] or "its database URL"
    say(
        f"{git_ref} is the Neon branch {run['neon_branch']} ({branch_id});"
        f" {checked['server']} answers there."
    )
    return 0


def resolve(environment: str, git_ref: str, table: str | None) -> dict[str, Any]:
    """The run as the state machine would begin it; raises ``FunctionFailed`` with what it says."""
    arn = execution_arn_of(machine_arn(environment), "check")
    execution = {
        "run_id": "check",
        "execution_arn": arn,
        "started_at": datetime.now(UTC).isoformat(),
    }
    sync: dict[str, Any] = {"git_ref": git_ref, "dry_run": True}
    if table:
        sync["table"] = table
    request = {"input": sync, "execution": execution}
    return invoke(f"{stack_name(environment)}-resolve-branch", request)


if __name__ == "__main__":
    sys.exit(main())
