"""Notifications, read from a queue and a chat client that are subscribed to the topic."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from localcloud import cloud
from localcloud.protocol import Athena

from tests.lake import make_row, make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed


@dataclass
class Inbox:
    """A real queue on the topic, and a chat client that SNS reaches over HTTP."""

    deployed: Deployed
    queue_url: str
    envelopes: list[dict[str, Any]]
    read: list[dict[str, str]] = field(default_factory=list)

    def subjects(self) -> list[str]:
        """Of everything that has come so far, in its order."""
        sqs = self.deployed.client("sqs")
        received = sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        for message in received.get("Messages", []):
            self.read.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Subject"] for message in self.read]

    def wait(self, *subjects: str) -> str:
        """Wait until exactly these have come; the text of the last one."""
        wanted = list(subjects)
        eventually(lambda: len(self.subjects()) >= len(wanted), 10, f"{wanted} in {self.read}")
        assert self.subjects() == wanted
        return self.read[-1]["Message"]

    def last_chat(self) -> dict[str, Any]:
        """The last message as the chat client has got it."""

        def newest() -> list[dict[str, Any]] | None:
            sent = [item for item in self.envelopes if item["Type"] == "Notification"]
            return sent if len(sent) >= len(self.read) else None

        message: dict[str, Any] = json.loads(
            eventually(newest, 10, "a chat message")[-1]["Message"]
        )
        return message


def goal_seconds(athena: Athena) -> int:
    """A run is through well before, with either engine."""
    return 9 if athena == "embedded" else 25


@pytest.fixture(scope="module")
def announced(athena: Athena) -> Iterator[Deployed]:
    goal_hours = goal_seconds(athena) / 3600
    parameters = {"FreshnessGoalHours": str(goal_hours), "NotifyRejectedRows": "3"}
    with cloud.running(wait_scale=0.02, parameters=parameters, athena=athena) as running:
        running.calls_dir.mkdir()
        yield Deployed(running)


@pytest.fixture
def inbox(announced: Deployed) -> Iterator[Inbox]:
    """An inbox on an empty deployment."""
    announced.reset()
    sqs, sns = announced.client("sqs"), announced.client("sns")
    url = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    topic = next(t["TopicArn"] for t in sns.list_topics()["Topics"] if "forecast" in t["TopicArn"])
    envelopes: list[dict[str, Any]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _chat_client(envelopes))
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=address)
    request = eventually(lambda: next(iter(envelopes), None), 10, "the request to confirm")
    sns.confirm_subscription(TopicArn=topic, Token=request["Token"])
    yield Inbox(announced, url, envelopes)
    for subscription in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=url)
    server.shutdown()
    server.server_close()


def _chat_client(envelopes: list[dict[str, Any]]) -> type[BaseHTTPRequestHandler]:
    class Client(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            envelopes.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not on stderr."""

    return Client


def _refuse(deployed: Deployed) -> None:
    deployed.execute("ALTER TABLE forecast_data ADD CONSTRAINT small CHECK (y_50 < 5000)")
    deployed.upload("refused", [make_row(60, y_50=6000.0)])


def test_a_failure_is_published_once_and_its_recovery_once(inbox: Inbox) -> None:
    deployed = inbox.deployed
    deployed.upload("first", make_rows(range(20)))
    deployed.succeed()
    _refuse(deployed)
    failed = deployed.run(name="broken")
    text = inbox.wait("Forecast sync failed: dev (dev)")
    assert "Run broken (incremental) of dev failed: BatchRefused: Postgres answered 23514" in text
    assert "forecast-sync redrive broken" in text
    assert "console.aws.amazon.com" not in text, "a local cloud has none: see test_messages"
    assert "docs/runbook.md#batchrefused" in text
    chat = inbox.last_chat()
    assert (chat["version"], chat["source"]) == ("1.0", "custom")
    assert chat["content"]["textType"] == "client-markdown"
    assert "Forecast sync failed: dev (dev)" in chat["content"]["title"]
    assert any("redrive broken" in step for step in chat["content"]["nextSteps"])
    assert chat["metadata"]["threadId"] == "forecast-sync-dev-dev"
    again = deployed.redrive(failed)
    assert again.status == "FAILED"
    eventually(lambda: (deployed.status("broken") or {})["status"] == "failed")
    deployed.execute("ALTER TABLE forecast_data DROP CONSTRAINT small")
    assert deployed.redrive(again).status == "SUCCEEDED"
    text = inbox.wait("Forecast sync failed: dev (dev)", "Forecast sync recovered: dev (dev)")
    assert "1 rows inserted, 0 updated, 0 unchanged, 0 rejected." in text
    deployed.succeed()
    assert len(inbox.subjects()) == 2, "a success like the one before is no news"


def test_rejects_are_published_from_the_threshold_until_there_are_few(inbox: Inbox) -> None:
    deployed = inbox.deployed
    deployed.upload("two", [*make_rows(range(300)), *_bad(2)])
    deployed.succeed(sync_type="full")
    deployed.upload("two", [*make_rows(range(300)), *_bad(3)])
    deployed.succeed(sync_type="full")
    deployed.succeed(sync_type="full")
    text = inbox.wait("Forecast sync rejected rows: dev (dev)")
    assert "3 of 303 rows can't be in the table." in text
    assert "forecast-sync rejects" in text


def _bad(count: int) -> list[dict[str, Any]]:
    return [make_row(900 + number, state="OHIO") for number in range(count)]


def test_a_run_without_a_branch_is_published_too(inbox: Inbox) -> None:
    inbox.deployed.run(name="lost", git_ref="nope")
    text = inbox.wait("Forecast sync failed: unknown branch (dev)")
    assert "BranchNotMapped: The git ref 'nope' belongs to no environment" in text


def test_an_outage_of_the_database_is_published_once_and_its_end_once(inbox: Inbox) -> None:
    """However many runs fail meanwhile: there is nowhere to record what was published."""
    deployed = inbox.deployed
    deployed.upload("first", make_rows(range(20)))
    deployed.succeed()
    with _database_closed(deployed):
        for _ in range(3):
            _fail(deployed)
    text = inbox.wait("Forecast sync failed: dev (dev)")
    assert re.search(r"of dev failed: Database(Unavailable|Refused): ", text)
    deployed.succeed()
    text = inbox.wait("Forecast sync failed: dev (dev)", "Forecast sync recovered: dev (dev)")
    assert "0 rows inserted, 0 updated, 0 unchanged, 0 rejected." in text
    deployed.succeed()
    assert len(inbox.subjects()) == 2, "a success like the one before is no news"


def test_an_outage_of_neon_s_api_is_published_once_and_its_end_once(inbox: Inbox) -> None:
    deployed = inbox.deployed
    deployed.upload("first", make_rows(range(20)))
    deployed.succeed()
    deployed.neon("POST", "/_key", {"api_key": "secret"})
    for _ in range(3):
        _fail(deployed)
    deployed.neon("POST", "/_key", {"api_key": deployed.cloud.neon_api_key})
    assert "NeonRefused" in inbox.wait("Forecast sync failed: unknown branch (dev)")
    deployed.succeed(git_ref="preview/pr-7")
    deployed.succeed()
    inbox.wait("Forecast sync failed: unknown branch (dev)", "Forecast sync recovered: dev (dev)")


def _fail(deployed: Deployed) -> None:
    """A run that fails, until it was decided whether anybody hears of it."""
    before = _asked_for_earlier_runs(deployed)
    assert deployed.run().status == "FAILED"
    eventually(lambda: _asked_for_earlier_runs(deployed) > before, 30)


def _asked_for_earlier_runs(deployed: Deployed) -> int:
    files = deployed.cloud.calls_dir.glob("forecast-sync-dev-record-status-*.jsonl")
    return sum(file.read_text().count('"ListExecutions"') for file in files)


@contextmanager
def _database_closed(deployed: Deployed) -> Iterator[None]:
    """Nobody can connect to the database of dev for the length of a block."""
    name = urlsplit(deployed.cloud.database_urls["dev"]).path.lstrip("/")
    with psycopg.connect(deployed.cloud.database_urls["main"], autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        try:
            yield
        finally:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())


def test_a_stale_branch_is_published_once_and_its_recovery_once(
    inbox: Inbox, athena: Athena
) -> None:
    deployed = inbox.deployed
    deployed.upload("first", make_rows(range(20)))
    deployed.succeed()
    assert _check(deployed) == {"published": []}
    eventually(lambda: _check(deployed) == {"published": ["stale"]}, goal_seconds(athena) + 10)
    assert _check(deployed) == {"published": []}
    text = inbox.wait("Forecasts are stale: dev (dev)")
    assert "aren't in the table" in text
    assert "forecast-sync start" in text
    deployed.succeed()
    inbox.wait("Forecasts are stale: dev (dev)", "Forecast sync recovered: dev (dev)")


def _check(deployed: Deployed) -> dict[str, Any]:
    """What the schedule's call answers."""
    return deployed.invoke("notify", {"check": "freshness"})


def test_a_file_that_is_left_out_makes_a_branch_stale_while_its_runs_succeed(inbox: Inbox) -> None:
    deployed = inbox.deployed
    deployed.upload("good", make_rows(range(20)))
    deployed.upload("bad", b"no parquet")
    deployed.succeed()
    assert "left out: forecast/bad.parquet;" in inbox.wait(
        "Forecast sync left files out: dev (dev)"
    )

    def has_become_stale() -> bool:
        deployed.succeed()
        return _check(deployed) == {"published": ["stale"]}

    eventually(has_become_stale, 60)
    left_out, stale = "Forecast sync left files out: dev (dev)", "Forecasts are stale: dev (dev)"
    text = inbox.wait(left_out, stale)
    assert "forecast/bad.parquet has waited for" in text
    deployed.succeed()
    assert inbox.subjects() == [left_out, stale], "a run that leaves it out makes nothing fresh"
    deployed.upload("bad", make_rows(range(20, 25)))
    deployed.succeed()
    inbox.wait(left_out, stale, "Forecast sync recovered: dev (dev)")
