"""Claims about the audit: a vulnerability fails it, and no answer never counts as safe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from devtools import audit_dependencies

SAFE = {"name": "boto3", "version": "1.0", "vulns": []}
UNSAFE = {
    "name": "urllib3",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}],
}
UNKNOWN = {"name": "certifi", "skip_reason": "not found"}


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The audit with a pip-audit that prints these dependencies, or that fails."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    program = tmp_path / "pip-audit"
    monkeypatch.setattr(audit_dependencies, "PIP_AUDIT", program)

    def run(*dependencies: dict[str, Any]) -> int:
        answer = json.dumps({"dependencies": dependencies}) if dependencies else ""
        (tmp_path / "answer").write_text(answer)
        program.write_text(f"#!/bin/sh\ncat {tmp_path}/answer\n")
        program.chmod(0o755)
        return audit_dependencies.main(["requirements.lock"])

    return run


def test_known_vulnerabilities_fail_by_name(audit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(SAFE, UNSAFE) == 1
    assert capsys.readouterr().out == "error: urllib3 1.0: PYSEC-1; fixed in 1.1\n"


def test_a_clean_audit_says_how_many_dependencies_it_covers(
    audit: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit(SAFE, UNKNOWN) == 0
    assert capsys.readouterr().out == "audit: 1 dependencies, no known vulnerability\n"


@pytest.mark.parametrize("dependencies", [(UNKNOWN,), ()])
def test_an_audit_without_results_is_reported_here_and_fails_on_github(
    audit: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    dependencies: tuple[dict[str, Any], ...],
) -> None:
    assert audit(*dependencies) == 0
    assert "nothing was audited" in capsys.readouterr().out
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert audit(*dependencies) == 1
