"""CONTRIBUTING, README and the Git hooks against the Makefile and the repository."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from devtools.cli_reference import find_commands
from forecast_sync import errors

from tests.contract.stack import ROOT
from tests.contract.test_supply_chain import commands_of_make

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
ALL_DOCUMENTS = (*DOCUMENTS, *(f"docs/{path.name}" for path in sorted(ROOT.glob("docs/*.md"))))
PLACEHOLDER = re.compile(r"SUBJECT|NAME|VERB_NOUN")
CODE = re.compile(r"`([^`\n]+)`")


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def targets() -> set[str]:
    """The targets that ``make`` offers by name."""
    makefile = text_of("Makefile").replace("\\\n", " ")
    [phony] = re.findall(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)
    return set(phony.split())


def make_targets(text: str) -> set[str]:
    """The targets that a document names after ``make``: in code spans and in sessions."""
    commands = [*CODE.findall(text), *re.findall(r"^\$ (.+)$", text, re.MULTILINE)]
    return {
        name
        for command in commands
        for name in re.findall(r"(?:^|&& )make ([a-z][a-z-]*)", command)
    }


def paths(text: str) -> set[str]:
    """The files and folders that a document names in code spans; test_docs.py follows its links."""
    first = "docs|functions|layers|scripts|statemachine|templates|tests|tools"
    named = re.findall(rf"(?<![\w/.-])(?:{first})/[\w./-]*", " ".join(CODE.findall(text)))
    return set(named)


def existing(name: str) -> list[Path]:
    """The files that a path names; a placeholder matches any name."""
    pattern = PLACEHOLDER.sub("*", name).rstrip("/")
    return list(ROOT.glob(pattern))


@pytest.mark.parametrize("document", ALL_DOCUMENTS)
def test_every_target_that_a_document_names_exists(document: str) -> None:
    assert make_targets(text_of(document)) <= targets()


@pytest.mark.parametrize("document", ALL_DOCUMENTS)
def test_every_path_that_a_document_names_exists(document: str) -> None:
    assert [name for name in paths(text_of(document)) if not existing(name)] == []


# docs/cli.md is generated from the commands.
@pytest.mark.parametrize("document", [name for name in ALL_DOCUMENTS if name != "docs/cli.md"])
def test_every_error_and_command_that_a_document_names_exists(document: str) -> None:
    text = text_of(document)
    commands = {name for name, _ in find_commands()}
    groups = {name.split()[0] for name in commands}
    for code in [*CODE.findall(text), *re.findall(r"^\$ (.+)$", text, re.MULTILINE)]:
        for words in re.findall(r"\bforecast-sync ((?:[a-z]+ ?){1,2})", code):
            parts = words.split()
            assert parts[0] in groups, code
            assert parts[0] in commands or " ".join(parts) in commands, code
    suffixes = "Unavailable|Refused|Invalid|Error|Conflict|Held|Changed|Outdated"
    for name in re.findall(rf"`([A-Z][A-Za-z]+(?:{suffixes}))`", text):
        assert hasattr(errors, name), name


def test_what_is_named_is_found() -> None:
    """The tests above have something to check."""
    contributing = text_of("CONTRIBUTING.md")
    assert make_targets(contributing) >= {
        "setup",
        "check",
        "test",
        "pooled",
        "chaos",
        "fuzz",
        "hooks",
    }
    assert {"layers/core/forecast_sync/errors.py", "functions/VERB_NOUN/handler.py"} <= paths(
        contributing
    )
    assert not existing("layers/core/forecast_sync/nowhere.py")
    assert make_targets("`make nothing`\n$ make setup && make less\n") == {
        "nothing",
        "setup",
        "less",
    }


def test_every_kind_of_test_is_described() -> None:
    table = set(re.findall(r"^\| `tests/(\w+)` \|", text_of("CONTRIBUTING.md"), re.MULTILINE))
    kinds = {
        path.parent.relative_to(ROOT / "tests").parts[0] for path in ROOT.glob("tests/*/test_*.py")
    }
    assert table == kinds


def test_ci_runs_every_kind_of_test() -> None:
    """`make test` runs every folder but those that have their own target; CI runs them too."""
    configured = tomllib.loads(text_of("pyproject.toml"))["tool"]["pytest"]["ini_options"]
    kinds = {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("tests/*/test_*.py")}
    apart = {"tests/localcloud": "test-localcloud", "tests/conformance": "conformance"}
    assert {*configured["testpaths"]} == kinds - {*apart}
    for folder, target in apart.items():
        assert any(folder in command for command in commands_of_make(target)), target
    run = {*text_of(".ci/run").splitlines()}
    assert {"make test", "make test-localcloud"} <= run


def test_ci_runs_the_workflow_on_trino_and_through_a_pooler_at_once() -> None:
    """Both at once, because each alone takes as long."""
    (line,) = re.findall("^make (conformance.*)$", text_of(".ci/run"), re.MULTILINE)
    (command,) = [line for line in commands_of_make(*line.split()) if "pytest" in line]
    expected = {"--athena", "trino", "--pooled", "tests/workflow", "tests/conformance"}
    assert expected <= {*command.split()}


def test_every_target_is_described() -> None:
    """In CONTRIBUTING, or in the document of its subject."""
    described = {name for document in ALL_DOCUMENTS for name in make_targets(text_of(document))}
    assert targets() - described == set()


def test_every_package_is_installed() -> None:
    """An editable install finds packages that the list forgets; an installed wheel doesn't."""
    setuptools = tomllib.loads(text_of("pyproject.toml"))["tool"]["setuptools"]
    folders = {ROOT / path: package for package, path in setuptools["package-dir"].items()}
    packages = {
        ".".join((package, *path.parent.relative_to(folder).parts))
        for folder, package in folders.items()
        for path in folder.rglob("*.py")
    }
    # Of the table files no module is a part; they are its data.
    assert {*setuptools["packages"]} == packages | {"forecast_sync_tables"}
    [suffixes] = [setuptools["package-data"]["forecast_sync_tables"]]
    files = {path.name for path in (ROOT / "tables").iterdir()}
    assert files == {path.name for glob in suffixes for path in (ROOT / "tables").glob(glob)}


def test_the_code_that_the_lists_name_is_there() -> None:
    """Each list names a file and a place in it; both exist."""
    for name, holds in (
        ("scripts/forecast_sync_cli/doctor/account.py", r"^FUNCTIONS = "),
        ("tests/contract/test_state_machine.py", r"^PAYLOADS\b"),
        ("tests/integration/test_waiting.py", r"^def make_functions\b"),
        ("layers/core/forecast_sync/target/own_tables.py", r"^NEEDED = "),
        ("layers/core/forecast_sync/adapters/postgres.py", r"^def statement\b"),
        ("layers/core/forecast_sync/errors.py", r"^    redrive_helps\b"),
        ("template.yaml", r"^      DefinitionSubstitutions:"),
        ("docs/architecture.md", r"^## A run, state by state$"),
    ):
        assert name in text_of("CONTRIBUTING.md"), name
        assert re.search(holds, text_of(name), re.MULTILINE), (name, holds)


def hooks() -> list[dict[str, Any]]:
    configuration = yaml.safe_load(text_of(".pre-commit-config.yaml"))
    return [hook for repository in configuration["repos"] for hook in repository["hooks"]]


def test_the_hooks_download_nothing() -> None:
    configuration = yaml.safe_load(text_of(".pre-commit-config.yaml"))
    assert {repository["repo"] for repository in configuration["repos"]} == {"local"}
    assert {hook["language"] for hook in hooks()} == {"system"}
    assert not any("additional_dependencies" in hook for hook in hooks())


def test_the_hooks_run_what_make_check_runs() -> None:
    """A part at every commit, and everything at every push, whatever changed."""
    assert {hook["entry"].split()[0] for hook in hooks()} == {"make"}
    make_arguments = {
        stage: hook["entry"].split()[1:] for hook in hooks() for stage in hook["stages"]
    }
    assert make_arguments["pre-push"] == ["check"]
    [everything] = [hook for hook in hooks() if hook["entry"] == "make check"]
    assert everything["always_run"]
    assert set(make_arguments["pre-commit"]) <= parts_of_check()


def parts_of_check() -> set[str]:
    return {name for name in targets() if name.startswith("check-")}


def checks(name: str) -> list[str]:
    """The checkers that a target runs, without the commands that install them."""
    return [
        command
        for command in map(str.strip, commands_of_make(name))
        if re.match(r"(?:\w+=\S+ )*(?:\S*bin/|node )|git ls-files", command)
        and not re.search(r"bin/uv |-m pip |-m venv ", command)
    ]


def test_make_check_is_its_parts_and_nothing_else() -> None:
    """The parts together run every checker of ``make check``, in the same order."""
    parts = ("check-code", "check-templates", "check-repository")
    assert set(parts) == parts_of_check()
    whole = checks("check")
    assert len(whole) >= 12
    assert whole == [command for part in parts for command in checks(part)]


def test_the_changelog_has_its_headings() -> None:
    text = text_of("CHANGELOG.md")
    versions = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert versions[0] == "Unreleased"
    unreleased = text[text.index("## Unreleased") :].split("\n## ")[0]
    headings = re.findall(r"^### (.+)$", unreleased, re.MULTILINE)
    assert headings == ["What you must do", "Changed", "New", "Fixed"]


def test_a_word_stands_once_in_the_glossary() -> None:
    text = text_of("docs/architecture.md")
    section = text[text.index("\n## Glossary\n") :].split("\n## ")[1]
    words = [
        word.strip()
        for row in re.findall(r"^\| ([\w, ]+) \|", section, re.MULTILINE)
        for word in row.split(",")
        if row != "word"
    ]
    needed = {"run", "window", "watermark", "file ledger", "touched keys", "candidates", "good"}
    needed |= {"superseded", "reject", "page", "batch", "ledger", "lease", "coalesced", "redrive"}
    assert needed | {"renewal", "attempt", "rerun", "fence"} <= set(words)
    assert len(words) == len(set(words))
