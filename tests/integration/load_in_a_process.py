"""Loads one file as a page, with all that the upsert function imports; prints the peak memory."""

from __future__ import annotations

import importlib
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from forecast_sync import clients
from forecast_sync.adapters.postgres import connect
from forecast_sync.config import Settings
from forecast_sync.lease.window import open_window
from forecast_sync.load.loader import load_page
from forecast_sync.tables import load_table
from forecast_sync.target.schema import ensure_schema

from tests.builders import make_run, make_upsert

BLOCK_BYTES = 64 * 1024


def stream(_bucket: str, key: str) -> Iterator[bytes]:
    with Path(key).open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def main() -> None:
    url, path = sys.argv[1:]
    importlib.import_module("handler")
    clients.storage()
    connection = connect(url)
    ensure_schema(connection, load_table())
    run = make_run(f"run-{uuid.uuid4().hex}", batch_size=10_000)
    settings = Settings(environment="dev", data_location="s3://lake/forecast/")
    open_window(connection, settings, load_table(), run, lambda _arn: False)
    request = make_upsert(run, [path], query=run.run_id)
    load_page(connection, stream, load_table(), request, lambda: 900_000, None)
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match
    print(int(match[1]) * 1024)


if __name__ == "__main__":
    main()
