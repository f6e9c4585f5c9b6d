"""CPU time of a cold start's imports: the upsert function compared with boto3 and psycopg alone."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

FUNCTION = Path(__file__).parents[2] / "functions" / "upsert_batches"
ANY_LOADER = "import boto3, psycopg; boto3.client('s3')"
UPSERT = (
    f"import sys; sys.path.insert(0, {str(FUNCTION)!r}); "
    "import handler; from forecast_sync import clients; clients.storage()"
)
TIMES = 9


def compare_imports() -> float:
    """CPU time to import the upsert function, divided by that to import boto3 and psycopg.

    Both create an S3 client. They run interleaved, each in its own process; the minimum counts,
    because other load can only add time. Modules are compiled beforehand, as they are in the layer.
    """
    _cpu_seconds(UPSERT)
    upsert: list[float] = []
    any_loader: list[float] = []
    for _ in range(TIMES):
        upsert.append(_cpu_seconds(UPSERT))
        any_loader.append(_cpu_seconds(ANY_LOADER))
    return min(upsert) / min(any_loader)


def _cpu_seconds(program: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    changed = {"PYTHONDONTWRITEBYTECODE": "", "AWS_DEFAULT_REGION": "us-east-2"}
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, **changed})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
