"""The picture of a terminal in the README: `make recording` takes it of a real session.

A local cloud is started, forecasts are uploaded, and the commands that the picture shows are run
as a person runs them; what they print is what it shows.
"""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.text import Text

from forecast_sync_ops.demo_data import Row, forecasts, with_pyarrow
from forecast_sync_ops.deployment import Deployment
from forecast_sync_ops.folder_sync import upload
from forecast_sync_ops.local import cloud
from forecast_sync_ops.local.description import Cloud

PICTURE = Path(__file__).parents[2] / "docs/images/session.svg"
COLUMNS = 104
WAIT_SCALE = 0.2
"""Five seconds between two looks at Athena are right in AWS; here queries take less than one."""
MONDAY = datetime.fromisoformat("2026-11-23T06:00:00")


def main() -> None:
    """Take the picture."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system="truecolor")
    with cloud.running(wait_scale=WAIT_SCALE) as local:
        deployment = Deployment("dev", local.session(), local.endpoint_url, local.state_machine_arn)
        # The commands start the runs; the uploads are not to start any.
        deployment.client("events").disable_rule(Name="forecast-sync-dev-uploads")
        _put(deployment, local, "monday", forecasts(range(10), MONDAY))
        _run(console, local, "forecast-sync start --name monday")
        _put(deployment, local, "tuesday", _revised())
        _run(console, local, "forecast-sync plan --limit 3")
        _run(console, local, "forecast-sync start --name tuesday")
        _run(console, local, "forecast-sync status")
        _run(console, local, "forecast-sync diff")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    console.save_svg(str(PICTURE), title="forecast-sync")


def _revised() -> list[Row]:
    """Tuesday's forecasts: one day more, and every twentieth value of the others changed."""
    rows = forecasts(range(11), MONDAY + timedelta(days=1))
    for number, row in enumerate(rows):
        if number % 20 == 0 and row["y_95"] < 900:
            row["y_50"] += 1 + number % 97
    rows[7]["state"] = None
    return rows


def _put(deployment: Deployment, local: Cloud, name: str, rows: list[Row]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.parquet"
        with_pyarrow(rows, path)
        upload(deployment, local.bucket, Path(folder), [path])


def _run(console: Console, local: Cloud, command: str) -> None:
    program = Path(sys.executable).parent / "forecast-sync"
    done = subprocess.run(
        [program, *shlex.split(command)[1:]],
        env={
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": local.endpoint_url,
            "FORCE_COLOR": "1",
            "COLUMNS": str(COLUMNS),
        },
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    console.print(f"[bold green]$[/] [bold]{command}[/]", highlight=False)
    console.print(Text.from_ansi(done.stdout))


if __name__ == "__main__":
    main()
