"""Notifications, as an email's text and as a chat message."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast

import pytest
from forecast_sync import errors, links
from forecast_sync.adapters.sns import Topic
from forecast_sync.config import Settings
from forecast_sync.contracts.counts import Counts
from forecast_sync.contracts.result import RunResult
from forecast_sync.notify import messages
from forecast_sync.runs.model import BranchStatus

from tests.builders import STARTED_AT, make_run

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

MACHINE = "arn:aws:states:us-east-2:000000000000:stateMachine:forecast-sync-dev"
SETTINGS = Settings(
    environment="dev", state_machine_arn=MACHINE, runbook_url="https://docs.example/runbook"
)
RESULT = RunResult(
    run_id="run-1",
    status="succeeded",
    git_ref="dev",
    neon_branch="dev",
    sync_type="full",
    watermark=STARTED_AT,
    counts=Counts(window_rows=1200, rejected=200, good=1000, inserted=900, unchanged=100),
)


def make_stale(neon_branch: str = "dev", **known: str) -> BranchStatus:
    values: dict[str, object] = dict.fromkeys(BranchStatus.model_fields) | {
        "waiting_files": 0,
        "git_ref": neon_branch,
        "neon_branch": neon_branch,
        "state": "stale",
        "age_seconds": 36_000,
        "watermark": STARTED_AT,
        "last_run": "run-1",
        **known,
    }
    return BranchStatus.model_validate(values)


ALL = [
    messages.failed(make_run(), "BatchRefused: Postgres answered 23514: no", SETTINGS),
    messages.failed(make_run(), "The execution is ABORTED.", SETTINGS),
    messages.unresolved("run-1", f"{MACHINE}:run-1", "InvalidInput: x", SETTINGS),
    messages.recovered(RESULT, SETTINGS),
    messages.rejected(RESULT, SETTINGS),
    messages.quarantined(RESULT.model_copy(update={"quarantined": 2}), SETTINGS),
    messages.deferred(
        RESULT.model_copy(
            update={"deletes_deferred": 120, "deletes_deferred_reason": "They are too many."}
        ),
        SETTINGS,
    ),
    messages.succeeded(RESULT, SETTINGS),
    messages.stale(make_stale(), SETTINGS),
]


@pytest.mark.parametrize("notification", ALL, ids=lambda notification: notification.kind)
def test_each_says_what_where_how_many_and_where_to_read_on(
    notification: messages.Notification,
) -> None:
    text = notification.to_text()
    assert notification.neon_branch in notification.title
    assert notification.what in text
    assert notification.rows in text
    assert "https://docs.example/runbook" in text
    assert len(notification.title) <= 100, "SNS cuts longer subjects"


@pytest.mark.parametrize("notification", ALL, ids=lambda notification: notification.kind)
def test_the_chat_message_keeps_to_the_schema(notification: messages.Notification) -> None:
    message = json.loads(notification.to_chat())
    assert set(message) == {"version", "source", "content", "metadata"}
    assert (message["version"], message["source"]) == ("1.0", "custom")
    content = message["content"]
    assert set(content) <= {"textType", "title", "description", "nextSteps", "keywords"}
    assert content["textType"] == "client-markdown"
    assert 0 < len(content["title"]) <= 250
    assert 0 < len(content["description"]) <= 8000
    assert all(isinstance(step, str) for step in content.get("nextSteps", []))
    assert set(message["metadata"]) == {"threadId", "summary", "eventType", "additionalContext"}
    assert all(
        isinstance(value, str) for value in message["metadata"]["additionalContext"].values()
    )


def test_a_failure_names_its_error_and_the_next_step() -> None:
    text = ALL[0].to_text()
    assert "A constraint, trigger or type of the target refused a row" in text
    assert "forecast-sync redrive run-1" in text
    assert "https://docs.example/runbook#batchrefused" in text


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("BatchRefused: no", "BatchRefused"),
        ("States.Timeout: too long", "States.Timeout"),
        ("The execution is ABORTED.", ""),
        ("it failed: badly", ""),
    ],
)
def test_the_name_of_an_error_is_found(message: str, name: str) -> None:
    assert errors.error_name(message) == name


def test_the_console_has_other_addresses_in_other_partitions() -> None:
    arn = "arn:aws-us-gov:states:us-gov-west-1:000000000000:execution:forecast-sync-dev:a"
    assert links.console_url(arn).startswith("https://console.amazonaws-us-gov.com/states/")


HOSTILE = (
    "BatchRefused: <!channel> @here <https://evil.example|Redrive> [x](https://evil.example)\n\n"
    "What to do:\n- *pay* `now` \x1b]52;c;cm0=\x07\u202e"
)
HOSTILE_REF = "preview/pr-<!here>|@all\u202e\x9b"


def hostile() -> list[messages.Notification]:
    run = make_run(git_ref=HOSTILE_REF, neon_branch=HOSTILE_REF)
    result = RESULT.model_copy(update={"git_ref": HOSTILE_REF, "neon_branch": HOSTILE_REF})
    branch = make_stale(
        HOSTILE_REF,
        last_run="<!channel>",
        last_status="failed",
        error=HOSTILE,
        running="<!channel>",
    )
    return [
        messages.failed(run, HOSTILE, SETTINGS),
        messages.unresolved("<!channel>", f"{MACHINE}:<!channel|>", HOSTILE, SETTINGS),
        messages.recovered(result, SETTINGS),
        messages.rejected(result, SETTINGS),
        messages.succeeded(result, SETTINGS),
        messages.stale(branch, SETTINGS),
    ]


def texts_of(document: object) -> list[str]:
    if isinstance(document, dict):
        return [text for value in document.values() for text in texts_of(value)]
    if isinstance(document, list):
        return [text for value in document for text in texts_of(value)]
    return [str(document)]


@pytest.mark.parametrize("notification", hostile(), ids=lambda notification: notification.kind)
def test_no_name_and_no_error_is_markup_in_a_chat(notification: messages.Notification) -> None:
    """Neither mentions nor links nor lines: only what this project writes is any."""
    own = re.compile(r"<https://[^\s<>|]+\|(Execution|Runbook)>|https://docs\.example/[\w#-]+")
    for text in texts_of(json.loads(notification.to_chat())):
        rest = own.sub("", text)
        assert not re.search(r"[<>@*`]|://|\]\(|[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", rest), text
        assert "\n\nWhat to do" not in text


@pytest.mark.parametrize("notification", hostile(), ids=lambda notification: notification.kind)
def test_no_name_and_no_error_forges_a_line_of_an_email(
    notification: messages.Notification,
) -> None:
    assert notification.title.isprintable()
    lines = notification.to_text().split("\n")
    assert all(line.isprintable() for line in lines)
    assert lines.count("What to do:") == (1 if notification.todo else 0)
    assert "- *pay* `now`" not in [line[:13] for line in lines]


def test_a_long_error_leaves_the_links_in_their_place() -> None:
    notification = messages.failed(make_run(), "BatchRefused: " + "<" * 50_000, SETTINGS)
    content = json.loads(notification.to_chat())["content"]
    assert len(content["description"]) <= 8000
    assert content["description"].endswith("|Runbook>")


class Inbox:
    """An SNS client that keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[dict[str, str]] = []

    def publish(self, **message: str) -> None:
        self.sent.append(message)


@pytest.mark.parametrize("notification", hostile(), ids=lambda notification: notification.kind)
def test_a_subject_is_what_sns_takes(notification: messages.Notification) -> None:
    inbox = Inbox()
    title = f"{notification.title}\nBcc: all \u202e Gr\xfc\xdfe {'x' * 200}"
    Topic(cast("SNSClient", inbox), "arn").publish(
        title, notification.to_text(), notification.to_chat()
    )
    [message] = inbox.sent
    assert len(message["Subject"]) <= 100
    assert message["Subject"].isascii()
    assert message["Subject"].isprintable()
    message["Message"].encode()


def test_the_loser_of_a_lease_is_told_of_the_other_run() -> None:
    """Neither run has anything wrong with it, so nobody is sent to look for a cause."""
    held = "LeaseHeld: Run full-1 works on this database, so this one waits until it has ended."
    text = messages.failed(make_run(), held, SETTINGS).to_text()
    assert "Run full-1 works on this database" in text
    assert "Nothing is wrong with either" in text
    assert "When the other run has ended, redrive this one: forecast-sync redrive run-1" in text
    assert "Fix the cause" not in text


def test_a_link_to_the_console_stands_only_where_there_is_one() -> None:
    local = "arn:aws:states:us-east-2:000000000000:execution:forecast-sync-dev:run-1"
    assert links.console_link(local) is None
    in_aws = local.replace("000000000000", "123456789012")
    assert links.console_link(in_aws) == links.console_url(in_aws)
    failed = messages.failed(make_run(execution_arn=local), "BatchRefused: no", SETTINGS)
    assert [link.label for link in failed.links] == ["Runbook"]
    shown = messages.failed(make_run(execution_arn=in_aws), "BatchRefused: no", SETTINGS).to_text()
    details = "console.aws.amazon.com/states/home?region=us-east-2#/v2/executions/details/"
    assert f"{details}{in_aws}" in shown
    assert "or the console's Redrive" in shown
    assert "console" not in failed.to_text()


def test_deferred_deletions_say_how_many_why_and_what_lets_them_go() -> None:
    changes = {"deletes_deferred": 120, "deletes_deferred_reason": "They are too many."}
    text = messages.deferred(RESULT.model_copy(update=changes), SETTINGS).to_text()
    assert "120 rows that should leave the table stay" in text
    assert "They are too many." in text
    assert "forecast-sync start --allow-deletes 120" in text
