"""A local cloud with the toy stack, and helpers that call it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
from botocore.config import Config as BotoConfig
from localcloud.cloud import Cloud

from tests.waiting import eventually

TOY = Path(__file__).with_name("toy_stack") / "template.yaml"


def client(cloud: Cloud, service: str) -> Any:
    return cloud.session().client(  # type: ignore[call-overload]
        service, endpoint_url=cloud.endpoint_url, config=BotoConfig(retries={"max_attempts": 0})
    )


def invoke(cloud: Cloud, **event: Any) -> dict[str, Any]:
    answer = client(cloud, "lambda").invoke(FunctionName="toy-probe", Payload=json.dumps(event))
    return dict(json.loads(answer["Payload"].read()))


def execute(cloud: Cloud, **event: Any) -> dict[str, Any]:
    states = client(cloud, "stepfunctions")
    arn = states.start_execution(stateMachineArn=cloud.state_machine_arn, input=json.dumps(event))[
        "executionArn"
    ]

    def ended() -> dict[str, Any] | None:
        execution = states.describe_execution(executionArn=arn)
        return execution if execution["status"] != "RUNNING" else None

    return eventually(ended, 20)


def query(cloud: Cloud, statement: str, database: str = "default") -> str:
    """Run a statement of Athena's, which must succeed; the query's id."""
    athena = client(cloud, "athena")
    query_id: str = athena.start_query_execution(
        QueryString=statement,
        QueryExecutionContext={"Database": database},
        ResultConfiguration={"OutputLocation": f"s3://{cloud.bucket}/results/"},
    )["QueryExecutionId"]

    def ended() -> dict[str, Any] | None:
        answer = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
        return answer if answer["State"] not in ("QUEUED", "RUNNING") else None

    described = eventually(ended, 60, f"the end of {statement}")
    assert described["State"] == "SUCCEEDED", described
    return query_id


def processes(state_dir: Path) -> list[str]:
    """Command lines of living processes that belong to a local cloud."""
    commands = []
    for process in psutil.process_iter():
        try:
            belongs = [*process.cmdline(), process.cwd(), process.environ().get("STATE_DIR", "")]
            if process.status() != psutil.STATUS_ZOMBIE and any(
                str(state_dir) in text for text in belongs
            ):
                commands.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return commands
