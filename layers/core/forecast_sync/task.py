"""What a Lambda function's handler is: a typed request in, a use case, a typed answer out."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from forecast_sync.contracts.base import Model, parse_payload
from forecast_sync.telemetry.logging import about_event, logger, name_run

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

M = TypeVar("M", bound=Model)

Event = dict[str, Any]
Answer = Model | dict[str, Any]
LambdaHandler = Callable[[Event, "LambdaContext"], dict[str, Any]]
RemainingMilliseconds = Callable[[], int]
"""How much of the Lambda's time is left."""


def task(
    model: type[M], *, log_answer: bool = True
) -> Callable[[Callable[[M], Answer]], LambdaHandler]:
    """Turn ``handler(request) -> answer`` into a Lambda handler.

    The event is read as ``model``, and the answer is returned as JSON. Each call logs one line,
    with its run and table: the answer, or the error that is then raised to the state machine
    (``InvalidInput`` for an event that doesn't fit). Answers are pointers and counts; pass
    ``log_answer=False`` for a function whose answers hold values of rows.
    """

    def decorate(handler: Callable[[M], Answer]) -> LambdaHandler:
        @wraps(handler)
        def call(event: Event, _context: LambdaContext) -> dict[str, Any]:
            return _call(lambda: handler(parse_payload(model, event)), event, log_answer)

        return call

    return decorate


def timed_task(
    model: type[M],
) -> Callable[[Callable[[M, RemainingMilliseconds], Answer]], LambdaHandler]:
    """``task`` for a handler that stops in time: ``handler(request, remaining_milliseconds)``."""

    def decorate(handler: Callable[[M, RemainingMilliseconds], Answer]) -> LambdaHandler:
        @wraps(handler)
        def call(event: Event, context: LambdaContext) -> dict[str, Any]:
            remaining = context.get_remaining_time_in_millis
            return _call(lambda: handler(parse_payload(model, event), remaining), event)

        return call

    return decorate


def _call(work: Callable[[], Answer], event: Event, log_answer: bool = True) -> dict[str, Any]:
    with about_event(event):
        answer = work()
        dumped = answer.model_dump(mode="json") if isinstance(answer, Model) else answer
        if "run_id" in dumped:
            # An upload's event names no run; the run that it has started is in the answer.
            name_run(str(dumped["run_id"]), dumped.get("table"))
        logger.info("done", extra={"answer": dumped} if log_answer else {})
        return dumped
