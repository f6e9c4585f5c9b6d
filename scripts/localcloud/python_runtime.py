# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Python functions as ``sam deploy`` deploys them: for Lambda's own runtime, machine and layer.

ministack's worker for them hides the names of errors, and the layer is built for another
processor. So they run like those of ``build``: by a bootstrap, with the layer's source. What AWS's
tools see of them stays as it was deployed.
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
        # Environments start side by side, and none may start half a program.
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
