# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Lets Lambda retry the events of EventBridge rules, each of which ministack delivers once."""

from __future__ import annotations

import json

from ministack.services import eventbridge, lambda_svc


def install() -> None:
    """Hand a rule's events to the function that retries an asynchronous call twice, as AWS does."""
    eventbridge._dispatch_to_lambda = _deliver


def _deliver(arn: str, payload: str) -> None:
    function, configuration, _ = lambda_svc._get_func_record_for_ref(arn)
    if function and configuration:
        record = lambda_svc._execution_record_for_config(function, configuration)
        lambda_svc.invoke_async_with_retry(record, json.loads(payload))
