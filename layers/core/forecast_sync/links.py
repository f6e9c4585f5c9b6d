"""Links: where a person reads on about a run, its execution and what to do about an error."""

from __future__ import annotations

import re

from forecast_sync import errors

CONSOLES = {
    "aws": "{region}.console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}

MEANINGS = {
    "States.Timeout": "A state or the whole run took longer than it may.",
    "StoppedByHand": "Somebody has stopped the run; what it has committed stays.",
    "Lambda.Unknown": "A function ended without an answer: out of memory, or out of time.",
}


def console_url(execution_arn: str) -> str:
    """The page of an execution in the AWS console, which has the Redrive button."""
    _, partition, _, region, *_ = execution_arn.split(":")
    host = CONSOLES.get(partition, CONSOLES["aws"]).format(region=region)
    return f"https://{host}/states/home?region={region}#/v2/executions/details/{execution_arn}"


def runbook_url(runbook: str, error: str) -> str:
    """The runbook's section about an error's name; its anchor is made as Markdown viewers do."""
    anchor = re.sub(r"[^a-z0-9_-]", "", error.lower())
    return f"{runbook}#{anchor}"


def error_name(message: str) -> str:
    """The name of the error that a failure's line begins with, or an empty one."""
    name, colon, _ = message.partition(":")
    return name if colon and re.fullmatch(r"[A-Za-z][\w.]*", name) else ""


def meaning_of(error: str) -> str:
    """What an error of this name means, in a sentence; empty for one that isn't ours."""
    kind = _find_kind(error)
    return (kind.__doc__ or "").strip() if kind else MEANINGS.get(error, "")


def redrive_helps(error: str) -> bool:
    """Whether to redrive a run that failed with this error, or to start a new one."""
    kind = _find_kind(error)
    return kind is None or kind.redrive_helps


def _find_kind(error: str) -> type[errors.ForecastSyncError] | None:
    kind = getattr(errors, error, None)
    is_ours = isinstance(kind, type) and issubclass(kind, errors.ForecastSyncError)
    return kind if is_ours else None
