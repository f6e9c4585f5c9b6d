"""Packages the template and the functions for the local cloud, much like `sam package`."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.errors import LocalCloudError
from localcloud.function_processes import bootstrap
from localcloud.yaml_files import load_template, load_yaml

ARTIFACTS_BUCKET = "forecast-sync-local-artifacts"
RUNTIME = "provided.al2023"
NESTED = "AWS::CloudFormation::Stack"
LAYER = "AWS::Serverless::LayerVersion"

Template = dict[str, Any]


@dataclass(slots=True)
class Package:
    """A template whose local paths point to S3 objects, and those objects by key."""

    template: Template
    artifacts: dict[str, bytes] = field(default_factory=dict)

    def add(self, content: bytes, suffix: str) -> str:
        """Add an artifact; its key is its hash, so that an unchanged one changes no resource."""
        key = hashlib.sha256(content).hexdigest() + suffix
        self.artifacts[key] = content
        return key

    def locate(self, content: bytes, suffix: str) -> dict[str, str]:
        """Add an artifact; returns its location as SAM writes it."""
        return {"Bucket": ARTIFACTS_BUCKET, "Key": self.add(content, suffix)}

    def properties_of(self, kind: str) -> list[dict[str, Any]]:
        """The properties of the template's resources of this type."""
        resources = self.template["Resources"].values()
        return [item["Properties"] for item in resources if item["Type"] == kind]


def read_template(path: Path) -> Template:
    """A SAM template with its short tags (``!Sub``) in their long form."""
    template = load_template(path.read_text())
    if not isinstance(template, dict) or "Resources" not in template:
        raise LocalCloudError(f"{path} was read, a SAM template with Resources was expected")
    return template


def package(template_path: Path, artifacts_url: str, more_layers: Sequence[Path] = ()) -> Package:
    """Make the template deployable in the local cloud.

    It differs from what AWS gets only in this:

    - functions run as ``provided.al2023`` on this machine's processor, with a ``bootstrap`` that
      starts AWS's own runtime client in this Python: the emulator's own worker hides error names;
    - the layer isn't deployed: the bootstrap puts its source on ``PYTHONPATH``, where its
      requirements are installed already;
    - local paths are S3 locations, as after `sam package`, and the state machine is JSON.

    CloudFormation finds the artifacts below ``artifacts_url``, by their keys. Functions look into
    ``more_layers`` before the template's.
    """
    root = template_path.parent
    result = Package(copy.deepcopy(read_template(template_path)))
    _embed_nested(result, root, artifacts_url)
    _embed_functions(result, root, [*more_layers, *_take_layers(result, root)])
    for properties in result.properties_of("AWS::Serverless::StateMachine"):
        definition = _read_definition(root / properties["DefinitionUri"])
        properties["DefinitionUri"] = result.locate(json.dumps(definition).encode(), ".asl.json")
    return result


def _read_definition(path: Path) -> Any:
    """A state machine's definition, in JSON or YAML.

    If there is a YAML file of the same name, it is the source of the JSON file: raises
    ``LocalCloudError`` if the JSON is out of date.
    """
    definition = load_yaml(path.read_text())
    source = path.with_suffix(".yaml")
    if source.is_file() and load_yaml(source.read_text()) != definition:
        raise LocalCloudError(f"{path} differs from {source.name}, its source: run `make render`")
    return definition


def find_layers(template_path: Path) -> list[Path]:
    """The folders of the template's layers."""
    return _take_layers(Package(read_template(template_path)), template_path.parent)


def _embed_nested(result: Package, root: Path, artifacts_url: str) -> None:
    for properties in result.properties_of(NESTED):
        nested = read_template(root / properties["TemplateURL"])
        key = result.add(json.dumps(nested).encode(), ".template.json")
        properties["TemplateURL"] = f"{artifacts_url}/{key}"


def _take_layers(result: Package, root: Path) -> list[Path]:
    """Remove the layers from the template; returns their folders."""
    layers = result.properties_of(LAYER)
    result.template["Resources"] = {
        name: resource
        for name, resource in result.template["Resources"].items()
        if resource["Type"] != LAYER
    }
    return [root / properties["ContentUri"] for properties in layers]


def _embed_functions(result: Package, root: Path, layer_paths: list[Path]) -> None:
    functions = result.properties_of("AWS::Serverless::Function")
    defaults = result.template.get("Globals", {}).get("Function", {})
    for properties in [defaults, *functions]:
        for name in ("Layers", "Architectures", "Runtime"):
            properties.pop(name, None)
    for properties in functions:
        properties["Runtime"] = RUNTIME
        code = _zipped(root / properties["CodeUri"], bootstrap(layer_paths))
        properties["CodeUri"] = result.locate(code, ".zip")


def _zipped(folder: Path, bootstrap: str) -> bytes:
    if not folder.is_dir():
        raise LocalCloudError(
            f"the template names the function code {folder}, which isn't a directory"
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                _write(archive, str(path.relative_to(folder)), path.read_bytes(), 0o644)
        _write(archive, "bootstrap", bootstrap.encode(), 0o755)
    return buffer.getvalue()


def _write(archive: zipfile.ZipFile, name: str, content: bytes, mode: int) -> None:
    """Add a file with a fixed time, so that equal code gives an equal archive."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (0o100000 | mode) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)
