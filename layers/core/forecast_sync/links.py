"""URLs for people: an execution in the AWS console, an error in the runbook."""

from __future__ import annotations

import re

LOCAL_ACCOUNT = "000000000000"
"""A local cloud's account, which has no console."""

CONSOLE_HOSTS = {
    "aws": "{region}.console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}


def console_link(execution_arn: str) -> str | None:
    """The page of an execution in the AWS console; None in a local cloud, which has no console."""
    is_local = execution_arn.split(":")[4] == LOCAL_ACCOUNT
    return None if is_local else console_url(execution_arn)


def console_url(execution_arn: str) -> str:
    """The page of an execution in the AWS console, which has the Redrive button."""
    _, partition, _, region, *_ = execution_arn.split(":")
    host = CONSOLE_HOSTS.get(partition, CONSOLE_HOSTS["aws"]).format(region=region)
    return f"https://{host}/states/home?region={region}#/v2/executions/details/{execution_arn}"


def runbook_url(runbook: str, error: str) -> str:
    """The runbook's section about an error; its anchor follows the rule of Markdown viewers."""
    anchor = re.sub(r"[^a-z0-9_-]", "", error.lower())
    return f"{runbook}#{anchor}"
