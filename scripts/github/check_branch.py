"""Finds the Neon branch of ``GIT_REF`` in ``ENVIRONMENT`` and asks its database; creates nothing.

It asks the deployed functions, so that no key of Neon and no connection string is in GitHub.
"""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import Any

from aws import AwsRefused, fail, invoke, machine_arn


def main() -> int:
    """Print which branch answers, or why none does."""
    environment, git_ref = os.environ["ENVIRONMENT"], os.environ["GIT_REF"]
    prefix = f"forecast-sync-{environment}"
    try:
        run = invoke(f"{prefix}-resolve-branch", _request(machine_arn(environment), git_ref))
        question = {"git_ref": git_ref, "question": {"about": "database"}}
        server = invoke(f"{prefix}-inspect-database", question)["server"]
    except AwsRefused as error:
        return fail(str(error))
    where = run["neon_branch_id"] or "its database URL"
    print(f"{git_ref} is the Neon branch {run['neon_branch']} ({where}); {server} answers there.")
    return 0


def _request(arn: str, git_ref: str) -> dict[str, Any]:
    """What the state machine would ask."""
    execution = {
        "run_id": "check",
        "execution_arn": arn.replace(":stateMachine:", ":execution:") + ":check",
        "started_at": datetime.now(UTC).isoformat(),
    }
    return {"input": {"git_ref": git_ref, "dry_run": True}, "execution": execution}


if __name__ == "__main__":
    sys.exit(main())
