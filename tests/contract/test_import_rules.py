"""Imports point one way, without a cycle; the rules are in pyproject.toml, `tool.importlinter`."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.stack import ROOT

LINTER = Path(sys.executable).with_name("lint-imports")


def lint_imports(layer: Path = ROOT / "layers/core") -> subprocess.CompletedProcess[str]:
    """Check the rules, as `make check-code` does, with the product of ``layer``."""
    path = os.pathsep.join([str(layer), str(ROOT / "scripts")])
    return subprocess.run(
        [LINTER, "--no-cache", "--no-logo", ROOT / "pyproject.toml"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_point_one_way_and_no_package_is_in_a_cycle() -> None:
    ended = lint_imports()
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("module", "line", "finding"),
    [
        ("errors", "from forecast_sync.clients import connection", "forecast_sync.clients"),
        ("lease/window", "from forecast_sync.record import outcome", "forecast_sync.record"),
        ("config", "from forecast_sync_cli.errors import UserError", "forecast_sync_cli"),
    ],
)
def test_an_import_the_other_way_is_refused(
    module: str, line: str, finding: str, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "layers/core/forecast_sync", tmp_path / "forecast_sync")
    path = tmp_path / "forecast_sync" / f"{module}.py"
    path.write_text(f"{path.read_text()}\n\n{line}\n")
    ended = lint_imports(tmp_path)
    assert ended.returncode == 1
    output = " ".join(ended.stdout.split())
    importer = "forecast_sync." + module.replace("/", ".")
    assert f"{importer} -> {finding}" in output, output


def test_a_new_module_needs_its_place_among_the_layers(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "layers/core/forecast_sync", tmp_path / "forecast_sync")
    (tmp_path / "forecast_sync/helpers.py").write_text('"""Whatever."""\n')
    ended = lint_imports(tmp_path)
    assert ended.returncode == 1
    assert "helpers" in ended.stdout


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("functions/*/*.py")), ids=lambda path: path.parent.name
)
def test_a_function_imports_only_the_layer(path: Path) -> None:
    """The others aren't deployed, although they can be imported here."""
    ours = {"forecast_sync_cli", "localcloud", "benchmarks", "devtools", "tests", "functions"}
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert "forecast_sync" in imported
    assert not imported & ours
