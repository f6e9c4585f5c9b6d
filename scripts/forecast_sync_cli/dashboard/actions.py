"""What the page's buttons do: a dialog to confirm, a call to the API, and its answer."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from forecast_sync.contracts.run import MAX_BATCH_SIZE
from forecast_sync.errors import BranchNotMapped
from forecast_sync.resolve.git_refs import map_git_ref
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

from forecast_sync_cli.client.api import Answer
from forecast_sync_cli.dashboard.failures import FAILURES, UnknownTable, explain
from forecast_sync_cli.dashboard.scope import requested_table
from forecast_sync_cli.dashboard.security import run_name
from forecast_sync_cli.dashboard.view_models import Views

CHANGED = {"HX-Trigger": "changed"}
NUMBERS = ("batch_size", "allow_deletes")
FIELDS = frozenset({"table", "git_ref", "sync_type", "date_from", "date_to", "dry_run", *NUMBERS})
KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""An idempotency key, sent as a header: a second click finds the same run."""


REFS = {"production": "main", "dev": "dev, feature/NAME or preview/pr-NUMBER"}
"""The git refs of each environment."""


class Question(NamedTuple):
    """What a dialog asks before it changes a run."""

    title: str
    text: str
    button: str
    danger: bool


QUESTIONS = {
    "redrive": Question(
        "Redrive this run?",
        "Only what hasn't succeeded runs again; committed batches stay as they are.",
        "Redrive",
        danger=False,
    ),
    "stop": Question(
        "Stop this run?",
        "Committed batches stay. The branch stays as old as it is until a run succeeds; a redrive "
        "continues from here.",
        "Stop the run",
        danger=True,
    ),
}


class Actions:
    """Serves the dialogs and carries out what they confirm."""

    def __init__(self, views: Views, templates: Jinja2Templates) -> None:
        self._views = views
        self._templates = templates

    def dialog(self, request: Request) -> Response:
        """The dialog of an action, to fill in or confirm."""
        action = request.path_params["action"]
        if action == "start":
            table = requested_table(request)
            return self._form(request, {"table": table} if table else {}, {}, None)
        if action not in QUESTIONS:
            raise HTTPException(404)
        run_id = run_name(request.query_params.get("run", ""))
        return self._confirmation(request, action, run_id, None)

    async def start(self, request: Request) -> Response:
        """Start a run from the form; the form comes back with each mistake at its field."""
        body = (await request.body()).decode(errors="replace")
        filled = {name: value.strip() for name, value in parse_qsl(body)}
        key = filled.pop("key", "") or None
        if filled.keys() - FIELDS or (key and not KEY.fullmatch(key)):
            raise HTTPException(400, "The form doesn't send such a request: reload the page.")
        return await run_in_threadpool(self._start, request, filled, key)

    def _start(self, request: Request, filled: dict[str, str], key: str | None) -> Response:
        try:
            tables = self._views.tables
        except FAILURES as error:
            return self._form(request, filled, {}, explain(error), status=422, key=key)
        wrong = find_mistakes(filled, self._views.deployment.environment, tables)
        if wrong:
            # A git ref of another environment is also said above the form: the page serves one.
            reason = wrong.pop("", None)
            return self._form(request, filled, wrong, reason, status=422)
        if len(tables) == 1:  # Older deployments don't know the key.
            filled.pop("table", None)
        answer = self._act("/syncs", _request_of(filled), key)
        if answer.ok:
            return Response(status_code=204, headers=CHANGED)
        mistakes = {
            item["where"].removeprefix("body.") or "body": item["detail"]
            for item in answer.document.get("errors", [])
        }
        known = {name: detail for name, detail in mistakes.items() if name in filled}
        reason = None if known else answer.reason
        # If the answer was lost, the run may have started: the next attempt must find it.
        same_key = key if answer.status >= 500 else None
        return self._form(request, filled, known, reason, status=422, key=same_key)

    def change(self, request: Request) -> Response:
        """Redrive or stop a run."""
        action, run_id = request.path_params["action"], run_name(request.path_params["run_id"])
        if action not in QUESTIONS:
            raise HTTPException(404)
        answer = self._act(f"/syncs/{run_id}/{action}")
        if answer.ok:
            return Response(status_code=204, headers=CHANGED)
        return self._confirmation(request, action, run_id, answer.reason, status=answer.status)

    def _act(self, path: str, body: dict[str, Any] | None = None, key: str | None = None) -> Answer:
        try:
            return self._views.act(path, body, key)
        except FAILURES as error:
            return Answer(502, {"detail": explain(error)})

    def _find_table(self, run_id: str) -> str | None:
        """The table of a run, if there are several and somebody knows."""
        try:
            return self._views.table_of(run_id) if len(self._views.tables) > 1 else None
        except FAILURES:
            return None

    def _form(
        self,
        request: Request,
        filled: Mapping[str, str],
        mistakes: Mapping[str, str],
        reason: str | None,
        status: int = 200,
        key: str | None = None,
    ) -> Response:
        tables: tuple[str, ...] = ()
        try:
            tables = self._views.tables
        except FAILURES as error:
            reason = reason or explain(error)
        values = {
            "filled": filled,
            "tables": tables if len(tables) > 1 else (),
            "mistakes": mistakes,
            "reason": reason,
            # With the same key, a second click finds the same run.
            "key": key or secrets.token_urlsafe(12),
        }
        return self._templates.TemplateResponse(
            request, "start_dialog.html", values, status_code=status
        )

    def _confirmation(
        self, request: Request, action: str, run_id: str, reason: str | None, status: int = 200
    ) -> Response:
        values = {
            "question": QUESTIONS[action],
            "action": action,
            "run_id": run_id,
            "table": self._find_table(run_id),
            "reason": reason,
        }
        return self._templates.TemplateResponse(
            request, "confirm_dialog.html", values, status_code=status
        )


def find_mistakes(
    filled: Mapping[str, str], environment: str, tables: tuple[str, ...]
) -> dict[str, str]:
    """What is wrong in a form and can be known here, by field; "" is the form as a whole."""
    wrong: dict[str, str] = {}
    table = filled.get("table")
    if table and table not in tables:
        wrong[""] = wrong["table"] = explain(UnknownTable(table, tables)) + "."
    elif not table and len(tables) > 1:
        wrong["table"] = "Choose the table that the run is about."
    git_ref, size = filled.get("git_ref"), filled.get("batch_size")
    if git_ref:
        try:
            map_git_ref(git_ref, environment)
        except BranchNotMapped as error:
            wrong |= {"": str(error), "git_ref": f"Expected {REFS[environment]}."}
    first, last = filled.get("date_from"), filled.get("date_to")
    if first and last and first > last:
        wrong["date_from"] = f"{first} is after {last}: give the earlier day first."
    if size and not (size.isascii() and size.isdigit() and 1 <= int(size) <= MAX_BATCH_SIZE):
        wrong["batch_size"] = f"Expected a whole number from 1 to {MAX_BATCH_SIZE:,}."
    allowed = filled.get("allow_deletes")
    if allowed and not (allowed.isascii() and allowed.isdigit() and int(allowed) >= 1):
        wrong["allow_deletes"] = "Expected a whole number of rows."
    return wrong


def _request_of(filled: Mapping[str, str]) -> dict[str, Any]:
    """The request body of a filled form, without its empty fields."""
    body: dict[str, Any] = {name: value for name, value in filled.items() if value}
    body["dry_run"] = "dry_run" in body
    for name in NUMBERS:
        if body.get(name, "").isdigit():
            body[name] = int(body[name])
    body["trigger"] = "dashboard"
    return body
