"""``python -m benchmarks.costs``: what a million rows and an idle month cost.

Every price and every volume can be overridden: ``--price athena_tb=5 --volume lake_gb=100``.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import typer
from forecast_sync.extract.queries import wait_after
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.main import run_alone
from rich.console import Console
from rich.table import Table

AWS = "https://aws.amazon.com"
AIRBYTE = "https://docs.airbyte.com/platform/cloud/managing-airbyte-cloud/manage-credits"
LOOKED_UP, LISTED = "2026-11-24", "long unchanged, not looked up again"


class Price(NamedTuple):
    """Dollars per unit in us-east-2, with the price list and the date of the look-up."""

    dollars: float
    unit: str
    source: str
    seen: str


def _of(service: str) -> str:
    return f"{AWS}/{service}/pricing/"


PRICES = {
    "transition": Price(0.025 / 1000, "state transition", _of("step-functions"), LOOKED_UP),
    "lambda_gb_second": Price(0.0000133334, "GB-second on arm64", _of("lambda"), LOOKED_UP),
    "lambda_request": Price(0.20 / 1e6, "invocation", _of("lambda"), LOOKED_UP),
    "athena_tb": Price(5.0, "TB scanned", _of("athena"), LOOKED_UP),
    "s3_put": Price(0.005 / 1000, "PUT or LIST", _of("s3"), LOOKED_UP),
    "s3_get": Price(0.0004 / 1000, "GET", _of("s3"), LOOKED_UP),
    "s3_gb_month": Price(0.023, "GB and month", _of("s3"), LOOKED_UP),
    "secret_month": Price(0.40, "secret and month", _of("secrets-manager"), LISTED),
    "alarm_month": Price(0.10, "alarm and month", _of("cloudwatch"), LISTED),
    "connector_gb": Price(10.0, "GB from files, Airbyte Cloud", AIRBYTE, LOOKED_UP),
}


LAKE_READS = {"full": 2.0, "incremental": 0.06}
"""How many times a run's two queries together read the lake: `make bench WAYS=athena` measures it.

The incremental run has a single new file that overlaps one of forty days."""


class Volumes(NamedTuple):
    """What happens in a month, and what a run needs."""

    runs: float = 120
    rows_a_run: float = 1_000_000
    lake_gb: float = 10
    queries_a_run: float = 2
    lake_reads_a_run: float = LAKE_READS["full"]
    query_seconds: float = 30
    extract_bytes_a_row: float = 18
    page_bytes: float = 16 * 1024 * 1024
    loader_seconds_a_million: float = 12
    memory_gb: float = 0.25
    secrets: float = 2
    alarms: float = 10
    days_results_are_kept: float = 15
    single_memory_gb: float = 3
    single_seconds_a_million: float = 45
    connector_bytes_a_row: float = 250


Costs = dict[str, dict[str, float]]


def _count_polls(query_seconds: float) -> int:
    """How many polls it takes to see a query of this length end."""
    waited = polls = 0
    while waited < query_seconds:
        waited += wait_after(polls)
        polls += 1
    return polls


def model(prices: dict[str, float], volumes: Volumes) -> Costs:
    """Dollars per month, by design and service."""
    millions = volumes.rows_a_run / 1e6
    extract = volumes.rows_a_run * volumes.extract_bytes_a_row
    pages = max(1, extract // volumes.page_bytes)
    polls = _count_polls(volumes.query_seconds) * volumes.queries_a_run
    parts = max(1, min(61, extract // (256 * 1024)))
    # Ten states per run, four per query, three per poll, and four per page.
    transitions = 10 + 4 * volumes.queries_a_run + 3 * polls + 4 * pages
    # A poll takes a fifth of a second, each of the other states a second.
    seconds = volumes.loader_seconds_a_million * millions + 0.2 * polls + 10
    run = {
        "Step Functions": transitions * prices["transition"],
        "Lambda": seconds * volumes.memory_gb * prices["lambda_gb_second"]
        + (10 + polls + pages) * prices["lambda_request"],
        "Athena": volumes.lake_gb / 1000 * volumes.lake_reads_a_run * prices["athena_tb"],
        "S3": (parts + 5) * prices["s3_put"] + (parts + 50) * prices["s3_get"],
    }
    single_seconds = volumes.single_seconds_a_million * millions + 5
    single = {
        "Lambda": single_seconds * volumes.single_memory_gb * prices["lambda_gb_second"],
        "S3": 10 * volumes.lake_gb * prices["s3_get"],
    }
    kept = extract / 1e9 * volumes.runs * volumes.days_results_are_kept / 30
    return {
        "this workflow": _monthly(run, volumes.runs)
        | {
            "results kept": kept * prices["s3_gb_month"],
            "idle": volumes.secrets * prices["secret_month"]
            + volumes.alarms * prices["alarm_month"],
        },
        "one large Lambda": _monthly(single, volumes.runs) | {"idle": prices["secret_month"]},
        "Airbyte Cloud": {
            "volume": volumes.rows_a_run
            * volumes.connector_bytes_a_row
            / 1e9
            * volumes.runs
            * prices["connector_gb"]
        },
    }


def _monthly(run: dict[str, float], runs: float) -> dict[str, float]:
    return {service: dollars * runs for service, dollars in run.items()}


def show(
    price: Annotated[list[str] | None, typer.Option(help="name=dollars")] = None,
    volume: Annotated[list[str] | None, typer.Option(help="name=number")] = None,
) -> None:
    """Print the model's prices, and what a month costs."""
    prices = {name: item.dollars for name, item in PRICES.items()} | _read(price, set(PRICES))
    volumes = Volumes()._replace(**_read(volume, set(Volumes._fields)))
    console = Console(width=150, highlight=False)
    listed = Table("price", "dollars", "for a", "source", "looked up", box=None)
    for name, item in PRICES.items():
        listed.add_row(name, f"{prices[name]:.10g}", item.unit, item.source, item.seen)
    console.print(listed, "")
    console.print(", ".join(f"{name}={value:g}" for name, value in volumes._asdict().items()), "")
    rows = volumes.rows_a_run * volumes.runs / 1e6
    table = Table("design", "dollars a month", "for a million rows", "of which", box=None)
    for design, parts in model(prices, volumes).items():
        total = sum(parts.values())
        detail = ", ".join(f"{service} {dollars:.2f}" for service, dollars in parts.items())
        table.add_row(design, f"{total:.2f}", f"{total / rows:.4f}" if rows else "-", detail)
    console.print(table)


def _read(given: list[str] | None, known: set[str]) -> dict[str, float]:
    values = {}
    for item in given or []:
        name, _, value = item.partition("=")
        if name not in known:
            raise UserError(f"{name} isn't known: expected one of {', '.join(sorted(known))}")
        try:
            values[name] = float(value)
        except ValueError:
            raise UserError(f"{item} was given: expected {name}=number") from None
    return values


if __name__ == "__main__":
    run_alone(show)
