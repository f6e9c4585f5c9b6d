# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""The process of the local cloud: ministack with our extensions, the Neon stand-in and Postgres.

It reads its configuration as one line of JSON from stdin and answers with one line on stdout. It
ends when stdin ends, so nothing outlives the process that started it, unless ``keep`` came first.
"""

from __future__ import annotations

import asyncio
import atexit
import fcntl
import gc
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from localcloud import function_processes, ports, postgres, private_files
from localcloud.databases import BRANCHES, Databases
from localcloud.errors import LocalCloudError
from localcloud.guard import guarded
from localcloud.neon import NeonStandIn
from localcloud.protocol import ACCOUNT, CALLS, KEEP, REGION, Config, Endpoints
from localcloud.request_faults import disturbed
from localcloud.signatures import Verifier

if TYPE_CHECKING:
    # Importing one imports ministack, the others what only the extra `trino` installs.
    from localcloud.athena.engine import Engine
    from localcloud.athena.trino_catalogs import Catalogs
    from localcloud.athena.trino_client import TrinoClient

    Trino = tuple[Callable[[], TrinoClient], Catalogs]
    """What waits until the local Athena's engine answers, and what the cloud has there."""

SAVE_EVERY_SECONDS = 30.0
GARBAGE_OBJECTS = 20_000
"""After how many new objects the youngest garbage is collected; Python's default is 700."""


def main() -> None:
    """Serve until stdin ends or SIGTERM comes."""
    signal.signal(signal.SIGTERM, _end)
    line = sys.stdin.readline()
    if not line:
        return
    try:
        run(Config(**json.loads(line)), lambda endpoints: _answer({"endpoints": asdict(endpoints)}))
    except LocalCloudError as error:
        _answer({"error": str(error)})
        sys.exit(1)
    # Don't wait for threads in the middle of a Wait state or a query.
    sys.stderr.flush()
    os._exit(0)


def _end(*_: object) -> None:
    """Unwind once; a second signal is ignored."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def run(config: Config, ready: Callable[[Endpoints], None]) -> None:
    """Start everything, call ``ready``, serve, and stop everything in reverse order."""
    state_dir = Path(config.state_dir)
    keep = threading.Event()
    threading.Thread(target=_watch_stdin, args=[keep], daemon=True).start()
    with ExitStack() as stack:
        stack.enter_context(_held_lock(state_dir))
        listener = ports.listen(state_dir, config.port)
        endpoint_url = f"http://{ports.LOOPBACK}:{listener.getsockname()[1]}"
        os.environ.update(_environment(config, endpoint_url))
        layers = config.all_layers
        function_processes.compile_layers(layers)
        _close_files()
        trino = _start_trino(config, endpoint_url, stack)
        forks = function_processes.start_forks(state_dir, layers)
        if forks is not None:
            stack.callback(forks.stop)
        if config.database_url is None:
            log = state_dir / "logs" / "postgres.log"
            initialization = postgres.initialize(state_dir / "postgres", log)
            stack.callback(initialization.abort)
            ministack = _import_ministack(config, endpoint_url, trino)
            databases = _start_postgres(initialization, config.persistent, stack)
            urls, create_database = databases.urls, databases.create
        else:
            ministack = _import_ministack(config, endpoint_url, trino)
            urls, create_database = {"dev": config.database_url}, None
        function_processes.install(state_dir, layers, forks)
        neon = NeonStandIn(
            config.neon_api_key,
            config.neon_project_id,
            urls,
            create_database=create_database,
            pooler_port=config.pooler_port,
        )
        neon.start()
        stack.callback(neon.stop)
        os.environ["NEON_API_URL"] = neon.url
        stack.callback(_stop_functions)
        if config.persistent:
            threading.Thread(target=_save_forever, args=[ministack, keep], daemon=True).start()
        if trino is not None:
            await_client, _ = trino
            await_client()
        ready(Endpoints(os.getpid(), endpoint_url, neon.url, dict(urls)))
        collect_less()
        verifier = Verifier(config.access_key_id, config.secret_access_key)
        port = int(listener.getsockname()[1])
        application = guarded(disturbed(ministack.app, state_dir / "faults"), verifier, port)
        asyncio.new_event_loop().run_until_complete(_serve(application, listener))


def _close_files() -> None:
    """From now on, new files are private, except bytecode, which is as readable as its source.

    Functions would compile again, at each cold start, what their users can't read.
    """
    write = SourceFileLoader.set_data

    def write_open(loader: SourceFileLoader, path: str, data: bytes, *, _mode: int = 0o644) -> None:
        folder = Path(path).parent
        is_new = not folder.exists()
        write(loader, path, data, _mode=_mode)
        with suppress(OSError):
            Path(path).chmod(_mode)
            if is_new:
                folder.chmod(folder.parent.stat().st_mode & 0o777)

    SourceFileLoader.set_data = write_open  # type: ignore[assignment, method-assign]
    os.umask(0o077)


def collect_less() -> None:
    """Leave what is imported out of garbage collections, a tenth of the server's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 10, 10)
    # Extension modules report at exit what wasn't collected as leaked.
    atexit.register(gc.unfreeze)


def _environment(config: Config, endpoint_url: str) -> dict[str, str]:
    """Settings that ministack reads when it is imported, and that the functions inherit."""
    state_dir = Path(config.state_dir)
    return {
        "AWS_ACCESS_KEY_ID": config.access_key_id,
        "AWS_SECRET_ACCESS_KEY": config.secret_access_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint_url,
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_HOST": ports.LOOPBACK,
        "GATEWAY_PORT": endpoint_url.rsplit(":", 1)[1],
        "PERSIST_STATE": "1" if config.persistent else "0",
        "STATE_DIR": str(state_dir / "aws"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state_dir / "s3"),
        "TMPDIR": str(state_dir / "tmp"),
        "FORECAST_SYNC_CALLS_DIR": str(state_dir / CALLS),
        "SFN_WAIT_SCALE": str(config.wait_scale),
        "LAMBDA_EXECUTOR": "local",
        "DOCKER_HOST": "unix:///nonexistent",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "TZ": "UTC",
    }


def _import_ministack(config: Config, endpoint_url: str, trino: Trino | None) -> Any:
    """Import ministack's application and add what it lacks."""
    import socketserver

    from ministack import app

    from localcloud import (
        cloudformation,
        function_logs,
        http_api,
        multipart,
        python_runtime,
        queues,
        runtime_api,
        updates,
    )
    from localcloud.athena import service as athena
    from localcloud.athena.embedded import EmbeddedEngine
    from localcloud.step_functions import service as step_functions

    engine: Engine = EmbeddedEngine() if trino is None else _make_trino_engine(*trino)
    state_dir = Path(config.state_dir)
    athena.install(engine, state_dir / "faults", state_dir / athena.MEASURES)
    step_functions.install()
    queues.install()
    http_api.install()
    multipart.install()
    cloudformation.install(endpoint_url)
    python_runtime.install(config.all_layers)
    updates.install()
    runtime_api.install(config.access_key_id, config.secret_access_key, config.wait_scale)
    function_logs.install()
    # Its runtime API sends header and body separately: a delayed ACK took 40 ms of every call.
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True
    return app


def _start_trino(config: Config, endpoint_url: str, stack: ExitStack) -> Trino | None:
    """Start the local Athena's engine in the background, or find one that clouds share."""
    if config.engine == "embedded":
        return None
    from localcloud.athena.trino_catalogs import Catalogs, created
    from localcloud.athena.trino_client import TrinoClient

    state_dir = Path(config.state_dir)
    folder = state_dir / "tmp" / "trino"
    cloud = {
        "endpoint": endpoint_url,
        "region": REGION,
        "access_key": config.access_key_id,
        "secret_key": config.secret_access_key,
    }
    if config.shared_trino is not None:
        client = TrinoClient.read(Path(config.shared_trino))
        return lambda: client, stack.enter_context(created(client, cloud, folder))
    from localcloud.athena.trino_programs import find_java
    from localcloud.athena.trino_server import TrinoServer

    catalogs = Catalogs(cloud, folder / "unloads")
    log = state_dir / "logs" / "trino.log"
    server = TrinoServer(Path(config.trino or ""), find_java(), folder, log, catalogs)
    server.start()
    stack.callback(server.stop)
    return server.await_client, catalogs


def _make_trino_engine(await_client: Callable[[], TrinoClient], catalogs: Catalogs) -> Engine:
    from localcloud.athena.trino_engine import TrinoEngine

    return TrinoEngine(await_client, catalogs)


def _start_postgres(
    initialization: postgres.Initialization, durable: bool, stack: ExitStack
) -> Databases:
    initialization.wait()
    server = postgres.Postgres.start(
        initialization.data_dir, ports.free_port(), initialization.log, durable=durable
    )
    stack.callback(server.stop)
    databases = Databases(server.url())
    databases.ensure(BRANCHES)
    return databases


async def _serve(app: Any, listener: socket.socket) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config as HypercornConfig

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = HypercornConfig()
    settings.bind = [f"fd://{listener.detach()}"]
    settings.keep_alive_timeout = 75
    settings.graceful_timeout = 0.5
    await serve(app, settings, shutdown_trigger=stop.wait)


def _stop_functions() -> None:
    """End every execution environment, and keep running executions from starting others."""
    from ministack.core import lambda_runtime

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("the local cloud is being stopped")

    lambda_runtime.ProvidedWorker._spawn = refuse
    lambda_runtime.reset()


def _save_forever(ministack: Any, now: threading.Event) -> None:
    """Save regularly: ministack saves at its end, but a killed one would lose its stack."""
    from ministack.core.persistence import save_all

    while True:
        if now.wait(SAVE_EVERY_SECONDS):
            now.clear()
        save_all(ministack._build_persistence_save_dict())


def _watch_stdin(keep: threading.Event) -> None:
    kept = False
    for line in sys.stdin:
        if line.strip() == KEEP:
            kept = True
            keep.set()
    if not kept:
        os.kill(os.getpid(), signal.SIGTERM)


def _held_lock(state_dir: Path) -> IO[bytes]:
    """Take the lock that other processes see for as long as this one lives."""
    lock = private_files.open_lock(state_dir / "server.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LocalCloudError(
            f"{state_dir} is in use by another local cloud: `forecast-sync local down` it first"
        ) from None
    return lock


def _answer(message: Mapping[str, Any]) -> None:
    """Print one line, then redirect stdout to stderr."""
    print(json.dumps(message), flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    main()
