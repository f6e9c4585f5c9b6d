"""Finds the environment and git ref of an event: sets ``environment`` and ``git_ref``.

Reads ``EVENT`` (the event's name), ``BRANCH`` (of the deployment, dispatch or schedule) and
``ENVIRONMENT`` (requested, or empty). Both outputs are empty for a deployment of another branch, or
of a commit, which can be the head of several branches.
"""

from __future__ import annotations

import os
import re
import sys

import aws  # noqa: F401  # makes forecast_sync importable
from forecast_sync.errors import BranchNotMapped
from forecast_sync.resolve.git_refs import map_git_ref
from output import annotate, answer, fail, say

ENVIRONMENTS = ("production", "dev")
DEPLOYMENTS = ("deployment_status", "repository_dispatch")


def main() -> int:
    """Set the outputs, or report why the branch belongs to no environment."""
    branch = os.environ["BRANCH"].removeprefix("refs/heads/")
    if not branch.isprintable():
        return fail(f"The event names {branch!r}, which isn't a branch name: nothing was synced.")
    requested = os.environ.get("ENVIRONMENT", "")
    for environment in ENVIRONMENTS:
        if requested not in ("", environment):
            continue
        try:
            map_git_ref(branch or None, environment)
        except BranchNotMapped as error:
            reason = str(error)
            continue
        answer("environment", environment)
        answer("git_ref", branch)
        return 0
    if os.environ["EVENT"] in DEPLOYMENTS:
        if re.fullmatch("[0-9a-f]{40}", branch):
            annotate(
                "warning",
                f"The deployment names the commit {branch} and no branch, so nothing was synced: "
                "see docs/deploy.md, section GitHub.",
            )
        say(f"The deployment of {branch} belongs to no environment: nothing to sync.")
        answer("environment", "")
        answer("git_ref", "")
        return 0
    return fail(reason)


if __name__ == "__main__":
    sys.exit(main())
