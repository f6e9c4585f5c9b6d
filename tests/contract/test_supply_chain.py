"""What is installed, and by whom: pinned by hashes, the installer too, by no job with a role."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.stack import ROOT

WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
TARGETS = (
    "setup",
    "test",
    "test-localcloud",
    "pooled",
    "chaos",
    "fuzz",
    "check",
    "hooks",
    "docs",
    "recording",
    "bench",
    "growth",
)
LOCKS = [
    ROOT / "requirements.lock",
    ROOT / "layers/core/requirements.txt",
    *sorted((ROOT / "tools").glob("*.txt")),
]
INSTALLERS = re.compile(
    r"\b(pip3?|uv|uvx|pipx|npm|npx|yarn|pnpm|curl|wget|apt|apt-get|brew|gem|cargo|go|conda)\s+\S"
)
HASHED = ("install", "--require-hashes", "--only-binary :all:", "-r")
OURSELVES = ("install", "--no-deps", "--no-build-isolation", "--editable .")


def commands_of_make(*arguments: str) -> list[str]:
    """What make would run, with every variable in its place."""
    ended = subprocess.run(
        ["make", "--dry-run", "--always-make", "--no-print-directory", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.replace("\\\n", " ").splitlines()


def commands() -> list[str]:
    """Every command of a Makefile, of .ci/run and of a workflow."""
    lines = commands_of_make(*TARGETS, "build", "layer", "format")
    lines += commands_of_make("-C", "layers/core", "build-CoreLayer", "ARTIFACTS_DIR=/nowhere")
    lines += (ROOT / ".ci/run").read_text().splitlines()
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            lines += [step["run"] for step in job["steps"] if "run" in step]
    return [line.strip() for line in lines if not line.lstrip().startswith("#")]


def installs(command: str) -> bool:
    """Whether it brings something from elsewhere; looking for a program or naming one doesn't."""
    return bool(INSTALLERS.search(re.sub(r"command -v \S+|echo .*", "", command)))


def test_everything_that_is_installed_is_locked_by_hashes() -> None:
    installing = [command for command in commands() if installs(command)]
    of_python = [command for command in installing if re.search(r"\bpip install\b", command)]
    assert len(of_python) >= 8
    for command in of_python:
        options = command.replace("--requirement ", "-r ")
        is_ours = all(part in options for part in OURSELVES)
        assert is_ours or all(part in options for part in HASHED), command
    [of_node] = [command for command in installing if "npm" in command]
    assert re.search(r"\bnpm ci\b.* --ignore-scripts\b", of_node)
    # Debian's packages are signed; nobody else's are taken without a hash.
    [of_debian] = [command for command in installing if command.startswith("apt-get install")]
    others = {*installing} - {*of_python, of_node, of_debian, "apt-get update -qq"}
    assert [command for command in others if not re.search(r"/uv venv ", command)] == []


def test_the_installer_comes_first_and_is_locked_itself() -> None:
    lines = [line for line in commands_of_make("setup") if "install " in line]
    assert "-m pip install" in lines[0]
    assert "-r tools/installer.txt" in lines[0]
    assert all("/uv pip install" in line for line in lines[1:])
    locked = {name for name, _ in requirements(ROOT / "tools/installer.txt")}
    built_with = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert {"uv", *(re.split("[<>=~!]", item)[0] for item in built_with)} <= locked


def requirements(path: Path) -> list[tuple[str, int]]:
    """Each pinned requirement with the number of its hashes."""
    blocks = re.split(r"\n(?=\S)", path.read_text().replace("\\\n", " "))
    pins = []
    for block in blocks:
        line = block.partition("#")[0].strip()
        if line:
            pinned = re.match(r"([\w.-]+)==[\w.+!]+(?= |$)", line)
            assert pinned, f"{path.name} has {line[:60]}, which is pinned to no version"
            pins.append((pinned[1], len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", line))))
    return pins


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_has_a_version_and_a_hash_for_each(path: Path) -> None:
    pins = requirements(path)
    assert pins
    assert [name for name, hashes in pins if not hashes] == []
    assert not re.search(
        r"^\s*(-e|--editable|git\+|https?:|--(extra-)?index-url|--find-links)",
        path.read_text(),
        re.MULTILINE,
    )


def test_every_list_of_tools_has_its_lock_and_make_renews_it() -> None:
    lists = {path.stem for path in (ROOT / "tools").glob("*.in")}
    assert lists <= {path.stem for path in LOCKS}
    recipe = " ".join(commands_of_make("lock"))
    assert all(re.search(rf"\b{name}\b", recipe) for name in lists)


def test_every_package_of_node_has_its_integrity() -> None:
    lock = json.loads((ROOT / "tools/node/package-lock.json").read_text())
    packages = {name: item for name, item in lock["packages"].items() if name}
    assert packages
    for name, item in packages.items():
        assert re.fullmatch(r"sha512-[\w+/]+=*", item["integrity"]), name
        assert not item.get("hasInstallScript"), name


def jobs() -> dict[str, dict[str, Any]]:
    return {
        f"{path.stem}/{name}": job
        for path in WORKFLOWS
        for name, job in yaml.safe_load(path.read_text())["jobs"].items()
    }


PRIVILEGED = {name: job for name, job in jobs().items() if "id-token" in job["permissions"]}
HARMLESS_ACTIONS = {
    "actions/checkout",
    "actions/download-artifact",
    "aws-actions/configure-aws-credentials",
}
HARMLESS_COMMANDS = (
    r"sam deploy --config-env \"\$ENVIRONMENT\" [^;&|<>`]*",
    r"tar -xf build\.tar \.aws-sam/build statemachine/sync\.asl\.json",
    r"python3 scripts/github/\w+\.py",
)


def test_some_jobs_become_a_role() -> None:
    assert len(PRIVILEGED) >= 4


@pytest.mark.parametrize("name", PRIVILEGED)
def test_a_job_that_becomes_a_role_installs_and_builds_nothing(name: str) -> None:
    for step in PRIVILEGED[name]["steps"]:
        assert step.get("uses", "actions/checkout").partition("@")[0] in HARMLESS_ACTIONS, step
        if command := " ".join(step.get("run", "").split()):
            assert any(re.fullmatch(known, command) for known in HARMLESS_COMMANDS), command


def test_what_is_deployed_is_what_was_built_without_a_role_and_shown() -> None:
    by_name = jobs()
    build, preview, deploy = (by_name[f"deploy/{name}"] for name in ("build", "preview", "deploy"))
    assert build["permissions"] == {"contents": "read"}
    assert "environment" not in build
    assert (preview["needs"], deploy["needs"]) == ("build", "preview")
    [given] = [step["with"] for step in build["steps"] if "upload-artifact" in step.get("uses", "")]
    for job in (preview, deploy):
        [taken] = [
            step["with"] for step in job["steps"] if "download-artifact" in step.get("uses", "")
        ]
        assert taken == {"name": given["name"]}
