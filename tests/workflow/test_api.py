"""The status API over HTTP, signed, in the local cloud, and what its document promises."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from forecast_sync.api.routes import document
from forecast_sync_cli.client.api import Answer
from forecast_sync_cli.client.deployment import Deployment
from hypothesis import HealthCheck, Phase, assume, settings

from tests.builders import DEFINITION
from tests.lake import MORNING, make_row, make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed

EXAMPLES = 12


@pytest.fixture
def operator(deployed: Deployed) -> Deployment:
    """The deployment as its operator reaches it."""
    cloud = deployed.cloud
    session = cloud.session()
    return Deployment("dev", session, cloud.endpoint_url, cloud.state_machine_arn)


def get(operator: Deployment, path: str, **query: str) -> dict[str, Any]:
    answer = operator.api.call("GET", path, query)
    assert answer.status == 200, answer
    return answer.document


def start(operator: Deployment, key: str, **body: Any) -> Answer:
    return operator.api.call("POST", "/syncs", body=body, headers={"Idempotency-Key": key})


def ended(operator: Deployment, run_id: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        detail = get(operator, f"/syncs/{run_id}")
        return detail if detail["execution_status"] != "RUNNING" else None

    return eventually(look, 60, f"the end of {run_id}")


def test_what_is_not_signed_is_refused(deployed: Deployed) -> None:
    for path in [*document()["paths"], "/nowhere"]:
        for method in ("GET", "POST"):
            answer = urllib3.request(
                method, deployed.cloud.api_url + path.format(run_id="a", content_hash="b")
            )
            assert answer.status == 403, (method, path)


def test_a_run_from_its_start_to_its_counts(deployed: Deployed, operator: Deployment) -> None:
    before = get(operator, "/status")
    assert [b["state"] for b in before["branches"]] == ["never", "never"]
    assert [b["git_ref"] for b in before["branches"]] == ["dev", "preview/pr-7"]
    deployed.upload("some", [*make_rows(range(300)), make_row(900, state="OHIO")])
    key = f"key-{time.time()}"
    started = start(operator, key, sync_type="full")
    assert started.status == 202
    assert start(operator, key, sync_type="full").document == started.document
    assert start(operator, key, sync_type="incremental").status == 409
    run_id = started.document["run_id"]
    run = ended(operator, run_id)
    assert (run["execution_status"], run["status"]) == ("SUCCEEDED", "succeeded")
    assert run["pages"]["done"] == run["pages"]["planned"] > 0
    assert run["counts"]["inserted"] == run["rows"]["inserted"] == 300
    names = [state["name"] for state in run["states"]]
    assert names[0] == "Resolve branch"
    assert names[-1] == "Finished"
    assert all(state["left_at"] for state in run["states"])
    assert run["refused"]["redrive"] == "it has succeeded."
    after = get(operator, "/status", git_ref="dev")["branches"]
    assert [(b["state"], b["last_success"], b["running"]) for b in after] == [
        ("fresh", run_id, None)
    ]
    judged = get(operator, "/status", git_ref="dev", goal_hours="0")
    assert (judged["goal_seconds"], judged["branches"][0]["state"]) == (0, "stale")
    rejects = get(operator, "/rejects", run_id=run_id)
    assert [(item["reason"], item["rows"]) for item in rejects["reasons"]] == [
        ("state is longer than 2 characters", 1)
    ]
    assert start(operator, key, sync_type="full").document == started.document, "long after its end"


def test_a_failed_run_says_why_and_is_redriven(deployed: Deployed, operator: Deployment) -> None:
    deployed.upload("first", make_rows(range(20)))
    deployed.succeed()
    deployed.execute("ALTER TABLE forecast_data ADD CONSTRAINT small CHECK (y_50 < 5000)")
    later = MORNING + timedelta(hours=1)
    deployed.upload("second", [make_row(1, y_50=6000.0, updated_at=later)])
    failed = deployed.run()
    run = get(operator, f"/syncs/{failed.name}")
    assert run["error"]["name"] == "BatchRefused"
    assert run["error"]["meaning"].startswith("A constraint, trigger or type")
    assert run["links"]["runbook"].endswith("#batchrefused")
    assert run["refused"] == {"redrive": None, "stop": "it has ended already (FAILED)."}
    deployed.execute("ALTER TABLE forecast_data DROP CONSTRAINT small")
    assert operator.api.call("POST", f"/syncs/{failed.name}/redrive").status == 202
    eventually(lambda: get(operator, f"/syncs/{failed.name}")["redrive_count"] == 1)
    assert ended(operator, failed.name)["execution_status"] == "SUCCEEDED"
    assert operator.api.call("POST", f"/syncs/{failed.name}/redrive").status == 409


def test_a_run_says_its_definition_and_why_it_has_read_the_whole_lake(
    deployed: Deployed, operator: Deployment
) -> None:
    deployed.upload("some", make_rows(range(20)))
    first = deployed.succeed()
    deployed.execute("TRUNCATE forecast_data")
    second = deployed.succeed()
    listed = {run["run_id"]: run for run in get(operator, "/syncs")["syncs"]}
    for ended_run, why in ((first, None), (second, second.output["window_reason"])):
        for shown in (listed[ended_run.name], get(operator, f"/syncs/{ended_run.name}")):
            assert (shown["definition"], shown["window_reason"]) == (DEFINITION, why)
    assert "was truncated" in second.output["window_reason"]


def test_a_running_run_is_stopped(deployed: Deployed, operator: Deployment) -> None:
    deployed.upload("many", make_rows(range(20_000)))
    run_id = start(operator, f"key-{time.time()}", batch_size=50).document["run_id"]
    eventually(lambda: get(operator, f"/syncs/{run_id}")["pages_begun"] > 0)
    assert operator.api.call("POST", f"/syncs/{run_id}/stop").status == 202
    stopped = ended(operator, run_id)
    assert stopped["execution_status"] == "ABORTED"
    assert stopped["error"]["name"] == "StoppedByHand"
    assert operator.api.call("POST", f"/syncs/{run_id}/stop").status == 409


def test_history_comes_page_by_page_and_filtered(deployed: Deployed, operator: Deployment) -> None:
    deployed.upload("few", make_rows(range(5)))
    names = [deployed.succeed(trigger=f"t{number % 2}").name for number in range(3)]
    first = get(operator, "/syncs", limit="2")
    assert [run["run_id"] for run in first["syncs"]] == [names[2], names[1]]
    second = get(operator, "/syncs", limit="2", after=first["next"])
    assert [run["run_id"] for run in second["syncs"]] == [names[0]]
    assert second["next"] is None
    even = get(operator, "/syncs", trigger="t0", status="succeeded")
    assert [run["run_id"] for run in even["syncs"]] == [names[2], names[0]]
    assert get(operator, "/syncs", sync_type="full")["syncs"] == []
    assert get(operator, "/syncs", git_ref="preview/pr-7")["syncs"] == []


def _unsecured(described: dict[str, Any]) -> dict[str, Any]:
    """Every request of the property test is signed; that others are refused is tested above."""
    return {key: value for key, value in described.items() if key != "security"}


SCHEMA = schemathesis.openapi.from_dict(_unsecured(document()))


@SCHEMA.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_it_does_what_its_document_says(
    case: schemathesis.Case[Any],
    _deployed: Deployed,  # noqa: PT019  # the session's cloud: examples share it
) -> None:
    assume(_can_be_told_by_a_schema(case))
    response = case.call(base_url=_deployed.cloud.api_url, auth=Signed(_deployed))
    case.validate_response(response)


def _can_be_told_by_a_schema(case: schemathesis.Case[Any]) -> bool:
    """Not which environment a ref belongs to, nor that one date isn't after another.

    Nor that a whole number has no decimal point: to JSON Schema 1.0 is an integer.
    """
    body = case.body if isinstance(case.body, dict) else {}
    refs = (str((case.query or {}).get("git_ref")), str(body.get("git_ref")))
    first, last = body.get("date_from"), body.get("date_to")
    both = isinstance(first, str) and isinstance(last, str)
    in_order = not both or str(first) <= str(last)
    is_whole = not any(
        isinstance(body.get(name), float) for name in ("batch_size", "allow_deletes")
    )
    return in_order and is_whole and not {"main", "refs/heads/main"} & set(refs)


class Signed:
    """Signs a request of the `requests` library for the gateway."""

    def __init__(self, deployed: Deployed) -> None:
        cloud = deployed.cloud
        credentials = Credentials(cloud.access_key_id, cloud.secret_access_key)
        self._signer = SigV4Auth(credentials, "execute-api", cloud.region)

    def __call__(self, request: Any) -> Any:
        signed = AWSRequest(request.method, request.url, data=request.body)
        self._signer.add_auth(signed)
        request.headers.update(signed.headers.items())
        return request
