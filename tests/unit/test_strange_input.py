"""Attacks with large or strange input, at every entry point."""

from __future__ import annotations

import base64
import json
import time
from contextlib import suppress
from typing import Any, cast

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from forecast_sync.adapters.stepfunctions import Execution, Workflow
from forecast_sync.api import routes
from forecast_sync.contracts.base import parse_payload
from forecast_sync.contracts.run import SyncRequest
from forecast_sync.diagnostics.inspect import InspectRequest
from forecast_sync.errors import InvalidInput, PermanentError, VerificationFailed, message_of
from forecast_sync.notify import outages
from forecast_sync.resolve.run import ResolveRequest
from forecast_sync.runs.uploads import start_for_uploads
from forecast_sync.text.size_limits import MESSAGE_CHARACTERS, shorten
from forecast_sync.text.strict_json import JsonInvalid, read_json, read_object

from tests.handlers import import_handler
from tests.unit.test_api import Machine, ask, machine
from tests.unit.test_messages import SETTINGS

__all__ = ["machine"]

BRACKETS = "[" * 100_000
DIGITS = "1" * 5_000

UNREADABLE = {
    "100,000 brackets": BRACKETS,
    "100,000 brackets, closed": BRACKETS + "]" * 100_000,
    "100,000 objects": '{"a":' * 100_000,
    "brackets in a key": f'{{"batch_size": {BRACKETS}}}',
    "5,000 digits": DIGITS,
    "5,000 digits in a key": f'{{"batch_size": {DIGITS}}}',
    "NaN": '{"batch_size": NaN}',
    "Infinity": '{"batch_size": -Infinity}',
    "a number that is infinite": '{"batch_size": 1e999}',
    "the same key twice": '{"sync_type": "full", "sync_type": "incremental"}',
    "half of a pair": '{"trigger": "\\ud800"}',
    "the other half": '{"git_ref": "feature/\\udfff"}',
    "a raw control character": '{"trigger": "a\x01b"}',
    "NUL in a ref": '{"git_ref": "feature/a\\u0000b"}',
    "NUL in a trigger": '{"trigger": "a\\u0000b"}',
    "an escape in a trigger": '{"trigger": "\\u001b]52;c;eA==\\u0007"}',
    "the C1 form of it": '{"trigger": "\\u009d52;c;eA=="}',
    "a line's end in a ref": '{"git_ref": "main\\n"}',
    "Unicode's end of a line": '{"trigger": "a\\u2028b"}',
    "NUL in a date": '{"date_from": "2026-01-01\\u0000"}',
    "NUL in a type": '{"sync_type": "full\\u0000"}',
    "NUL in a key": '{"dry_run\\u0000": true}',
    "NUL far inside": '{"x": [[{"y": "\\u0000"}]]}',
    "nothing": " ",
    "two documents": "{}{}",
    "a mark of byte order": "\ufeff{}",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_body_that_cannot_be_read_is_400_and_starts_nothing(name: str, machine: Machine) -> None:
    before = set(machine.executions)
    status, problem, headers = ask("POST", "/syncs", UNREADABLE[name])
    assert (status, problem["status"], problem["title"]) == (400, 400, "Bad Request")
    assert headers["Content-Type"] == "application/problem+json"
    assert problem["errors"][0]["where"].startswith("body")
    assert len(json.dumps(problem)) < 1000
    assert set(machine.executions) == before


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    "body",
    [
        {"dry_run": "true"},
        {"dry_run": "yes"},
        {"dry_run": 1},
        {"dry_run": 1.0},
        {"dry_run": None},
        {"batch_size": True},
        {"batch_size": 1.0},
        {"batch_size": "1"},
        {"batch_size": 10**30},
        {"date_from": 0},
        {"date_from": True},
        {"date_from": "1700006400"},
        {"date_from": "2026-01-01T00:00:00"},
        {"date_from": "٢٠٢٦-٠١-٠١"},
        {"git_ref": 5},
        {"git_ref": ["main"]},
        {"trigger": True},
        {"trigger": ""},
        {"trigger": "x" * 65},
        {"sync_type": ["full"]},
        [],
        ["main"],
        "full",
        5,
        True,
        {f"key{number}": 1 for number in range(5_000)},
    ],
    ids=lambda body: json.dumps(body)[:40],
)
def test_a_body_of_other_types_is_422_and_nothing_is_coerced(body: object) -> None:
    status, problem, _ = ask("POST", "/syncs", json.dumps(body))
    assert status == 422
    assert len(json.dumps(problem)) < 10_000


def test_what_fits_is_taken_as_it_is(machine: Machine) -> None:
    body = {"dry_run": True, "batch_size": 5, "date_from": "2026-01-01", "trigger": "café ✓"}
    status, answered, _ = ask("POST", "/syncs", body)
    assert status == 202
    assert json.loads(machine.executions[answered["run_id"]].input) == body


def send(**changes: Any) -> tuple[int, dict[str, Any]]:
    event = {
        "version": "2.0",
        "rawPath": "/syncs",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "http": {"method": "POST", "path": "/syncs"},
            "stage": "$default",
            "authorizer": {"iam": {"userArn": "arn:aws:iam::000000000000:root"}},
        },
        **changes,
    }
    answer = routes.answer(event, LambdaContext())
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"trigger": "x"}', 202),
        (b'{"trigger": "\xff"}', 400),
        (b'{"trigger": "\xed\xa0\x80"}', 400),
        ('{"trigger": "x"}'.encode("utf-16"), 400),
        (BRACKETS.encode(), 400),
        (b"", 422),
    ],
    ids=["JSON", "no UTF-8", "a surrogate in UTF-8", "UTF-16", "brackets", "nothing"],
)
def test_a_body_in_base64_is_read_as_strictly(body: bytes, status: int) -> None:
    encoded = base64.b64encode(body).decode()
    assert send(body=encoded, isBase64Encoded=True)[0] == status


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("body", ["%%%", "YQ", "é", "\ud800"])
def test_what_is_not_base64_is_400(body: str) -> None:
    assert send(body=body, isBase64Encoded=True)[0] == 400


@pytest.mark.usefixtures("machine")
def test_a_huge_body_costs_little() -> None:
    began = time.process_time()
    for content, status in (
        ("[" * 6_000_000, 400),
        (json.dumps({"trigger": "x" * 6_000_000}), 413),
        (json.dumps({"a": list(range(500_000))}), 413),
        ("[" + "0," * 1_000_000 + "0]", 413),
    ):
        assert ask("POST", "/syncs", content)[0] == status
    assert time.process_time() - began < 20


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_a_form_is_415(kind: str) -> None:
    assert send(headers={"Content-Type": kind}, body="git_ref=main")[0] == 415


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/syncs", {"git_ref": "dev\0"}),
        ("/syncs", {"trigger": "\x1b]52"}),
        ("/syncs", {"trigger\0": "x"}),
        ("/rejects", {"reason": "a\x9db"}),
        ("/rejects", {"run_id": "a\n"}),
        ("/syncs/a\0b", {}),
        ("/no\x1b]52where", {}),
    ],
)
def test_control_characters_in_path_and_query_are_400(path: str, query: dict[str, str]) -> None:
    status, problem, _ = ask("GET", path, query=query)
    assert status == 400
    assert problem["title"] == "Bad Request"


@pytest.mark.parametrize("name", UNREADABLE)
def test_json_is_read_or_refused_by_one_error(name: str) -> None:
    with suppress(JsonInvalid):
        read_json(UNREADABLE[name])
    assert isinstance(read_object(UNREADABLE[name]), dict)


@pytest.mark.parametrize(
    "payload",
    [
        {"git_ref": "feature/a\0b"},
        {"trigger": "\x1b]52"},
        {"trigger": "\ud800"},
        {"date_from": "2026-01-01\0"},
        {"date_to": 20_000},
        {"sync_type": "full\0"},
        {"dry_run": "true"},
        {"dry_run": 1},
        {"batch_size": True},
        {"batch_size": 1.0},
        {"key\0": 1},
        {"\ud800": 1},
        {"x" * 200_000: 1},
        {f"key{number}": 1 for number in range(20_000)},
    ],
    ids=lambda payload: ascii(payload)[:40],
)
def test_an_execution_input_is_refused_by_name_and_in_one_short_line(payload: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        SyncRequest.parse(payload)
    message = str(caught.value)
    assert isinstance(caught.value, PermanentError)
    assert message.isprintable()
    assert len(message) < MESSAGE_CHARACTERS


@pytest.mark.parametrize("value", [[], "full", 5, None, True])
def test_an_execution_input_that_is_no_object_is_refused_by_name(value: object) -> None:
    execution = {"run_id": "r", "execution_arn": "a", "started_at": "2026-01-01T00:00:00Z"}
    with pytest.raises(InvalidInput, match="input"):
        parse_payload(ResolveRequest, {"input": value, "execution": execution})


@pytest.mark.parametrize(
    "question",
    [
        {"about": "keys", "day": "2026-01-01", "limit": True},
        {"about": "keys", "day": 0, "limit": 1},
        {"about": "keys", "day": "2026-01-01", "limit": 1, "offset": 1.0},
        {"about": "keys", "day": "2026-01-01", "limit": 1, "offset": 2**80},
        {"about": "probe", "bucket": "b\0", "keys": []},
        {"about": "probe", "bucket": "b", "keys": ["k\0"]},
        {"about": "probe", "bucket": "b", "keys": ["k"] * 101},
    ],
)
def test_a_strange_question_about_the_database_is_refused(question: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        parse_payload(InspectRequest, {"question": question})


def execution_of(text: str) -> Execution:
    return Execution("FAILED", 0, "2026-01-01T00:00:00Z", text, "Lambda.Unknown", "")


@pytest.mark.parametrize("text", [BRACKETS, DIGITS, "NaN", "", "[]", "\ud800"])
def test_executions_are_distinguished_whatever_their_input(text: str) -> None:
    """Lambda's runtime can't read some: they fail before this project's code sees them."""
    assert outages._branch_of(text, SETTINGS) == text
    assert outages._is_verdict(execution_of(text))
    assert message_of(text) == text


def test_a_message_has_an_end() -> None:
    error = VerificationFailed("x" * 24_000_000)
    assert len(str(error)) == MESSAGE_CHARACTERS
    assert str(error).endswith("… (24,000,000 characters)")
    assert shorten("short", 5) == "short"
    assert shorten("x" * 50, 30) == "x" * 13 + "… (50 characters)"


def test_a_poisonous_upload_message_blocks_no_other(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a message says isn't read: a run lists the lake, so any message is as good."""
    start_sync = import_handler("start_sync", monkeypatch)
    bodies = [*UNREADABLE.values(), "\ud800", "", '{"detail": {"object": {"key": "a\\u0000"}}}']
    records = [{"messageId": f"m-{number}", "body": body} for number, body in enumerate(bodies)]
    answer = start_sync.handler({"Records": records}, LambdaContext())
    assert json.loads(machine.executions[answer["run_id"]].input) == {"trigger": "s3"}
    message_ids = [record["messageId"] for record in reversed(records)]
    assert start_for_uploads(cast(Workflow, machine), message_ids)
    assert len([name for name in machine.executions if name.startswith("uploads-")]) == 1


@pytest.mark.parametrize("key", ["a\0b", "\x1b]52", "x" * 100_000])
def test_a_raw_upload_event_is_a_plain_run_whatever_it_names(key: str) -> None:
    event = {"source": "aws.s3", "detail": {"object": {"key": key, "size": 10**400}}}
    assert SyncRequest.parse(event) == SyncRequest(trigger="s3")
