"""What the page shows, from Step Functions and the status API of one deployment."""

from __future__ import annotations

import json
import shlex
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from itertools import groupby
from typing import Any

from forecast_sync.adapters.stepfunctions import Workflow
from forecast_sync.contracts.survey import RunFiles
from forecast_sync.resolve.git_refs import map_git_ref
from forecast_sync.runs.model import OUTCOMES
from forecast_sync.text.strict_json import read_object

from forecast_sync_cli.client import executions, rejects
from forecast_sync_cli.client.api import Answer
from forecast_sync_cli.client.deployed_table import (
    AskStatus,
    TableInUse,
    describe_table,
    find_table,
)
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.client.history import HistoryItem, read_history
from forecast_sync_cli.client.plans import read_report
from forecast_sync_cli.dashboard import formatting, state_graph
from forecast_sync_cli.dashboard.failures import Refused
from forecast_sync_cli.dashboard.runbook import read_section
from forecast_sync_cli.dashboard.scope import Scope
from forecast_sync_cli.dashboard.throughput import Rate, Rates
from forecast_sync_cli.errors import UserError

RUNS_SHOWN = 50
RUNS_READ = 200
"""The most runs to search for those of one table, if there are several."""

NEWEST_SEARCHED = {False: 20, True: 100}
"""How many executions are searched for the newest run: of all tables, or of one."""

TABLES_SECONDS = 60.0
READERS = 8
REJECTS_SHOWN = 20
FILES_SHOWN = 50
FILE_FILTERS = {"prefix": "prefix", "state": "state", "run": "run_id"}
"""Options of ``forecast-sync files``, as the status API calls them."""

STATES = {"fresh": "Fresh", "stale": "Stale", "never": "Never synced", "unreachable": "Unreachable"}
WORST_FIRST = ("failed", "timed_out", "stopped", "running", "superseded")
"""Outcomes that a column of the timeline is marked with before all others."""


@dataclass(frozen=True)
class Now:
    """The run to show, its progress, and which others are running: their tables by run."""

    run: dict[str, Any]
    steps: list[state_graph.Placed]
    rate: Rate
    section: str | None
    others: Mapping[str, str | None]

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
    _table_names: dict[str, str | None] = field(default_factory=dict)
    _last_recorded: dict[str, str] = field(default_factory=dict)
    _tables: tuple[float, tuple[str, ...]] = (0.0, ())
    _reads_tables: threading.Lock = field(default_factory=threading.Lock)

    @property
    def tables(self) -> tuple[str, ...]:
        """The stack's tables, as deployed at most a minute ago."""
        with self._reads_tables:  # All parts of a page that opens ask at once.
            read_at, tables = self._tables
            if not tables or time.monotonic() - read_at > TABLES_SECONDS:
                tables = self.deployment.renewed().tables
                self._tables = time.monotonic(), tables
            return tables

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

    def now(self, requested: str | None, scope: Scope) -> Now | None:
        """The requested, active or last run; None if nothing has ever run."""
        newest, others = (requested, {}) if requested else self._newest(scope)
        run_id = newest or self._find_recorded(scope)
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
            others=others,
        )

    def status(self, scope: Scope) -> dict[str, Any]:
        """Every branch's age against the goal, with a text for its state.

        For all tables, there is a line for each branch and table, with the number of open rejects
        on the environment's own branch.
        """
        report = self._ask("/status", scope.query)
        goal = report["goal_seconds"]
        for branch in report["branches"]:
            age = branch["age_seconds"]
            branch["words"] = STATES[branch["state"]]
            branch["share"] = None if age is None else min(100, round(100 * age / goal))
        if scope.is_all:
            self._add_open_rejects(report["branches"], scope)
        else:
            report["table"] = describe_table(self._name(scope), self._asker(scope))
        return report

    def runs(self, scope: Scope) -> list[dict[str, Any]]:
        """The last 50 runs, newest first; no database is asked, so that none is woken."""
        among = min(RUNS_READ, RUNS_SHOWN * len(scope.tables))
        read = read_history(self.deployment, RUNS_SHOWN, self.known, table=scope.table, among=among)
        runs = [run.model_dump() for run in read]
        for run in runs:
            run["files"] = run_files(run["files"])
            began_at = run["redriven_at"] or run["started_at"]
            run["seconds"] = formatting.between(began_at, run["stopped_at"])
        return runs

    def rejects(self, scope: Scope) -> list[dict[str, Any]]:
        """Open rejects by reason, and by table if there are several; most frequent first."""
        query = {"limit": "1", **scope.query}
        reasons: list[dict[str, Any]] = self._ask("/rejects", query)["reasons"]
        return reasons

    def reject_rows(self, reason: str, scope: Scope) -> list[dict[str, Any]]:
        """The newest open rejects with this reason."""
        return list(rejects.read(self.deployment, REJECTS_SHOWN, reason=reason, **scope.query))

    def table(self, scope: Scope) -> TableInUse:
        """The chosen or only table, as it was deployed."""
        return find_table(self._name(scope), self._asker(scope))

    def all_tables(self, scope: Scope) -> dict[str, dict[str, str | None] | None]:
        """A line about each of the stack's tables by name; None for one that can't be read."""
        each = [Scope(scope.tables, name) for name in scope.tables]
        with ThreadPoolExecutor(READERS) as pool:
            described = pool.map(
                lambda one: describe_table(self._name(one), self._asker(one)), each
            )
            return dict(zip(scope.tables, described, strict=True))

    def files(self, filters: dict[str, str], scope: Scope) -> dict[str, Any]:
        """Files of the lake that filters by prefix, state and run let through.

        Those that are left out come first, then those that wait; for all tables without
        filters, only these are listed. ``files`` is None if the deployment keeps no list;
        ``command`` lists them all, and is None if no single command does.
        """
        query = {FILE_FILTERS[name]: value for name, value in filters.items()}
        pages = self._ask_for_files(query, scope)
        listed: dict[tuple[str | None, str], dict[str, Any]] = {}
        is_cut = False
        for table, answer in pages:
            if answer is None:
                return {"files": None}
            found = {(table, file["key"]): {**file, "table": table} for file in answer["files"]}
            listed |= found
            is_cut = answer["next"] is not None or (scope.is_all and is_cut)
        order = {"quarantined": 0, "pending": 1}
        files = sorted(listed.values(), key=lambda file: order.get(file["state"], 2))
        chosen = {**filters, **scope.query}
        options = [part for name, value in chosen.items() for part in (f"--{name}", value)]
        command = shlex.join(["forecast-sync", "files", *options])
        return {
            "files": files[:FILES_SHOWN],
            "is_cut": is_cut or len(files) > FILES_SHOWN,
            "command": None if scope.is_all else command,
        }

    def plan(self, run_id: str) -> dict[str, Any] | None:
        """The report of a dry run; None for any other run, and until it has ended."""
        run = self._ask(f"/syncs/{run_id}")
        if not run.get("report"):
            return None
        report = read_report(self.deployment, run["report"])
        report["table"] = run.get("table")
        report["files"] = run_files(report.get("files"))
        for group in report["groups"]:
            group["changes"] = group["inserted"] + group["updated"] + group["rejected"]
        return report

    def act(self, path: str, body: dict[str, Any] | None = None, key: str | None = None) -> Answer:
        """Start, redrive or stop a run, by a POST to the API."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.deployment.api.call("POST", path, body=body, headers=headers)

    def table_of(self, run_id: str) -> str | None:
        """The table that a run is about; None if neither its input nor its output says."""
        if run_id not in self._table_names:
            workflow = Workflow(self.deployment.stepfunctions, self.deployment.state_machine_arn)
            execution = workflow.describe(workflow.arn_of(run_id))
            if execution is None:
                return None
            given, output = read_object(execution.input), read_object(execution.output)
            self._table_names[run_id] = given.get("table") or output.get("table")
        return self._table_names[run_id]

    def _newest(self, scope: Scope) -> tuple[str | None, dict[str, str | None]]:
        """The newest active run, else the newest one, and the tables of the other active ones.

        Step Functions wakes no database for it.
        """
        listed = executions.list_runs(self.deployment, NEWEST_SEARCHED[scope.table is not None])
        running = [item for item in listed if item.status == "RUNNING"]
        found = (
            item.run_id
            for item in [*running, *listed]
            if scope.table is None or self.table_of(item.run_id) == scope.table
        )
        newest = next(found, None)
        others = [item.run_id for item in running if scope.is_all and item.run_id != newest]
        return newest, {run_id: self.table_of(run_id) for run_id in others}

    def _find_recorded(self, scope: Scope) -> str | None:
        """A table's last run as its branch has recorded it; the database is asked only once."""
        if scope.table is None:
            return None
        if scope.table not in self._last_recorded:
            syncs = self._ask("/syncs", {"limit": "1", **scope.query})["syncs"]
            self._last_recorded[scope.table] = syncs[0]["run_id"] if syncs else ""
        return self._last_recorded[scope.table] or None

    def _add_open_rejects(self, branches: Iterable[dict[str, Any]], scope: Scope) -> None:
        try:
            reasons = self.rejects(scope)
        except UserError:  # An unreachable database is said in its line.
            reasons = None
        for branch in branches:
            is_own = branch["neon_branch"] == self.neon_branch
            branch["open_rejects"] = None
            if reasons is not None and is_own and branch["state"] != "unreachable":
                own = [reason for reason in reasons if reason["table"] == branch["table"]]
                branch["open_rejects"] = sum(reason["rows"] for reason in own)

    def _ask_for_files(
        self, query: dict[str, str], scope: Scope
    ) -> list[tuple[str | None, dict[str, Any] | None]]:
        """Pages of files, each with its table if there are several."""
        tables: Iterable[str | None] = [scope.table]
        states: list[str | None] = ["quarantined", "pending", None]
        if scope.is_all and query:
            tables, states = scope.tables, [None]
        elif scope.is_all:
            branches = self._ask("/status")["branches"]
            waiting = {item["table"] for item in branches if item["waiting_files"]}
            tables = [name for name in scope.tables if name in waiting]
            states = ["quarantined", "pending"]
        if "state" in query:
            states = [query["state"]]

        def ask(asked: tuple[str | None, str | None]) -> dict[str, Any] | None:
            named = {"table": asked[0], "state": asked[1]}
            given = {name: value for name, value in named.items() if value}
            limit = {"limit": str(FILES_SHOWN)}
            return self.deployment.ask_status("/files", {**query, **limit, **given})

        pages = [(table, state) for table in tables for state in states]
        with ThreadPoolExecutor(READERS if scope.is_all else 1) as pool:
            answers = pool.map(ask, pages)
            return [(table, answer) for (table, _), answer in zip(pages, answers, strict=True)]

    def _name(self, scope: Scope) -> str:
        return scope.table or self.deployment.settings.table_file

    def _asker(self, scope: Scope) -> AskStatus:
        """A GET to the status API about the chosen table."""
        return lambda path, query: self.deployment.ask_status(path, {**query, **scope.query})

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


def chart_of(runs: list[dict[str, Any]], scope: Scope) -> str:
    """The timeline's data as JSON: columns, oldest first; a dry run has written no row.

    A column is a run. For all tables it is the runs that started within one minute, added up; it is
    marked as the worst of them, and leads to that one.
    """
    by_time = sorted(runs, key=lambda run: str(run["started_at"]))
    together = groupby(by_time, key=lambda run: _minute(run) if scope.is_all else run["run_id"])
    columns = [list(group) for _, group in together]
    shown = [min(column, key=_badness) for column in columns]
    return json.dumps(
        {
            "runs": [run["run_id"] for run in shown],
            "titles": [_title(column) for column in columns],
            "labels": axis_labels([column[0]["started_at"] for column in columns]),
            "outcomes": [run["outcome"] for run in shown],
            "rows": {name: [_rows(column, name) for column in columns] for name in OUTCOMES},
        }
    )


def _minute(run: dict[str, Any]) -> str:
    return formatting.utc_time(run["started_at"])[:-3]


def _badness(run: dict[str, Any]) -> int:
    outcome = run["outcome"]
    return WORST_FIRST.index(outcome) if outcome in WORST_FIRST else len(WORST_FIRST)


def _title(column: list[dict[str, Any]]) -> str:
    if len(column) == 1:
        return f"{column[0]['run_id']} ({column[0]['outcome'].replace('_', ' ')})"
    tables = dict.fromkeys(str(run.get("table") or "unknown") for run in column)
    return f"{len(column)} runs of {', '.join(tables)}"


def _rows(column: list[dict[str, Any]], outcome: str) -> int:
    return sum((run["rows"] or {}).get(outcome, 0) for run in column if not run["dry_run"])


def axis_labels(times: list[str]) -> list[list[str]]:
    """Lines under each column of the timeline, oldest first: its minute, and the day it begins.

    If several runs started in a minute, it is shown under the first of them only.
    """
    labels: list[list[str]] = []
    day = minute = ""
    for started_at in times:
        shown = formatting.utc_time(started_at)
        lines = [] if shown[:-3] == minute else [shown[-8:-3]]
        if shown[:6] != day:
            lines.append(shown[:6])
        day, minute = shown[:6], shown[:-3]
        labels.append(lines)
    return labels


def sum_of_queries(name: str, plan: dict[str, Any]) -> float:
    """A figure of a plan's queries, added up."""
    return float(sum(query[name] for query in plan["queries"]))
