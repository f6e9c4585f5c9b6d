"""Fills a pull request's Neon branch, or says that it is gone; only a failed run is an error.

Waits for the branch of ``GIT_REF`` for ``WAIT_FOR_BRANCH`` seconds, since something else makes it,
then does what run_sync.py does. A branch that isn't there, or was deleted while the run worked, is
a warning and stands in the summary. Answers ``outcome``: filled, gone or failed.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import run_sync
from aws import AwsRefused, FunctionFailed, annotate, answer, code, fail
from check_branch import resolve

WAIT_FOR_BRANCH = float(os.environ.get("WAIT_FOR_BRANCH", "0"))


def main() -> int:
    """Wait, fill, and tell a failure from a branch that is gone."""
    try:
        if not _await_branch():
            return _tell_gone("is gone, or was never made; nothing was run")
        code = run_sync.main()
        if code and not _exists():
            return _tell_gone("was deleted while the run worked")
    except AwsRefused as error:
        code = fail(str(error))
    answer("outcome", "failed" if code else "filled")
    return code


def _await_branch() -> bool:
    deadline = time.monotonic() + WAIT_FOR_BRANCH
    while not (found := _exists()) and time.monotonic() < deadline:
        time.sleep(run_sync.POLL_SECONDS)
    return found


def _exists() -> bool:
    """Whether Neon has the branch, asked by a function: it holds the key, this job doesn't."""
    try:
        resolve(os.environ["ENVIRONMENT"], os.environ["GIT_REF"])
    except FunctionFailed as failed:
        if failed.error != "BranchNotFound":
            raise
        return False
    return True


def _tell_gone(how: str) -> int:
    git_ref = os.environ["GIT_REF"]
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a") as summary:
        summary.write(f"## Forecast sync: no branch\n\nThe Neon branch {code(git_ref)} {how}.\n")
    answer("outcome", "gone")
    annotate("warning", f"The Neon branch {git_ref} {how}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
