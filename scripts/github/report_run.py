"""Writes a run's outcome into the job's summary: counts, why it failed, a link to the console.

Reads ``RESULT_FILE``, which run_sync.py has written, and writes to ``GITHUB_STEP_SUMMARY``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from aws import code, fail, visible
from forecast_sync import errors, links

COUNTS = ("window_rows", "rejected", "candidates", "superseded", "good")
CHANGES = ("inserted", "updated", "unchanged")


def main() -> int:
    """Append to the summary; a run that never started has no result."""
    result = Path(os.environ["RESULT_FILE"])
    if not result.exists():
        return fail("There is no result: the run wasn't started, or nobody could follow it.")
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a") as summary:
        summary.write(describe(json.loads(result.read_text())))
    return 0


def describe(execution: dict[str, Any]) -> str:
    """The summary in Markdown; text from elsewhere stands in a code block."""
    output = json.loads(execution.get("output") or "{}")
    lines = [
        f"## Forecast sync: {execution['status']}",
        "",
        f"[{code(execution['name'])}](<{links.console_url(execution['executionArn'])}>)",
    ]
    if "counts" in output:
        names = (*COUNTS, *CHANGES)
        lines += [
            "",
            f"{code(output['git_ref'])} to the Neon branch {code(output['neon_branch'])}:",
            "",
        ]
        lines.append("| " + " | ".join(name.replace("_", " ") for name in names) + " |")
        lines.append("|" + "---:|" * len(names))
        lines.append("| " + " | ".join(f"{output['counts'][name]:,}" for name in names) + " |")
    elif execution["status"] == "SUCCEEDED":
        lines += [
            "",
            "Another run works on this database; it starts a run for this one at its end.",
        ]
    if "failure" in execution:
        failure = visible(execution["failure"]).replace("```", "'''") or "It tells no cause."
        again = (
            "Remove the cause, then redrive the execution."
            if errors.redrive_helps(errors.error_name(failure))
            else "A redrive can't help: start a new run."
        )
        lines += ["", "```", failure, "```", "", again]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
