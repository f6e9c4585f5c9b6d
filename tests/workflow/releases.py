"""Earlier releases of the project, kept as archives, and their deployment over the present one.

An archive holds what is deployed: ``git archive COMMIT template.yaml templates statemachine
functions layers | xz -9``. Never replace one: people upgrade from it.
"""

from __future__ import annotations

import compileall
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud import cloud
from localcloud.build import package

from tests.workflow.deployed import Deployed

PACKAGE = "forecast_sync"
ARCHIVES = Path(__file__).parents[1] / "releases"


def unpack(name: str, folder: Path) -> Path:
    """Unpack a release's archive into ``folder``; its template."""
    with tarfile.open(ARCHIVES / f"{name}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / cloud.TEMPLATE.name


@dataclass
class Releases:
    """Replaces the code of a stack's functions and its state machine, as an update of a stack does.

    Functions that a release hasn't got are deleted with it and made anew by the next one that has
    them. Settings and roles stay those of the present template: the local cloud can't update roles,
    and each release's settings are among them. The layer's content is replaced where it is,
    in ``layer``, because functions can read no other folder.
    """

    deployed: Deployed
    layer: Path
    _removed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def install(self, template: Path) -> None:
        """Deploy the release of a template."""
        built = package(template, "")
        self._replace_layer(template.parent / "layers/core")
        functions = self.deployed.client("lambda")
        wanted = {
            _function_name(name): built.artifacts[resource["Properties"]["CodeUri"]["Key"]]
            for name, resource in built.template["Resources"].items()
            if resource["Type"] == "AWS::Serverless::Function"
        }
        present = self.deployed.settings()
        for name in present.keys() - wanted.keys():
            self._removed[name] = functions.get_function_configuration(
                FunctionName=self._full(name)
            )
            functions.delete_function(FunctionName=self._full(name))
        for name, code in wanted.items():
            if name in present:
                functions.update_function_code(FunctionName=self._full(name), ZipFile=code)
            else:
                self._create(name, code)
        (machine,) = built.properties_of("AWS::Serverless::StateMachine")
        definition = built.artifacts[machine["DefinitionUri"]["Key"]].decode()
        for logical_name, resource in built.template["Resources"].items():
            if resource["Type"] == "AWS::Serverless::Function":
                arn = self._arn(_function_name(logical_name))
                definition = definition.replace(f"${{{logical_name}Arn}}", arn)
        self.deployed.client("stepfunctions").update_state_machine(
            stateMachineArn=self.deployed.cloud.state_machine_arn,
            definition=definition,
        )

    def _replace_layer(self, source: Path) -> None:
        new, old = self.layer / "new", self.layer / "old"
        shutil.copytree(source / PACKAGE, new)
        compileall.compile_dir(new, quiet=1)
        (self.layer / PACKAGE).rename(old)
        new.rename(self.layer / PACKAGE)
        shutil.rmtree(old)

    def _create(self, name: str, code: bytes) -> None:
        kept = self._removed.pop(name)
        settings = ("FunctionName", "Runtime", "Role", "Handler", "Timeout", "MemorySize")
        self.deployed.client("lambda").create_function(
            **{key: kept[key] for key in settings},
            Environment={"Variables": kept["Environment"]["Variables"]},
            Code={"ZipFile": code},
        )

    def _full(self, name: str) -> str:
        return f"{self.deployed.name}-{name}"

    def _arn(self, name: str) -> str:
        found = self.deployed.client("lambda").get_function(FunctionName=self._full(name))
        return str(found["Configuration"]["FunctionArn"])


def _function_name(logical_name: str) -> str:
    """``ReadWatermarkFunction`` as ``read-watermark``."""
    words = logical_name.removesuffix("Function")
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in words)[1:]
