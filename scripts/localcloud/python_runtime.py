# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Runs Python functions as ``sam deploy`` deploys them: with Lambda's runtime, CPU and layer.

ministack's own worker hides the names of errors, and the layer may be built for another processor.
So they run like those of ``build``: by a bootstrap, with the layer's source. AWS's tools still see
them as they were deployed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from localcloud.function_processes import bootstrap


def install(layers: Sequence[Path]) -> None:
    """Make ministack run Python functions as custom runtimes, with the layers' source."""
    class_for = lambda_runtime._worker_class_for
    writing = threading.Lock()
    extract = lambda_svc._provided_runtime_code_dir

    def worker_class_for(config: dict[str, Any]) -> Any:
        if str(config.get("Runtime", "")).startswith("python"):
            return lambda_runtime.ProvidedWorker
        return class_for(config)

    def extract_with_bootstrap(code_zip: bytes) -> str:
        folder: str = extract(code_zip)
        file = Path(folder) / "bootstrap"
        # Environments start in parallel, and none may start a half-written program.
        with writing:
            if not file.exists():
                unfinished = file.parent.with_suffix(".bootstrap")
                unfinished.write_text(bootstrap(layers))
                unfinished.chmod(0o755)
                unfinished.rename(file)
        return folder

    lambda_runtime._worker_class_for = worker_class_for
    lambda_svc._execute_function_warm = lambda_svc._execute_function_provided_warm
    lambda_svc._provided_runtime_code_dir = extract_with_bootstrap
