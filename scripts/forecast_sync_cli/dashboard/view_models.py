"""What the page shows, from Step Functions and the status API of one deployment."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any

from forecast_sync.contracts.survey import RunFiles
from forecast_sync.resolve.git_refs import map_git_ref
from forecast_sync.runs.model import OUTCOMES
from forecast_sync.tables import Table

from forecast_sync_cli.client import executions, rejects
from forecast_sync_cli.client.api import Answer
from forecast_sync_cli.client.deployed_table import describe_table
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.client.history import HistoryItem, read_history
from forecast_sync_cli.client.plans import read_report
from forecast_sync_cli.dashboard import formatting, state_graph
from forecast_sync_cli.dashboard.runbook import read_section
from forecast_sync_cli.dashboard.throughput import Rate, Rates
from forecast_sync_cli.errors import UserError

RUNS_SHOWN = 50
REJECTS_SHOWN = 20
FILES_SHOWN = 50
FILE_FILTERS = {"prefix": "prefix", "state": "state", "run": "run_id"}
"""Options of ``forecast-sync files``, as the status API calls them."""

STATES = {"fresh": "Fresh", "stale": "Stale", "never": "Never synced", "unreachable": "Unreachable"}


class Refused(UserError):
    """The deployment has answered, but not with what was asked for."""


@dataclass(frozen=True)
class Now:
    """The run to show, and its progress."""

    run: dict[str, Any]
    steps: list[state_graph.Placed]
    rate: Rate
    section: str | None

    @property
    def is_running(self) -> bool:
        """Whether the run will change by itself."""
        return self.run["execution_status"] in ("RUNNING", "PENDING_REDRIVE")

    @property
    def rows_done(self) -> int:
        """Rows of all outcomes."""
        return sum(self.run["rows"].values())

    @property
    def seconds(self) -> float | None:
        """How long it has been running, or ran, since its start or last redrive."""
        return formatting.between(
            self.run["redriven_at"] or self.run["started_at"],
            self.run["stopped_at"] or self.run["asked_at"],
        )


@dataclass
class Views:
    """One deployment's views, the load rates that they need, and the runs that are known."""

    deployment: Deployment
    rates: Rates = field(default_factory=Rates)
    known: dict[str, HistoryItem] = field(default_factory=dict)

    @cached_property
    def steps(self) -> list[state_graph.Step]:
        """The main path of the deployed state machine."""
        described = self.deployment.stepfunctions.describe_state_machine(
            stateMachineArn=self.deployment.state_machine_arn
        )
        return state_graph.read_steps(json.loads(described["definition"]))

    @property
    def place(self) -> str:
        """Where the deployment is, for the page's header."""
        if self.deployment.endpoint_url:
            return f"local cloud at {self.deployment.endpoint_url.split('//')[-1]}"
        return f"AWS {self.deployment.session.region_name}"

    @property
    def neon_branch(self) -> str:
        """The environment's own Neon branch, whose runs and rejects are listed."""
        return map_git_ref(None, self.deployment.environment).neon_branch

    def now(self, requested: str | None) -> Now | None:
        """The requested, active or last run; None if nothing has ever run."""
        run_id = requested or self._newest()
        if run_id is None:
            return None
        run = self._ask(f"/syncs/{run_id}")
        rows, pages = sum(run["rows"].values()), run["pages"] or {}
        attempt = f"{run_id} {run['redrive_count']}"
        rate = self.rates.observe(attempt, rows, pages.get("rows_expected", 0))
        is_loading = run["state"] == "Load pages" and run["execution_status"] == "RUNNING"
        error = (run["error"] or {}).get("name")
        return Now(
            run={**run, "files": run_files(run.get("files")), "asked_at": formatting.now()},
            steps=state_graph.place(self.steps, run),
            rate=rate if is_loading else Rate(None, None),
            section=read_section(error) if error else None,
        )

    def status(self) -> dict[str, Any]:
        """Every branch's age against the goal, with a text for its state."""
        report = self._ask("/status")
        goal = report["goal_seconds"]
        for branch in report["branches"]:
            age = branch["age_seconds"]
            branch["words"] = STATES[branch["state"]]
            branch["share"] = None if age is None else min(100, round(100 * age / goal))
        name, ask = self.deployment.settings.table_file, self.deployment.ask_status
        report["table"] = describe_table(name, ask)
        return report

    def runs(self) -> list[dict[str, Any]]:
        """The last 50 runs, newest first; no database is asked, so that it can sleep."""
        runs = [run.model_dump() for run in read_history(self.deployment, RUNS_SHOWN, self.known)]
        for run in runs:
            run["files"] = run_files(run["files"])
            began_at = run["redriven_at"] or run["started_at"]
            run["seconds"] = formatting.between(began_at, run["stopped_at"])
        return runs

    def rejects(self) -> list[dict[str, Any]]:
        """Open rejects by reason, most frequent first."""
        reasons: list[dict[str, Any]] = self._ask("/rejects", {"limit": "1"})["reasons"]
        return reasons

    def reject_rows(self, reason: str) -> list[dict[str, Any]]:
        """The newest open rejects with this reason."""
        return list(rejects.read(self.deployment, REJECTS_SHOWN, reason=reason))

    def table(self) -> Table:
        """The table that the deployment syncs, as this checkout's table file says."""
        return self.deployment.table

    @property
    def table_file(self) -> str:
        """The name of that table file."""
        return self.deployment.settings.table_file

    def files(self, filters: dict[str, str]) -> dict[str, Any]:
        """Files of the lake that filters by prefix, state and run let through.

        Those that are left out come first, then those that wait. ``files`` is None if the
        deployment keeps no list; ``command`` lists them all.
        """
        query = {FILE_FILTERS[name]: value for name, value in filters.items()}
        listed: dict[str, dict[str, Any]] = {}
        is_cut = False
        for state in [filters["state"]] if "state" in filters else ["quarantined", "pending", None]:
            asked = {**query, "limit": str(FILES_SHOWN), **({"state": state} if state else {})}
            answer = self.deployment.ask_status("/files", asked)
            if answer is None:
                return {"files": None}
            listed = {**{file["key"]: file for file in answer["files"]}, **listed}
            is_cut = answer["next"] is not None
        order = {"quarantined": 0, "pending": 1}
        files = sorted(listed.values(), key=lambda file: order.get(file["state"], 2))
        options = [part for name, value in filters.items() for part in (f"--{name}", value)]
        return {
            "files": files[:FILES_SHOWN],
            "is_cut": is_cut or len(files) > FILES_SHOWN,
            "command": shlex.join(["forecast-sync", "files", *options]),
        }

    def plan(self, run_id: str) -> dict[str, Any] | None:
        """The report of a dry run; None for any other run, and until it has ended."""
        location = self._ask(f"/syncs/{run_id}").get("report")
        if not location:
            return None
        report = read_report(self.deployment, location)
        report["files"] = run_files(report.get("files"))
        for group in report["groups"]:
            group["changes"] = group["inserted"] + group["updated"] + group["rejected"]
        return report

    def act(self, path: str, body: dict[str, Any] | None = None, key: str | None = None) -> Answer:
        """Start, redrive or stop a run, by a POST to the API."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.deployment.api.call("POST", path, body=body, headers=headers)

    def _newest(self) -> str | None:
        """The newest active run, else the newest one; Step Functions wakes no database for it."""
        listed = executions.list_runs(self.deployment, 20)
        running = [item for item in listed if item.status == "RUNNING"]
        newest = next(iter([*running, *listed]), None)
        return newest.run_id if newest else None

    def _ask(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        answer = self.deployment.api.call("GET", path, query)
        if HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Refused(f"the status API answered {answer.status}: {answer.reason}")
        if not answer.ok:
            raise UserError(f"the status API answered {answer.status}: {answer.reason}")
        return answer.document


def run_files(document: dict[str, Any] | None) -> RunFiles | None:
    """A run's files as the API counts them; None for a run that has none."""
    return RunFiles.model_validate(document) if document else None


def chart_of(runs: list[dict[str, Any]]) -> str:
    """The timeline's data as JSON: the runs, oldest first; a dry run has written no row."""
    columns = sorted(runs, key=lambda run: str(run["started_at"]))
    counts = [{} if run["dry_run"] else run["rows"] or {} for run in columns]
    return json.dumps(
        {
            "runs": [run["run_id"] for run in columns],
            "labels": axis_labels([run["started_at"] for run in columns]),
            "outcomes": [run["outcome"] for run in columns],
            "rows": {name: [rows.get(name, 0) for rows in counts] for name in OUTCOMES},
        }
    )


def axis_labels(times: list[str]) -> list[list[str]]:
    """Lines under each column of the timeline, oldest first: its minute, and the day it begins.

    A minute in which several runs started stands under the first of them only.
    """
    labels: list[list[str]] = []
    day = minute = ""
    for time in times:
        shown = formatting.utc_time(time)
        lines = [] if shown[:-3] == minute else [shown[-8:-3]]
        if shown[:6] != day:
            lines.append(shown[:6])
        day, minute = shown[:6], shown[:-3]
        labels.append(lines)
    return labels


def sum_of_queries(name: str, plan: dict[str, Any]) -> float:
    """A figure of a plan's queries, added up."""
    return float(sum(query[name] for query in plan["queries"]))
