# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""AWS's limits and waits: payload sizes, delays of retries, wildcards that don't match all."""

import json
import random
import time

from ministack.services import stepfunctions as sfn

from .scope import CURRENT, ExecutionError, Json, Record

PAYLOAD_BYTES = 262_144
TERMINAL = frozenset({"States.DataLimitExceeded", "States.Runtime"})
"""Errors that neither States.ALL nor States.TaskFailed matches."""

SHORTEST_WAIT_SECONDS = 0.12
"""However short the scale makes a Wait: a machine that polls would poll in vain more often."""

_invoke_resource = sfn._invoke_resource
_execute_wait = sfn._execute_wait
_error_matches = sfn._error_matches
_find_matching_retrier = sfn._find_matching_retrier


def check_size(name: str, value: Json) -> None:
    """Raise States.DataLimitExceeded when the JSON of value is larger than 262,144 bytes."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if len(text.encode(errors="surrogatepass")) > PAYLOAD_BYTES:
        raise ExecutionError(
            "States.DataLimitExceeded",
            f"The state/task '{name}' has a payload with a size exceeding the maximum number of"
            f" bytes service limit ({PAYLOAD_BYTES}).",
        )


def invoke_resource(resource: str, value: Json) -> Json:
    """Call a task's resource within the size limit for what goes in and comes out."""
    check_size(resource, value)
    result = _invoke_resource(resource, value)
    check_size(resource, result)
    return result


def error_matches(error_equals: list[str], error: str) -> bool:
    """Whether a Retry or Catch matches an error; terminal errors match only by name."""
    if error in TERMINAL:
        return error in error_equals
    return bool(_error_matches(error_equals, error))


def find_matching_retrier(
    retriers: list[Record], error: str, counts: dict[int, int]
) -> tuple[Record | None, int]:
    """The retrier of this error with its next delay, in seconds, as IntervalSeconds."""
    retrier, index = _find_matching_retrier(retriers, error, counts)
    if retrier is None:
        return None, index
    delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** counts.get(
        index, 0
    )
    delay = min(delay, retrier.get("MaxDelaySeconds", delay))
    if retrier.get("JitterStrategy") == "FULL":
        delay = random.uniform(0, delay)  # noqa: S311
    return {**retrier, "IntervalSeconds": delay, "BackoffRate": 1}, index


def execute_wait(state: Record, value: Json, ctx: Record) -> tuple[Json, str | None]:
    """Run a Wait state, for at least ``SHORTEST_WAIT_SECONDS``."""
    earliest = time.monotonic() + SHORTEST_WAIT_SECONDS
    output, following = _execute_wait(state, value, ctx)
    time.sleep(max(0.0, earliest - time.monotonic()))
    return output, following


def scaled_sleep(seconds: float) -> None:
    """Sleep for seconds times SFN_WAIT_SCALE; raises Stopped soon after the scope has ended."""
    scope = CURRENT.get()
    deadline = time.monotonic() + seconds * sfn._SFN_WAIT_SCALE
    while (left := deadline - time.monotonic()) > 0:
        if scope is not None:
            scope.check()
        time.sleep(min(left, 0.1))
