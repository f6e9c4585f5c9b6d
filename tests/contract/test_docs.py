"""Documents against the code: generated parts, named paths and functions, links."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
from benchmarks.costs import LAKE_READS, PRICES, Volumes, model
from devtools.cli_reference import find_commands
from devtools.docs import PARTS, ROOT, renew
from forecast_sync_cli.commands.help_examples import EXAMPLES
from forecast_sync_cli.main import make_app
from forecast_sync_cli.schemas import SHAPES
from typer.testing import CliRunner

from tests.contract.stack import load_template, tasks


@pytest.mark.parametrize("name", PARTS)
def test_a_document_says_what_the_code_does(name: str) -> None:
    text = (ROOT / name).read_text()
    assert text == renew(text, PARTS[name]()), f"{name} is outdated: make docs"


@pytest.mark.parametrize("table", ["forecast", "price"])
def test_the_editors_schema_accepts_a_table_file_and_finds_a_wrong_key(table: str) -> None:
    schema = json.loads((ROOT / "tables/table.schema.json").read_text())
    file = ROOT / f"tables/{table}.toml"
    document = tomllib.loads(file.read_text())
    jsonschema.validate(document, schema)
    document["target"]["keys"] = document["target"].pop("key")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_every_command_has_examples_and_its_json_a_shape() -> None:
    commands = dict(find_commands())
    assert set(EXAMPLES) == set(commands) - {"rejects", "files"}
    with_json = {
        name
        for name, command in commands.items()
        if any("--json" in option.opts for option in command.params)
    }
    documented = {name.removesuffix(" RUN").removesuffix(" --table") for name in SHAPES}
    assert documented == with_json


def test_the_costs_are_those_of_the_statements_as_measured() -> None:
    _, first, *others = _read_table("benchmark-athena")
    measured = {row[1]: row[2:] for row in (first, *others) if row[0] == first[0]}
    for run, suffix in (("incremental", ""), ("full", " of a full run")):
        reads = sum(float(measured[f"{query}{suffix}"][1]) for query in ("profile", "extract"))
        assert round(reads, 2) == LAKE_READS[run]
    cost = (ROOT / "docs/cost.md").read_text()
    documented = [row[1:] for row in _read_table("cost") if row[1].endswith(" MB")]
    assert documented == [
        [f"{size} MB", of_the_lake, rows, f"{memory} MB"]
        for size, of_the_lake, rows, memory, _ in measured.values()
    ]
    factors = f"{LAKE_READS['incremental']} times by an incremental run, {LAKE_READS['full']} times"
    assert factors in cost


def test_the_months_of_the_cost_model_are_the_documented_ones() -> None:
    incremental = LAKE_READS["incremental"]
    months = [
        Volumes(),
        Volumes(lake_gb=30, rows_a_run=10_000_000),
        Volumes(rows_a_run=5_000, lake_reads_a_run=incremental),
        Volumes(runs=0),
    ]
    prices = {name: price.dollars for name, price in PRICES.items()}
    rows = _read_table("cost")
    documented = [row for row in rows if re.fullmatch(r"[\d.]+", row[1])]
    for (_, ours, athena, *others), volumes in zip(documented, months, strict=True):
        costs = model(prices, volumes)
        totals = [sum(parts.values()) for parts in costs.values()]
        shown = [totals[0], costs["this workflow"]["Athena"], *totals[1:]]
        figures = [float(text.replace(",", "")) for text in (ours, athena, *others)]
        assert figures == pytest.approx(shown, abs=0.005, rel=0.01)


def _read_table(document: str) -> list[list[str]]:
    """The cells of the rows of a document's tables, headings included."""
    lines = (ROOT / f"docs/{document}.md").read_text().splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows]


def test_the_functions_that_join_a_vpc_are_named() -> None:
    joins = {
        logical_id.removesuffix("Function")
        for logical_id, resource in load_template("template.yaml")["Resources"].items()
        if "VpcConfig" in resource.get("Properties", {})
    }
    text = (ROOT / "docs/deploy.md").read_text()
    named = text[text.index("### A VPC") : text.index("The others reach AWS and Neon")]
    listed = re.findall(r"`([a-z-]+)`", named)
    assert {name.title().replace("-", "") for name in listed} == joins


@pytest.mark.parametrize("name", [name for name, _ in find_commands()])
def test_an_example_is_of_its_command(name: str) -> None:
    assert all(example.startswith(f"forecast-sync {name}") for example in EXAMPLES.get(name, ()))


ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
BASES = [ROOT / name for name in ("", "layers/core/forecast_sync", "scripts", "scripts/localcloud")]
"""What the paths of docs/architecture.md are relative to."""


def find_path(name: str) -> Path | None:
    return next((base / name for base in BASES if (base / name).exists()), None)


def architecture_paths(text: str) -> set[str]:
    """The code spans that look like files or folders of the repository."""
    spans = re.findall(r"`([\w./-]+)`", text)
    return {span for span in spans if re.search(r"\w/|\.(py|yaml|sql|toml|md)$", span)}


def functions_by_file(text: str) -> set[tuple[str, str]]:
    """Each "`function` in `file.py`": the function and the file."""
    named = re.findall(r"((?:`\w+`(?:,| and) )*`\w+`)\s+in\s+`([\w/]+\.py)`", text)
    return {(name, path) for names, path in named for name in re.findall(r"`(\w+)`", names)}


def test_every_path_in_the_architecture_exists() -> None:
    paths = architecture_paths(ARCHITECTURE)
    assert {"lease/window.py", "sql/load/open_batch.sql", "localcloud/", "neon.py"} <= paths
    assert [name for name in sorted(paths) if find_path(name) is None] == []
    assert find_path("lease/nowhere.py") is None


def test_every_function_that_the_row_passes_is_where_the_architecture_says() -> None:
    functions = functions_by_file(ARCHITECTURE)
    assert ("build_profile", "extract/athena_sql.py") in functions
    assert len(functions) >= 15
    for name, path in sorted(functions):
        file = find_path(path)
        assert file is not None, path
        assert re.search(rf"^ *(def|class) {name}\b", file.read_text(), re.MULTILINE), (name, path)


def test_every_package_and_state_is_in_the_architecture() -> None:
    product = ROOT / "layers/core/forecast_sync"
    packages = {path.parent.relative_to(product).as_posix() for path in product.glob("*/*.py")}
    listed = set(re.findall(r"^\| `(\w+)/` \|", ARCHITECTURE, re.MULTILINE))
    assert packages - listed == set()
    section = ARCHITECTURE[ARCHITECTURE.index("\n## A run, state by state\n") :].split("\n## ")[1]
    described = " ".join(section.replace("*", "").split())
    queries = {"Start Athena query", "Poll Athena query"}  # They are what Run queries consists of.
    assert [name for name, _ in tasks() if name not in queries and name not in described] == []


DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives a document's headings."""
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_anchors_are_those_of_github() -> None:
    assert anchors("# 2. Store `the` key\n```\n# a comment\n```\n### BatchRefused\n") == {
        "2-store-the-key",
        "batchrefused",
    }


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file_and_a_heading(document: str) -> None:
    text = (ROOT / document).read_text()
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", text):
        target = (ROOT / document).parent / path if path else ROOT / document
        assert target.exists(), path
        assert not anchor or anchor in anchors(target.read_text()), f"{path}#{anchor}"


def test_the_runbook_links_to_no_other_document() -> None:
    """The dashboard serves the runbook alone, so such a link would lead nowhere there."""
    text = (ROOT / "docs/runbook.md").read_text()
    assert re.findall(r"\]\((?!https?:|#)[^)]*\)", text) == []


@pytest.mark.parametrize("group", [[], ["local"], ["rejects"], ["tables"]], ids=str)
def test_a_list_of_commands_cuts_no_sentence_in_80_columns(group: list[str]) -> None:
    shown = CliRunner(env={"COLUMNS": "80"}).invoke(make_app(), [*group, "--help"]).output
    commands = shown[shown.index("Commands:") :]
    assert "..." not in commands
    assert max(map(len, shown.splitlines())) <= 80
