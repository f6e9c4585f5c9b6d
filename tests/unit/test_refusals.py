"""What can be known is refused before anything starts, with what would be allowed, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from devtools.cli_reference import find_commands
from forecast_sync.contracts.run import SyncRequest
from forecast_sync.errors import BranchNotFound, InvalidInput, NeonUnavailable
from forecast_sync.runs.control import start_run
from forecast_sync_cli.dashboard.actions import find_mistakes

from tests.e2e.cli import error_of
from tests.unit.test_api import Machine, ask, execution, machine

__all__ = ["machine"]

NOWHERE: dict[str, Any] = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}
"""Whoever asks it anything fails with a message about AWS."""

REFS = "Expected main, dev, feature/NAME or preview/pr-NUMBER"
STARTING = {
    "start": (),
    "plan": (),
    "backfill": ("--from", "2026-01-01", "--to", "2026-01-31"),
    "rejects replay": (),
}


@pytest.mark.parametrize("command", STARTING)
def test_no_command_starts_anything_for_a_git_ref_of_no_branch(command: str) -> None:
    arguments = (*command.split(), *STARTING[command])
    assert REFS in error_of(*arguments, "--git-ref", "mian", **NOWHERE)
    other = error_of(*arguments, "--git-ref", "main", **NOWHERE)
    assert "belongs to production, but this stack serves dev" in other
    own = error_of(*arguments, "--git-ref", "main", "-e", "production", **NOWHERE)
    assert "the local cloud at http://127.0.0.1:9 can't be reached" in own, "only then it asks"


WITH_ENVIRONMENT = [
    name
    for name, command in find_commands()
    if any("--environment" in option.opts for option in command.params)
]


@pytest.mark.parametrize("command", WITH_ENVIRONMENT)
def test_an_environment_that_is_none_is_refused(command: str) -> None:
    line = error_of(*command.split(), "-e", "prod", code=2, **NOWHERE)
    assert "'prod' isn't an environment; expected production or dev." in line
    by_variable = error_of(*command.split(), code=2, ENVIRONMENT="prod", **NOWHERE)
    assert by_variable == line


@pytest.mark.parametrize("command", ["start", "plan", "diff", "backfill"])
def test_reversed_dates_are_said_in_words(command: str) -> None:
    dates = ("--date-from", "2026-02-02", "--date-to", "2026-02-01")
    line = error_of(command, *dates, **NOWHERE)
    assert line == (
        "error: --date-from 2026-02-02 is after --date-to 2026-02-01: give the earlier day first"
    )


@pytest.mark.parametrize("text", ["2026-02-30", "20260201", "2026-W05-1", "tomorrow", ""])
def test_a_day_that_is_none_is_said_in_words(text: str) -> None:
    line = error_of("start", "--date-from", text, code=2, **NOWHERE)
    assert line.endswith(f"{text!r} isn't a day; expected one like 2026-01-31.")


@pytest.mark.parametrize("size", ["0", "-1", "1.5", "10000001", "1e3", "many"])
def test_a_batch_size_is_refused_before_a_cloud_is_started(size: str, tmp_path: Path) -> None:
    for arguments in (("start",), ("sync", tmp_path, "--database-url", "postgresql://nowhere/x")):
        code = 1 if size.lstrip("-").isdigit() else 2
        line = error_of(*arguments, f"--batch-size={size}", code=code, **NOWHERE)
        assert "expected a whole number of rows from 1 to 10,000,000" in line


@pytest.mark.parametrize(
    ("filled", "wrong"),
    [
        ({"git_ref": "mian"}, {"git_ref", ""}),
        ({"git_ref": "main"}, {"git_ref", ""}),
        ({"git_ref": "preview/pr-7"}, set()),
        ({"date_from": "2026-02-02", "date_to": "2026-02-01"}, {"date_from"}),
        ({"date_from": "2026-02-01", "date_to": "2026-02-01"}, set()),
        ({"batch_size": "0"}, {"batch_size"}),
        ({"batch_size": "²"}, {"batch_size"}),
        ({"batch_size": "100"}, set()),
        ({"batch_size": ""}, set()),
    ],
)
def test_the_page_refuses_at_the_field(filled: dict[str, str], wrong: set[str]) -> None:
    assert set(find_mistakes(filled, "dev", ("forecast",))) == wrong


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"batch_size": 0}, "Expected 1 or more"),
        ({"batch_size": "5"}, "Expected a whole number"),
        ({"dry_run": "true"}, "Expected true or false"),
        ({"sync_type": "all"}, "Expected 'incremental' or 'full'"),
        ({"speed": "fast"}, "Unknown"),
        ({"date_from": "2026-02-02", "date_to": "2026-02-01"}, "date_from 2026-02-02 is after"),
        ({"date_from": "0"}, "Expected a date like 2026-01-31"),
        ({"git_ref": "mian"}, REFS),
    ],
)
@pytest.mark.usefixtures("machine")
def test_the_api_says_what_it_expected(body: dict[str, Any], words: str) -> None:
    status, problem, _ = ask("POST", "/syncs", body)
    assert status == 422
    [mistake] = problem["errors"]
    assert mistake["detail"].lower().startswith(words.lower())


def test_an_execution_input_is_refused_in_our_words() -> None:
    with pytest.raises(InvalidInput) as refused:
        SyncRequest.parse({"date_from": "2026-02-02", "date_to": "2026-02-01", "x": 1})
    assert "x: unknown" in str(refused.value)
    assert "Value error" not in str(refused.value)


def test_nothing_starts_for_a_branch_that_neon_does_not_have() -> None:
    workflow: Any = Machine(done=execution("SUCCEEDED"))
    request = SyncRequest(git_ref="preview/pr-99")

    def missing(git_ref: str | None) -> None:
        raise BranchNotFound(f"no {git_ref}")

    def silent(_: str | None) -> None:
        raise NeonUnavailable("no answer")

    with pytest.raises(BranchNotFound):
        start_run(workflow, "dev", request, None, missing)
    assert set(workflow.executions) == {"done"}
    name = start_run(workflow, "dev", request, "a-key", silent)
    assert start_run(workflow, "dev", request, "a-key", missing) == name, "it has been started"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan", "--sync-type", "ful"), "'ful' is not one of 'incremental', 'full'."),
        (("files", "--state", "bad"), "'bad' is not one of 'pending', 'loaded', 'quarantined'"),
        (("history", "-n", "0"), "expected at least 1"),
        (("history", "-n", "many"), "expected a whole number"),
        (("status", "--goal-hours", "9000"), "expected at most 8760"),
    ],
)
def test_no_value_is_refused_in_a_library_s_words(arguments: tuple[str, ...], said: str) -> None:
    line = error_of(*arguments, code=2, **NOWHERE)
    assert said in line
    assert "Value error" not in line
    assert "Input should" not in line
