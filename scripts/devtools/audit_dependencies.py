"""Audits locked dependencies for known vulnerabilities: audit_dependencies REQUIREMENTS..."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PIP_AUDIT = Path(__file__).parents[2] / ".tools/audit/bin/pip-audit"
TIMEOUT_SECONDS = 120


def main(files: list[str]) -> int:
    """Exit with 1 if there is a vulnerability, or if the audit fails on GitHub's runner."""
    dependencies = [item for file in files for item in _audit(file)]
    audited = [item for item in dependencies if "vulns" in item]
    for item in audited:
        for vulnerability in item["vulns"]:
            fixed = ", ".join(vulnerability["fix_versions"]) or "no version"
            print(
                f"error: {item['name']} {item['version']}: {vulnerability['id']}; fixed in {fixed}"
            )
    if any(item["vulns"] for item in audited):
        return 1
    if not audited:
        print("audit: no vulnerability service can be reached, so nothing was audited; CI audits")
        return int("GITHUB_ACTIONS" in os.environ)
    print(f"audit: {len(audited)} dependencies, no known vulnerability")
    return 0


def _audit(file: str) -> list[dict[str, Any]]:
    """The dependencies of a file; those that couldn't be audited have no ``vulns``."""
    command = [str(PIP_AUDIT), "--disable-pip", "--require-hashes", "--requirement", file]
    options = ["--format", "json", "--timeout", "10", "--progress-spinner", "off"]
    try:
        ended = subprocess.run(
            [*command, *options],
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
        )
        dependencies: list[dict[str, Any]] = json.loads(ended.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return []
    return dependencies


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
