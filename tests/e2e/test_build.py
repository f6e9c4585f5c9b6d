"""What `make build` makes: the layer for Lambda's machine, the same bytes every time."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.contract.stack import ROOT, template


def build_layer(folder: Path) -> Path:
    subprocess.run(
        ["make", "--silent", "-C", ROOT / "layers/core", "build-CoreLayer"],
        env={**os.environ, "ARTIFACTS_DIR": str(folder)},
        check=True,
    )
    return folder


def fingerprint(folder: Path) -> dict[str, tuple[str, int]]:
    """Content and time of each file, which is what an archive is made of."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            int(path.stat().st_mtime),
        )
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_layer(tmp_path_factory.mktemp("layer"))


def test_two_builds_of_the_layer_are_equal(layer: Path, tmp_path: Path) -> None:
    assert fingerprint(layer) == fingerprint(build_layer(tmp_path / "again"))


def test_the_layer_is_for_lambdas_python_and_processor(layer: Path) -> None:
    compiled = [path.name for path in layer.rglob("*.so") if "cpython" in path.name]
    assert compiled
    assert all("cpython-313-aarch64-linux-gnu" in name for name in compiled)
    assert (layer / "python/forecast_sync/sql/load/merge_stage.sql").is_file()
    size = sum(path.stat().st_size for path in layer.rglob("*") if path.is_file())
    assert size < 250 * 1024 * 1024


def test_only_the_right_python_compiles_the_layer(layer: Path) -> None:
    """Bytecode of another version would be weight that Lambda ignores."""
    compiled = {path.name.split(".")[-2] for path in layer.rglob("*.pyc")}
    assert compiled == ({"cpython-313"} if finds_python_313() else set())


def finds_python_313() -> bool:
    programs = [shutil.which(name) for name in ("python3", "python3.13")]
    versions = [
        subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        for found in programs
        if found
    ]
    return any(version.startswith("Python 3.13.") for version in versions)


def test_sam_builds_the_template_with_everything_in_it(tmp_path: Path) -> None:
    sam = ROOT / ".tools/sam/bin/sam"
    assert sam.exists(), "AWS SAM is missing: make test installs it"
    subprocess.run(
        [sam, "build", "--build-dir", tmp_path, "--region", "us-east-2"],
        cwd=ROOT,
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"},
        check=True,
        capture_output=True,
    )
    built = yaml.safe_load((tmp_path / "template.yaml").read_text().replace("!", ""))
    assert built["Resources"].keys() == template()["Resources"].keys()
    assert (tmp_path / "CoreLayer/python/psycopg_binary").is_dir()
    definition = built["Resources"]["StateMachine"]["Properties"]["DefinitionUri"]
    assert (tmp_path / definition).resolve() == ROOT / "statemachine/sync.asl.json"
    for stack in (".", "Roles", "Perimeter", "Observability"):
        # CloudFormation takes no aliases.
        tokens = yaml.scan((tmp_path / stack / "template.yaml").read_text())
        assert not [item for item in tokens if isinstance(item, yaml.AnchorToken | yaml.AliasToken)]
