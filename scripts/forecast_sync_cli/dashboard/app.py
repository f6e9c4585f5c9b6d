"""The page's routes: fragments, which the page polls, and forms, which act."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

from forecast_sync.runs.model import OUTCOMES, FileState
from forecast_sync.text.visible import visible
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from forecast_sync_cli.dashboard import formatting, runbook
from forecast_sync_cli.dashboard.actions import Actions
from forecast_sync_cli.dashboard.failures import FAILURES, Refused, UnknownTable, explain
from forecast_sync_cli.dashboard.scope import Scope, for_templates, requested_table
from forecast_sync_cli.dashboard.security import (
    HOSTS,
    RUN_NAME,
    RUN_NAME_IN_WORDS,
    Guard,
    Keys,
    run_name,
)
from forecast_sync_cli.dashboard.view_models import (
    FILE_FILTERS,
    Views,
    chart_of,
    sum_of_queries,
)
from forecast_sync_cli.progress import count_times
from forecast_sync_cli.units import show_size

HERE = Path(__file__).parent
logger = logging.getLogger(__name__)

NO_DATA = {"X-Data": "none"}
"""Tells the page that there is no data, so that it keeps what it has and says how old that is."""

Endpoint = Callable[[Request], Response]


def make_app(views: Views, keys: Keys) -> Starlette:
    """The application; it serves only callers who hold its keys."""
    templates = Jinja2Templates(HERE / "templates", context_processors=[for_templates])
    templates.env.finalize = _shown
    templates.env.globals.update(
        number=formatting.number,
        duration=formatting.duration,
        utc_time=formatting.utc_time,
        size=show_size,
        key=formatting.key,
        times=count_times,
        outcomes=OUTCOMES,
        scanned=partial(sum_of_queries, "scanned_bytes"),
        dollars=partial(sum_of_queries, "usd"),
    )
    pages = Pages(views, templates)
    actions = Actions(views, templates)
    routes = [
        Route("/", pages.whole),
        Route("/switch", pages.fragment("switch.html", pages.switch)),
        Route("/now", pages.fragment("now.html", pages.now)),
        Route("/status", pages.fragment("status.html", pages.status)),
        Route("/runs", pages.fragment("runs.html", pages.runs)),
        Route("/rejects", pages.fragment("rejects.html", pages.rejects)),
        Route("/reject-rows", pages.fragment("reject_rows.html", pages.reject_rows)),
        Route("/table", pages.fragment("table.html", pages.table)),
        Route("/files", pages.fragment("files.html", pages.files)),
        Route("/plan", pages.fragment("plan.html", pages.plan)),
        Route("/runbook", pages.runbook),
        Route("/dialogs/{action}", actions.dialog),
        Route("/start", actions.start, methods=["POST"]),
        Route("/runs/{run_id}/{action}", actions.change, methods=["POST"]),
        Mount("/static", StaticFiles(directory=HERE / "static")),
    ]
    middleware = [
        Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS),
        Middleware(Guard, keys=keys, templates=templates),
    ]
    return Starlette(routes=routes, middleware=middleware)


def _shown(value: Any) -> Any:
    """A template value; all but our own markup is made visible text."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


class Pages:
    """The page and its fragments."""

    def __init__(self, views: Views, templates: Jinja2Templates) -> None:
        self._views = views
        self._templates = templates

    def whole(self, request: Request) -> Response:
        """The page; its fragments load themselves."""
        values = {
            "environment": self._views.deployment.label,
            "place": self._views.place,
            "neon_branch": self._views.neon_branch,
            "run": _requested_run(request) or "",
            "file_states": get_args(FileState),
        }
        return self._templates.TemplateResponse(request, "page.html", values)

    def fragment(self, name: str, gather: Callable[[Request], dict[str, Any]]) -> Endpoint:
        """A fragment, or why it can't be shown; the page keeps polling it."""

        def show(request: Request) -> Response:
            try:
                return self._templates.TemplateResponse(request, name, gather(request))
            except UnknownTable as error:
                values = {"reason": explain(error), "tables": error.tables, "part": name}
                return self._templates.TemplateResponse(request, "unknown_table.html", values)
            except FAILURES as error:
                values = {"reason": explain(error)}
                headers = {} if isinstance(error, Refused) else NO_DATA
                return self._templates.TemplateResponse(
                    request, "unavailable.html", values, headers=headers
                )

        return show

    def switch(self, _: Request) -> dict[str, Any]:
        """The stack's tables, to choose one."""
        return {"scope": Scope(self._views.tables)}

    def now(self, request: Request) -> dict[str, Any]:
        """The run to show: the one in the address, the active one, or the last one."""
        requested, scope = _requested_run(request), self._scope(request)
        return {"now": self._views.now(requested, scope), "pinned": requested, "scope": scope}

    def status(self, request: Request) -> dict[str, Any]:
        """How fresh each branch is, or each table of each branch."""
        scope = self._scope(request)
        return {"status": self._views.status(scope), "scope": scope}

    def runs(self, request: Request) -> dict[str, Any]:
        """The last runs, for the table and the chart."""
        scope = self._scope(request)
        runs = self._views.runs(scope)
        return {"runs": runs, "chart": chart_of(runs, scope), "scope": scope}

    def rejects(self, request: Request) -> dict[str, Any]:
        """Open rejects by reason."""
        scope = self._scope(request)
        return {"reasons": self._views.rejects(scope), "scope": scope}

    def reject_rows(self, request: Request) -> dict[str, Any]:
        """The newest rejects with the reason in the address."""
        reason, scope = request.query_params.get("reason", ""), self._scope(request)
        rows = self._views.reject_rows(reason, scope)
        return {"reason": reason, "rows": rows, "scope": scope}

    def table(self, request: Request) -> dict[str, Any]:
        """The deployed table, or a line about each."""
        scope = self._scope(request)
        if scope.is_all:
            return {"described": self._views.all_tables(scope), "scope": scope}
        found = self._views.table(scope)
        return {"table": found.table, "table_file": found.name, "scope": scope}

    def files(self, request: Request) -> dict[str, Any]:
        """The lake's files that the filters in the address let through."""
        given = {name: request.query_params.get(name, "").strip() for name in FILE_FILTERS}
        filters = {name: value for name, value in given.items() if value}
        if "run" in filters and not RUN_NAME.fullmatch(filters["run"]):
            raise Refused(f"no run is named {filters['run']}: expected {RUN_NAME_IN_WORDS}")
        scope = self._scope(request)
        return {"filters": filters, "scope": scope, **self._views.files(filters, scope)}

    def plan(self, request: Request) -> dict[str, Any]:
        """What the dry run in the address would have changed; nothing for any other run."""
        run_id, scope = _requested_run(request), Scope(self._views.tables)
        return {"plan": self._views.plan(run_id) if run_id else None, "scope": scope}

    def runbook(self, request: Request) -> Response:
        """The runbook, so that links to it work without the repository."""
        values = {"body": runbook.read_whole(), "run": _requested_run(request) or ""}
        return self._templates.TemplateResponse(request, "runbook.html", values)

    def _scope(self, request: Request) -> Scope:
        """The table in the address, or all; raises ``UnknownTable``."""
        return Scope(self._views.tables, requested_table(request))


def _requested_run(request: Request) -> str | None:
    """The run in the page's address, if any."""
    run = request.query_params.get("run", "")
    return run_name(run) if run else None
