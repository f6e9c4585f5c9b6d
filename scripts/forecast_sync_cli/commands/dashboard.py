"""``forecast-sync dashboard``: a page that shows a deployment live."""

from __future__ import annotations

import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from forecast_sync.stack_names import DEFAULT_PROJECT

from forecast_sync_cli.client import deployment
from forecast_sync_cli.commands.common import EnvironmentOption, ProjectOption, err, out

PORT = 8377


def dashboard(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port on loopback; 0 picks a free one.")
    ] = PORT,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    open_page: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = False,
) -> None:
    """Serve the dashboard on loopback until Ctrl-C.

    It acts with your own AWS credentials. Prints its address on stdout; the token in it keeps out
    other users of this machine, and is new at each start.
    """
    from forecast_sync_cli.dashboard import server
    from forecast_sync_cli.dashboard.app import make_app
    from forecast_sync_cli.dashboard.security import Keys
    from forecast_sync_cli.dashboard.view_models import Views

    views = Views(deployment.find(environment, project))
    listener = server.listen(port)
    keys = Keys(listener.getsockname()[1])
    address = server.address_of(keys)
    with ExitStack() as stack:

        def ready() -> None:
            out().line(address)
            err().line(
                "anybody on this machine with this address can use the dashboard; Ctrl-C stops it"
            )
            if open_page:
                webbrowser.open(stack.enter_context(_private_page(address)).as_uri())

        server.run(make_app(views, keys), listener, ready)


@contextmanager
def _private_page(address: str) -> Iterator[Path]:
    """A file, readable by its owner only, that forwards the browser to the address.

    Every user of the machine could read an address on the browser's command line.
    """
    with TemporaryDirectory(prefix="forecast-sync-") as folder:
        page = Path(folder) / "dashboard.html"
        page.touch(mode=0o600)
        page.write_text(
            f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(address)}">'
        )
        yield page
