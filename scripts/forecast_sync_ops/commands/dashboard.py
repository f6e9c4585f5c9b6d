"""``forecast-sync dashboard``: the page that shows a deployment live."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer
from forecast_sync.names import DEFAULT_PROJECT

from forecast_sync_ops import deployment
from forecast_sync_ops.commands.common import EnvironmentOption, ProjectOption, err, out

PORT = 8377


def dashboard(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port on loopback; 0 takes a free one.")
    ] = PORT,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    open_page: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = False,
) -> None:
    """Serve the dashboard on loopback until Ctrl-C, with your own AWS credentials.

    Its address is the one line on stdout.
    """
    from forecast_sync_ops.dashboard import server
    from forecast_sync_ops.dashboard.app import make_app
    from forecast_sync_ops.dashboard.views import Views

    views = Views(deployment.find(environment, project))
    listener = server.listen(port)

    def ready(url: str) -> None:
        out().line(url)
        err().line("the dashboard is served to this machine only; Ctrl-C ends it")
        if open_page:
            webbrowser.open(url)

    server.run(make_app(views), listener, ready)
