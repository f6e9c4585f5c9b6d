"""One Lambda execution environment: AWS's own runtime client, which ends with its server.

If the folder ``FORECAST_SYNC_CALLS_DIR`` exists, it records each AWS call there; tests compare the
calls with the permissions of each function. A worker that can't reach that folder gets its file as
an open descriptor, ``FORECAST_SYNC_CALLS_DESCRIPTOR``.

``FORECAST_SYNC_WAIT_SCALE`` multiplies the function's long sleeps, as it does the machine's waits.
Once these have grown to a minute, the function itself waits between polls: for a real minute,
if not for this scale.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import IO, Any

PARENT_POLL_SECONDS = 1.0
LONG = 400
LONG_SLEEP_SECONDS = 10.0
"""A shorter one may be what another service has asked for, whose time isn't scaled."""
END_OF_LOG = "\x1eend-of-log "
"""What the line after an invocation's log begins with; the invocation's id follows."""


def _end_with(parent: int, sleep: Callable[[float], None]) -> None:
    """End with the server: a busy handler would outlive a killed one by minutes."""
    while os.getppid() == parent:
        sleep(PARENT_POLL_SECONDS)
    os._exit(1)


def _open_calls() -> IO[str] | None:
    """The file for this process's calls; None if they aren't recorded."""
    if descriptor := os.environ.get("FORECAST_SYNC_CALLS_DESCRIPTOR"):
        return os.fdopen(int(descriptor), "a", buffering=1)
    folder = Path(os.environ.get("FORECAST_SYNC_CALLS_DIR", "-"))
    if not folder.is_dir():
        return None
    name = f"{os.environ['AWS_LAMBDA_FUNCTION_NAME']}-{os.getpid()}.jsonl"
    return (folder / name).open("a", buffering=1)


def _record_calls(file: IO[str]) -> None:
    """Append a line for each call of any AWS client that this process creates."""
    from botocore.handlers import BUILTIN_HANDLERS

    def record(params: dict[str, Any], model: Any, **_: object) -> None:
        short = {name: text for name, text in params.items() if len(str(text)) < LONG}
        call = {"service": model.service_model.service_name, "operation": model.name}
        file.write(json.dumps({**call, "parameters": short}, default=str) + "\n")

    BUILTIN_HANDLERS.append(("before-parameter-build", record))


def _scale_long_sleeps(scale: float) -> None:
    sleep = time.sleep

    def sleep_scaled(seconds: Any) -> None:
        sleep(seconds * scale if seconds >= LONG_SLEEP_SECONDS else seconds)

    time.sleep = sleep_scaled


def _take_path_of_address() -> None:
    """Handle the token in the API's address: only the client's native half accepts a path."""
    from awslambdaric.lambda_runtime_client import BaseLambdaRuntimeClient

    call_rapid = BaseLambdaRuntimeClient.call_rapid

    def call(client: Any, method: str, endpoint: str, *rest: Any, **named: Any) -> Any:
        address, _, token = client.lambda_runtime_address.partition("/")
        client = copy(client)
        client.lambda_runtime_address = address
        return call_rapid(client, method, f"/{token}{endpoint}", *rest, **named)

    BaseLambdaRuntimeClient.call_rapid = call


def _end_logs() -> None:
    """Let the server know when it has read all that an invocation has printed."""
    from awslambdaric.lambda_runtime_client import BaseLambdaRuntimeClient

    def ending_log(post: Callable[..., Any]) -> Callable[..., Any]:
        def end_and_post(client: Any, invoke_id: str, *rest: Any) -> Any:
            os.write(1, f"{END_OF_LOG}{invoke_id}\n".encode())
            return post(client, invoke_id, *rest)

        return end_and_post

    for name in ("post_invocation_result", "post_invocation_error"):
        setattr(BaseLambdaRuntimeClient, name, ending_log(getattr(BaseLambdaRuntimeClient, name)))


def serve_function() -> None:
    """Serve the function that the environment names until the server ends."""
    from awslambdaric.__main__ import main as serve

    _take_path_of_address()
    _end_logs()
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    threading.Thread(target=_end_with, args=(os.getppid(), time.sleep), daemon=True).start()
    _scale_long_sleeps(float(os.environ.pop("FORECAST_SYNC_WAIT_SCALE", "1")))
    if file := _open_calls():
        _record_calls(file)
    serve(sys.argv)


if __name__ == "__main__":
    sys.path += filter(None, os.environ.get("FORECAST_SYNC_PACKAGES", "").split(":"))
    serve_function()
