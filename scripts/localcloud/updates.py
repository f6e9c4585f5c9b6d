# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Lets invocations end that are going on while their function is updated, as Lambda does.

ministack kills a function's environments when it gets new code or a new configuration, busy ones
too. In AWS a busy environment finishes its invocation with the old ones, beside functions that have
the new ones already.
"""

from __future__ import annotations

from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc


def install() -> None:
    """Replace what ministack's Lambda calls to end environments and to hand them back."""
    invalidate, release = lambda_svc.invalidate_worker, lambda_svc.release_worker

    def retire_workers(name: str, qualifier: str | None = None, **scope: Any) -> None:
        """Take a function's environments out of use; busy ones end with their invocation."""
        with lambda_runtime._lock:
            for key, workers in lambda_runtime._workers.items():
                if key.split(":")[-2] == name and qualifier in (None, key.split(":")[-1]):
                    for worker in filter(_is_busy, workers):
                        worker.retired = True
                    workers[:] = [worker for worker in workers if not _is_retired(worker)]
        invalidate(name, qualifier, **scope)

    def release_worker(worker: Any) -> None:
        release(worker)
        if worker is not None and _is_retired(worker):
            lambda_runtime.kill_workers([worker])

    lambda_svc.invalidate_worker = retire_workers
    lambda_svc.release_worker = release_worker


def _is_busy(worker: Any) -> bool:
    """Whether an invocation goes on; one whose process has died is about to end."""
    return bool(worker.in_use and (worker._proc is None or worker._proc.poll() is None))


def _is_retired(worker: Any) -> bool:
    return bool(getattr(worker, "retired", False))
