"""Serves the page, on loopback only, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette

from forecast_sync_cli.dashboard.security import TOKEN_PARAMETER, Keys
from forecast_sync_cli.errors import UserError

LOOPBACK = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """A socket on loopback; port 0 picks a free one. Raises ``UserError`` if the port is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise UserError(
            f"port {port} can't be listened on: {error.strerror}; choose another --port"
        ) from None
    return listener


def run(app: Starlette, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; calls ``ready`` as soon as the page can be requested."""
    ready()
    asyncio.run(_serve(app, listener))


def address_of(keys: Keys) -> str:
    """The page's address, with the token that admits a browser."""
    return f"http://{LOOPBACK}:{keys.port}/?{urlencode({TOKEN_PARAMETER: keys.address})}"


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report what no task has handled, but not that a request was ended with the server.

    Python 3.11 takes the cancelled task of an open connection for a failed one.
    """
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


async def _serve(app: Starlette, listener: socket.socket) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_report)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.graceful_timeout = 0.5
    config.errorlog = None
    await serve(app, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]
