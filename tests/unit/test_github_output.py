"""What the workflows' scripts print: a name from elsewhere is text there, never a command.

GitHub's runner reads commands from what a step prints: ``::name::data`` at the beginning of a line,
and, from older days, ``##[name]data`` anywhere in it; a file of outputs has one a line. A job's
summary is Markdown with HTML.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.contract.stack import ROOT

SCRIPTS = ROOT / "scripts/github"
NAMES = [
    "feature/x\n::add-mask::y",
    "feature/x\r::set-output name=environment::production",
    "feature/x\r\nenvironment=production",
    "feature/x\x0benvironment=production",
    "feature/x\u2028::error::y",
    "feature/##[add-path]/tmp/evil",
    "feature/x%0A::stop-commands::z",
    "feature/\x1b]52;c;cm0gLXJmIC8=\x07",
    "::warning::feature/x",
    "  ::warning::feature/x",
    "feature/`</code><img src=x onerror=alert(1)>`",
    "feature/``[link](https://evil.example)``",
    "feature/<script>alert(1)</script>",
]


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("output")


def commands(printed: str) -> list[str]:
    """The commands that GitHub's runner finds in what was printed."""
    lines = re.split("\r\n|\r|\n", printed)
    parsed = [line for line in lines if re.match(r"\s*::[^:]*::", line)]
    return [*parsed, *(line for line in lines if "##[" in line)]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_line_with_a_name_is_no_command(
    output: ModuleType, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    output.say(name)
    output.say(f"{name} is the Neon branch")
    printed = capfd.readouterr().out
    assert commands(printed) == []
    assert len(printed.splitlines()) == 2
    assert all(line.isprintable() for line in printed.splitlines())


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_an_annotation_is_one_command_with_the_name_in_it(
    output: ModuleType, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert output.fail(f"no branch {name}") == 1
    printed = capfd.readouterr().err
    [command] = commands(printed)
    assert command.startswith("::error::no branch ")
    assert not re.search("%(?!25)", command)


@given(st.text())
def test_whatever_is_said_stays_text(text: str) -> None:
    sys.path.insert(0, str(SCRIPTS))
    try:
        plain = importlib.import_module("output")._plain(text)
    finally:
        sys.path.remove(str(SCRIPTS))
    assert plain.isprintable()
    assert "##[" not in plain


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_in_a_summary_is_code_and_nothing_else(output: ModuleType, name: str) -> None:
    html = MarkdownIt("commonmark").render(f"The Neon branch {output.code(name)} is gone.")
    assert re.fullmatch(r"<p>The Neon branch <code>[^<>]*</code> is gone\.</p>\n", html), html


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("event", ["deployment_status", "repository_dispatch", "workflow_dispatch"])
def test_an_event_s_branch_hands_on_nothing_but_itself(
    tmp_path: Path, event: str, name: str
) -> None:
    outputs = tmp_path / "output"
    ended = subprocess.run(
        [sys.executable, SCRIPTS / "find_target.py"],
        env={**os.environ, "GITHUB_OUTPUT": str(outputs), "EVENT": event, "BRANCH": name},
        capture_output=True,
        text=True,
        check=False,
    )
    written = outputs.read_text() if outputs.exists() else ""
    lines = re.split("\r\n|\r|\n", written.strip())
    assert sorted(line.partition("=")[0] for line in lines) in ([""], ["environment", "git_ref"])
    assert "environment=production" not in lines
    assert commands(ended.stdout) == []
    assert [each for each in commands(ended.stderr) if not each.startswith("::error::")] == []
    assert "Traceback" not in ended.stderr


def test_a_report_shows_names_and_causes_as_they_are(tmp_path: Path) -> None:
    name = "feature/`<img src=x onerror=alert(1)>`"
    execution = {
        "status": "FAILED",
        "name": name,
        "executionArn": "arn:aws:states:us-east-2:123456789012:execution:forecast-sync-dev:x",
        "output": json.dumps(
            {
                "git_ref": name,
                "neon_branch": name,
                "counts": dict.fromkeys(
                    [
                        *("window_rows", "rejected", "candidates", "superseded", "good"),
                        *("inserted", "updated", "unchanged"),
                    ],
                    1,
                ),
            }
        ),
        "failure": "X: \x1b]52;c;x\x07```\n<img src=x>\n~~~",
    }
    result, summary = tmp_path / "result.json", tmp_path / "summary.md"
    result.write_text(json.dumps(execution))
    subprocess.run(
        [sys.executable, SCRIPTS / "report_run.py"],
        env={**os.environ, "RESULT_FILE": str(result), "GITHUB_STEP_SUMMARY": str(summary)},
        check=True,
    )
    html = MarkdownIt("commonmark").enable("table").render(summary.read_text())
    assert "<img" not in html
    assert html.count("onerror") == html.count("<code>feature/`&lt;img") == 3
    assert "\x1b" not in html


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.name)
def test_a_script_needs_nothing_but_python(script: Path) -> None:
    """Jobs that assume a role install nothing, so only the standard library is available."""
    subprocess.run(
        [sys.executable, "-S", "-c", f"import {script.stem}"],
        env={"PYTHONPATH": str(SCRIPTS), "PATH": os.environ["PATH"]},
        check=True,
    )
