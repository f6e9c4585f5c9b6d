# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""What an invocation of a function has printed: all of it, however busy the machine is.

By itself ministack takes what has arrived some milliseconds after the answer. What comes later goes
to the function's next invocation, or is never seen if there is none.
"""

from __future__ import annotations

import logging
import queue
import time
from typing import Any

from ministack.core.lambda_runtime import ProvidedWorker

from localcloud.worker import END_OF_LOG

LONGEST_WAIT_SECONDS = 30.0
"""For the line after the log, which was written before the answer."""
logger = logging.getLogger(__name__)


def install() -> None:
    """Let ministack's functions be read up to the line with which ``worker`` ends each log."""
    invoke, drain = ProvidedWorker.invoke, ProvidedWorker._drain_stderr
    drain_for_a_while = ProvidedWorker._drain_stderr_bounded

    def invoke_with_id(worker: Any, event: Any, request_id: str, **options: Any) -> Any:
        worker.request_id = request_id
        return invoke(worker, event, request_id, **options)

    def drain_all(worker: Any) -> str:
        # Of a process that has ended, perhaps between this line and its answer.
        lines = drain(worker).split("\n")
        return "\n".join(line for line in lines if not line.startswith(END_OF_LOG))

    def drain_to_end(worker: Any, **bounds: float) -> str:
        if bounds:
            # Of a process that hasn't started: nobody will end it.
            return str(drain_for_a_while(worker, **bounds))
        return read_log(worker._stderr_queue, worker.request_id)

    ProvidedWorker.invoke = invoke_with_id
    ProvidedWorker._drain_stderr = drain_all
    ProvidedWorker._drain_stderr_bounded = drain_to_end


def read_log(lines: queue.Queue[str], request_id: str) -> str:
    """What was printed up to the end of this invocation's log, without the lines that end logs."""
    log: list[str] = []
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            logger.warning("The end of the log of %s didn't come: it may lack lines", request_id)
            break
        # The function's last line may have no end of its own.
        text, mark, ended = line.partition(END_OF_LOG)
        if text or not mark:
            log.append(text)
        if ended == request_id:
            break
    return "\n".join(log)
