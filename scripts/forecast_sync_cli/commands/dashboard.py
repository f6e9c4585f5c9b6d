"""``forecast-sync dashboard``: the page that shows a deployment live."""

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
        int, typer.Option("--port", min=0, max=65535, help="Port on loopback; 0 takes a free one.")
    ] = PORT,
    environment: EnvironmentOption = "dev",
    project: ProjectOption = DEFAULT_PROJECT,
    open_page: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = False,
) -> None:
    """Serve the dashboard on loopback until Ctrl-C, with your own AWS credentials.

    Its address is the one line on stdout. The token in it lets a browser in: other people on this
    machine don't have it, and it is a new one each time.
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
            err().line("whoever has this address is let in, from this machine; Ctrl-C ends it")
            if open_page:
                webbrowser.open(stack.enter_context(_private_page(address)).as_uri())

        server.run(make_app(views, keys), listener, ready)


@contextmanager
def _private_page(address: str) -> Iterator[Path]:
    """A page that leads to the address, for its owner only.

    The address itself would stand among the browser's arguments, which everybody can list.
    """
    with TemporaryDirectory(prefix="forecast-sync-") as folder:
        page = Path(folder) / "dashboard.html"
        page.touch(mode=0o600)
        page.write_text(
            f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(address)}">'
        )
        yield page
