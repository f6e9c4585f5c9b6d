"""A backfill: business dates are split into windows, each filled by its own run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

from forecast_sync.adapters.stepfunctions import ALIVE, Workflow
from forecast_sync.text.sentences import end_sentence

from forecast_sync_cli.client import executions
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.client.run_status import Snapshot, describe
from forecast_sync_cli.errors import UserError

Begun = Literal["started", "redriven", "joined", "done before"]
Follow = Callable[[str, int], Snapshot]


@dataclass(frozen=True)
class Backfill:
    """What to fill. Equal backfills have equal run names, so a repeated one finds its runs."""

    environment: str
    git_ref: str | None
    date_from: date
    date_to: date
    days_per_run: int
    label: str | None = None
    table: str | None = field(default=None, repr=False)
    """The table, if the stack syncs several; else None."""

    def windows(self) -> Iterator[tuple[date, date]]:
        """The first and last date of each run, both inclusive."""
        first = self.date_from
        while first <= self.date_to:
            days = min(self.days_per_run - 1, (self.date_to - first).days)
            last = first + timedelta(days=days)
            yield first, last
            if last == self.date_to:
                return
            first = last + timedelta(days=1)

    def run_name(self, first: date, last: date) -> str:
        """The name of a window's run, the same for equal backfills."""
        # Without a table the names are those of earlier versions, so that their runs are found.
        digest = hashlib.sha256(f"{self!r}{self.table or ''}".encode()).hexdigest()[:8]
        name = f"{self.label}-{digest}" if self.label else digest
        return f"backfill-{name}-{first:%Y%m%d}-{last:%Y%m%d}"


@dataclass(frozen=True)
class Filled:
    """A window, and how its run ended."""

    run_id: str
    date_from: str
    date_to: str
    begun: Begun
    status: str
    error: str | None
    counts: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return asdict(self)


def fill(deployment: Deployment, backfill: Backfill, follow: Follow) -> Iterator[Filled]:
    """Run window after window until one fails, skipping those that have already succeeded.

    Windows run one at a time, because only one run can hold the lease.
    ``follow(execution_arn, redrive_count)`` waits for a run to end.
    """
    for first, last in backfill.windows():
        name = backfill.run_name(first, last)
        arn = deployment.execution_arn(name)
        begun, redrive_count = _begin(deployment, backfill, arn, first, last)
        run = describe(deployment, arn) if begun == "done before" else follow(arn, redrive_count)
        yield Filled(
            run_id=name,
            date_from=first.isoformat(),
            date_to=last.isoformat(),
            begun=begun,
            status=run.status,
            error=run.error,
            counts=run.counts.model_dump() if run.counts else None,
        )
        if run.status != "SUCCEEDED":
            return


def _begin(
    deployment: Deployment, backfill: Backfill, arn: str, first: date, last: date
) -> tuple[Begun, int]:
    execution = Workflow(deployment.stepfunctions, deployment.state_machine_arn).describe(arn)
    if execution is None:
        payload = {
            "sync_type": "full",
            "date_from": first.isoformat(),
            "date_to": last.isoformat(),
            "trigger": "backfill",
        }
        if backfill.git_ref:
            payload["git_ref"] = backfill.git_ref
        executions.start(deployment, backfill.run_name(first, last), payload)
        return "started", 0
    if execution.status == "SUCCEEDED":
        return "done before", execution.redrive_count
    if execution.status in ALIVE:
        return "joined", execution.redrive_count
    try:
        return "redriven", executions.redrive(deployment, arn)
    except UserError as error:
        raise UserError(f"{end_sentence(str(error))} Choose another --name for new runs") from None
