"""Fills a pull request's Neon branch, or reports that it is gone; only a failed run is an error.

Waits up to ``WAIT_FOR_BRANCH`` seconds for the branch of ``GIT_REF``, which something else creates,
then does what run_sync.py does. A branch that doesn't exist, or is deleted while the run is active,
is a warning and a line in the summary. Sets the output ``outcome``: filled, gone or failed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import run_sync
from aws import AwsRefused, FunctionFailed, tables
from check_branch import resolve
from forecast_sync_cli.client.polling import poll
from output import annotate, answer, code, fail

WAIT_FOR_BRANCH = float(os.environ.get("WAIT_FOR_BRANCH", "0"))


def main() -> int:
    """Wait, fill, and tell a failure from a branch that is gone."""
    try:
        if not poll(_exists, WAIT_FOR_BRANCH, run_sync.POLL_SECONDS):
            return _report_gone("is gone, or was never created; nothing was run")
        exit_code = run_sync.main()
        if exit_code and not _exists():
            return _report_gone("was deleted while the run was active")
    except AwsRefused as error:
        exit_code = fail(str(error))
    answer("outcome", "failed" if exit_code else "filled")
    return exit_code


def _exists() -> bool:
    """Whether Neon has the branch. A deployed function asks: it has the key, this job doesn't."""
    try:
        resolve(os.environ["ENVIRONMENT"], os.environ["GIT_REF"], tables()[0])
    except FunctionFailed as failed:
        if failed.error != "BranchNotFound":
            raise
        return False
    return True


def _report_gone(how: str) -> int:
    git_ref = os.environ["GIT_REF"]
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a") as summary:
        summary.write(f"## Forecast sync: no branch\n\nThe Neon branch {code(git_ref)} {how}.\n")
    answer("outcome", "gone")
    annotate("warning", f"The Neon branch {git_ref} {how}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
