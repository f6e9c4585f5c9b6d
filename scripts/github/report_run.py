"""Writes the runs' outcomes to the job's summary: counts, failures, and links to the console.

Reads ``RESULT_FILE``, which run_sync.py writes, and appends to ``GITHUB_STEP_SUMMARY``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import aws  # noqa: F401  # makes forecast_sync importable
from forecast_sync import errors, links
from forecast_sync.runs.outcome import coalesced_into, outcome_of
from output import code, fail, visible

COUNTS = ("window_rows", "rejected", "candidates", "superseded", "good")
CHANGES = ("inserted", "updated", "unchanged")


def main() -> int:
    """Append to the summary, or fail if there is no result."""
    result = Path(os.environ["RESULT_FILE"])
    if not result.exists():
        return fail("There is no result: the run wasn't started, or couldn't be followed.")
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a") as summary:
        summary.writelines(describe(json.loads(line)) for line in result.read_text().splitlines())
    return 0


def describe(execution: dict[str, Any]) -> str:
    """The summary in Markdown; names and messages are code in it."""
    output = json.loads(execution.get("output") or "{}")
    table = f", {code(execution['table'])}" if execution.get("table") else ""
    lines = [
        f"## Forecast sync{table}: {_headline(execution)}",
        "",
        f"[{code(execution['name'])}](<{links.console_url(execution['executionArn'])}>)",
    ]
    if "counts" in output:
        names = [*COUNTS, *CHANGES]
        if output["counts"].get("deleted"):
            names.append("deleted")
        lines += [
            "",
            f"{code(output['git_ref'])} to the Neon branch {code(output['neon_branch'])}:",
            "",
        ]
        lines.append("| " + " | ".join(name.replace("_", " ") for name in names) + " |")
        lines.append("|" + "---:|" * len(names))
        lines.append("| " + " | ".join(f"{output['counts'][name]:,}" for name in names) + " |")
        if deferred := output.get("deletes_deferred"):
            reason = visible(output.get("deletes_deferred_reason") or "")
            lines += ["", f"{deferred:,} rows that should leave the table stay: {code(reason)}"]
    elif execution["status"] == "SUCCEEDED":
        ahead = coalesced_into(execution.get("output") or "")
        active = code(ahead) if ahead else "Another run"
        lines += ["", f"{active} is active on this database; it starts one more run when it ends."]
    if "failure" in execution:
        failure = visible(execution["failure"]).replace("```", "'''") or "No cause was given."
        next_step = (
            "Fix the cause, then redrive the execution."
            if errors.redrive_helps(errors.error_name(failure))
            else "A redrive can't help: start a new run."
        )
        lines += ["", "```", failure, "```", "", next_step]
    return "\n".join([*lines, ""])


def _headline(execution: dict[str, Any]) -> str:
    """What Step Functions calls it, unless that isn't what became of it."""
    outcome = outcome_of(
        execution["status"], execution.get("output") or "", execution.get("failure")
    )
    is_else = outcome in ("coalesced", "superseded")
    return outcome.upper() if is_else else str(execution["status"])


if __name__ == "__main__":
    sys.exit(main())
