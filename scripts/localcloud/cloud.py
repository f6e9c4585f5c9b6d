"""Starts and stops a local cloud: ``up``, ``down``, and ``running`` for a block of code."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import urlsplit

from localcloud import state_dir as directory
from localcloud.athena import trino_programs
from localcloud.build import find_layers
from localcloud.deploy import deploy
from localcloud.description import Cloud, forget
from localcloud.errors import LocalCloudError
from localcloud.keys import Keys
from localcloud.protocol import Athena, Config, Endpoints, EngineName, SharedTrino
from localcloud.supervision import Server

__all__ = [
    "CHECKOUT",
    "DEFAULT_STATE_DIR",
    "TEMPLATE",
    "Cloud",
    "down",
    "kept_layer",
    "running",
    "up",
    "without_stack",
]

CHECKOUT = Path(__file__).parents[2]
TEMPLATE = CHECKOUT / "template.yaml"
DEFAULT_STATE_DIR = CHECKOUT / "build" / "local"
WORKERS = 2 * (os.cpu_count() or 1)


def up(
    state_dir: Path | None = None,
    database_url: str | None = None,
    *,
    port: int | None = None,
    template: Path = TEMPLATE,
    parameters: Mapping[str, str] | None = None,
    wait_scale: float = 1.0,
    athena: EngineName = "embedded",
    layer_files: Mapping[str, str] | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Cloud:
    """Start the local cloud and leave it running, or return the one that runs in the directory.

    Without ``state_dir`` it starts empty in the checkout's ``build/local``; a named directory keeps
    objects, executions and rows from ``down`` to the next ``up``. With ``database_url`` it starts
    no Postgres. ``athena="trino"`` runs Athena's statements on a Trino, which is downloaded first
    if it isn't there; ``report`` gets the line that says so. ``layer_files`` are texts by name: a
    layer that functions find before the template's. None is the one that the directory has kept.
    Raises ``LocalCloudError``. After an error or an interrupt no process is left.
    """
    path = (state_dir or DEFAULT_STATE_DIR).absolute()
    directory.prepare(path)
    with directory.locked(path):
        if directory.server_runs(path):
            return _found(path, port, database_url, athena, layer_files)
        directory.stop_server(path, None)
        directory.forget_temporary(path)
        if state_dir is None:
            directory.empty(path)
        config = _configured(
            path,
            port,
            database_url,
            state_dir is not None,
            wait_scale,
            template,
            athena=athena,
            layer_files=layer_files,
            report=report,
        )
        server, cloud = _start(config, template, parameters or {})
        server.keep()
        return cloud


def down(state_dir: Path | None = None) -> bool:
    """Stop the local cloud of a directory, even a crashed one; returns whether one was running.

    None of its processes is left when this returns.
    """
    path = (state_dir or DEFAULT_STATE_DIR).absolute()
    if not directory.check(path):
        return False
    with directory.locked(path):
        was_running = directory.server_runs(path)
        cloud = Cloud.read(path)
        directory.stop_server(path, cloud.pid if cloud else None)
        forget(path)
        return was_running


@contextmanager
def running(
    state_dir: Path | None = None,
    database_url: str | None = None,
    *,
    port: int | None = None,
    template: Path = TEMPLATE,
    parameters: Mapping[str, str] | None = None,
    wait_scale: float = 1.0,
    pooler_port: int | None = None,
    athena: Athena = "embedded",
    layer_files: Mapping[str, str] | None = None,
) -> Iterator[Cloud]:
    """Run a local cloud for the length of a block; it ends with this process, even a killed one.

    Without ``state_dir`` it uses a temporary directory and removes it. ``athena`` may be a Trino
    that other clouds use too. ``layer_files`` as for ``up``.
    """
    with ExitStack() as stack:
        if state_dir is None:
            temporary = tempfile.TemporaryDirectory(prefix="forecast-sync-")
            path = Path(stack.enter_context(temporary))
        else:
            path = state_dir.absolute()
        directory.prepare(path)
        with directory.locked(path):
            if directory.server_runs(path):
                raise LocalCloudError(f"a local cloud runs in {path} already: {_DOWN_FIRST}")
            directory.stop_server(path, None)
            directory.forget_temporary(path)
            config = _configured(
                path,
                port,
                database_url,
                state_dir is not None,
                wait_scale,
                template,
                pooler_port,
                athena,
                layer_files,
            )
            server, cloud = _start(config, template, parameters or {})
            stack.callback(forget, path)
            stack.callback(server.stop)
        yield cloud


def kept_layer(state_dir: Path) -> list[Path]:
    """The files of the layer that a directory keeps from an earlier ``up``."""
    return [state_dir / directory.LAYER / name for name in directory.read_layer(state_dir)]


@contextmanager
def without_stack(state_dir: Path, wait_scale: float = 1.0) -> Iterator[tuple[Config, Endpoints]]:
    """Run a local cloud in which nothing is deployed, for the length of a block.

    ``state_dir`` must be new.
    """
    path = state_dir.absolute()
    directory.prepare(path)
    config = _configured(path, None, None, False, wait_scale, TEMPLATE)
    server = Server.start(config, CHECKOUT)
    try:
        yield config, server.await_endpoints()
    finally:
        server.stop()


_DOWN_FIRST = (
    "end it first with `forecast-sync local down`; its objects, rows and runs stay only in a"
    " --state-dir"
)


def _configured(
    path: Path,
    port: int | None,
    database_url: str | None,
    persistent: bool,
    wait_scale: float,
    template: Path,
    pooler_port: int | None = None,
    athena: Athena = "embedded",
    layer_files: Mapping[str, str] | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Config:
    """The configuration, with the directory's keys; the caller holds its lock."""
    trino = None
    if athena == "trino":
        trino_programs.find_java()
        trino = str(trino_programs.provide(report))
    shared = str(athena.folder) if isinstance(athena, SharedTrino) else None
    return Config(
        str(path),
        port,
        database_url,
        persistent,
        wait_scale,
        pooler_port=pooler_port,
        trino=trino,
        shared_trino=shared,
        layers=tuple(str(layer.resolve()) for layer in find_layers(template)),
        more_layers=tuple(map(str, directory.lay_out(path, layer_files))),
        **asdict(Keys.of(path)),
    )


def _start(config: Config, template: Path, parameters: Mapping[str, str]) -> tuple[Server, Cloud]:
    """Start a server and deploy the stack; on an error, stop the server before raising it."""
    server = Server.start(config, CHECKOUT)
    try:
        endpoints = server.await_endpoints()
        values = {
            "Environment": "dev",
            "NeonProjectId": config.neon_project_id,
            "NeonApiKey": config.neon_api_key,
            "DatabaseUrl": config.database_url or "",
            "LoadConcurrency": str(WORKERS),
            **parameters,
        }
        outputs = deploy(
            _keys(config).session(),
            endpoints.endpoint_url,
            template,
            values,
            more_layers=[Path(layer) for layer in config.more_layers],
        )
        cloud = Cloud.of(config, endpoints, outputs)
        cloud.write()
    except BaseException:
        server.stop()
        forget(Path(config.state_dir))
        raise
    return server, cloud


def _keys(config: Config) -> Keys:
    return Keys(config.access_key_id, config.secret_access_key, config.neon_api_key)


def _found(
    path: Path,
    port: int | None,
    database_url: str | None,
    athena: EngineName,
    layer_files: Mapping[str, str] | None,
) -> Cloud:
    """The cloud that runs in the directory, if it is configured as requested."""
    cloud = Cloud.read(path)
    if cloud is None:
        raise LocalCloudError(f"a local cloud without a cloud.json runs in {path}: end it")
    other_port = port not in {None, urlsplit(cloud.endpoint_url).port}
    if database_url and cloud.database_urls != {"dev": database_url}:
        raise LocalCloudError(f"a local cloud with another database runs already: {_DOWN_FIRST}")
    if athena != cloud.athena:
        raise LocalCloudError(
            f"a local cloud whose Athena is {cloud.athena} runs already: {_DOWN_FIRST}"
        )
    if layer_files is not None and layer_files != directory.read_layer(path):
        raise LocalCloudError(
            f"a local cloud with another version of {', '.join(layer_files) or 'its layer'} runs"
            f" already: {_DOWN_FIRST}"
        )
    if other_port:
        raise LocalCloudError(f"a local cloud with another port runs already: {_DOWN_FIRST}")
    return replace(cloud, already_running=True)
