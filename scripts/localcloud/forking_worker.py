"""Forks Lambda execution environments from a process that has imported the runtime's packages.

Run by its path, with a descriptor of a socket: for each socket that arrives there it forks a
process, which reads from that socket what it shall be. Imports take most of a cold start, and are
the same for all functions; a handler, its layers and its environment never reach this process.
A function's process becomes a child of the server: see ``fork_server``, the other side.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
import json
import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

MESSAGE_BYTES = 1 << 20
MOST_DESCRIPTORS = 64
ENVIRONMENT_BYTES = 64 * 1024
"""Of this process's environment, so that a function's fits there, where other processes see it."""
PADDING = "FORECAST_SYNC_PADDING"
GO = b"go"
"""What the server says when it knows the process; it is sent in one piece."""

IMPORTED = (
    "aws_lambda_powertools.event_handler.middlewares.openapi_validation",
    "aws_lambda_powertools.metrics",
    "boto3.s3.inject",
    "boto3.session",
    "botocore.client",
    "botocore.httpsession",
    "certifi",
    "psycopg.rows",
    "psycopg.types.json",
    "pydantic.functional_serializers",
    "pydantic.networks",
    "simplejson",
    "tomllib",
    "urllib3",
    "zlib_ng.zlib_ng",
)
"""What functions import of the packages; those that aren't installed are left out.

The runtime's client isn't among them: when its native half is loaded, it takes the address that it
polls from the environment.
"""
SERVICES = ("athena", "glue", "s3", "secretsmanager", "sns", "stepfunctions")
"""Whose clients functions make: reading their models takes most of the rest of a cold start."""
READ_AT_IMPORT = ("AWS_EXECUTION_ENV", "AWS_NEW_", "LD_", "PSYCOPG_", "PYTHON")
"""How the variables begin that Python and these packages read when they start."""


def main() -> None:
    """Import, report it, then fork for each socket; ends with the server."""
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.path += filter(None, os.environ.get("FORECAST_SYNC_PACKAGES", "").split(":"))
    confine, worker = _sibling("confine"), _sibling("worker")
    for name in IMPORTED:
        with suppress(ImportError):
            importlib.import_module(name)
    with suppress(ImportError):
        _read_models()
    server, packages = os.getppid(), frozenset(sys.modules)
    gc.collect()
    gc.freeze()
    control.send(b"ready")
    while True:
        _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not descriptors:
            return
        intermediate = os.fork()
        if intermediate:
            os.close(descriptors[0])
            os.waitpid(intermediate, 0)
        elif os.fork() == 0:
            control.close()
            _serve(socket.socket(fileno=descriptors[0]), server, packages, confine, worker)
        else:
            # The server adopts its child.
            os._exit(0)


def share_models() -> None:
    """Let all AWS clients of this process, and of its forks, share what is read of the models."""
    from botocore import session as sessions

    create, loader = sessions.create_loader, sessions.create_loader()

    def create_or_reuse(search_path_string: str | None = None) -> Any:
        return loader if search_path_string is None else create(search_path_string)

    sessions.create_loader = create_or_reuse


def _read_models() -> None:
    """Read the models of AWS's services, which each client in a fork shares."""
    share_models()
    from botocore.session import Session

    session = Session()
    # Not the developer's.
    session.set_config_variable("config_file", os.devnull)
    session.set_credentials("unused", "unused")
    for service in SERVICES:
        session.create_client(service, region_name="us-east-1")


def _serve(
    connection: socket.socket,
    server: int,
    packages: frozenset[str],
    confine: ModuleType,
    worker: ModuleType,
) -> NoReturn:
    """Become the environment of one function; never returns."""
    try:
        request, descriptors = _receive(connection)
        while os.getppid() != server:
            if os.getppid() == 1:
                os._exit(1)
            time.sleep(0.0005)
        connection.sendall(f"{os.getpid()}\n".encode())
        if connection.recv(len(GO)) != GO:
            os._exit(1)
        connection.close()
        for target, descriptor in zip(request["descriptors"], descriptors, strict=True):
            os.dup2(descriptor, target)
        for descriptor in set(descriptors) - set(request["descriptors"]):
            os.close(descriptor)
        if request["user"] is not None:
            confine.take_user(request["user"], request["user"])
        os.chdir(request["directory"])
        started_with = _read_at_import(os.environ)
        os.environ.clear()
        os.environ.update(request["environment"])
        _show_environment(request["environment"])
        time.tzset()
        sys.argv = request["command"][-2:]
        if started_with != _read_at_import(os.environ) or _are_hidden(packages):
            os.execv(request["command"][0], request["command"])  # noqa: S606
        gc.unfreeze()
        worker.serve_function()
    except BaseException as error:  # noqa: BLE001  # a process of its own, which says why it ends
        if isinstance(error, SystemExit):
            sys.stdout.flush()
            os._exit(error.code if isinstance(error.code, int) else 1)
        sys.stderr.write(f"the function can't be started: {error!r}\n")
        sys.stderr.flush()
        os._exit(126)
    os._exit(0)


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The request and the descriptors that came with it."""
    text, descriptors, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, MOST_DESCRIPTORS)
    while not text.endswith(b"\n"):
        more = connection.recv(MESSAGE_BYTES)
        if not more:
            raise EOFError("the server has ended")
        text += more
    return json.loads(text), list(descriptors)


def _read_at_import(environment: Any) -> dict[str, str]:
    return {name: text for name, text in environment.items() if name.startswith(READ_AT_IMPORT)}


def _are_hidden(packages: frozenset[str]) -> bool:
    """Whether the function's code has a module of the name of one that is imported already."""
    code = Path(os.environ["LAMBDA_TASK_ROOT"])
    names = {path.name.partition(".")[0] for path in code.iterdir()}
    return not packages.isdisjoint(names)


def _show_environment(environment: dict[str, str]) -> None:
    """Write the function's environment where this process's was, for ``/proc`` and ``psutil``.

    ``os.environ`` is a copy since it was cleared. Whoever may read one may read the other.
    """
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = int(fields[47]), int(fields[48])
    text = b"".join(f"{name}={value}\0".encode() for name, value in environment.items())
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, text, min(len(text), end - begin - 1))


def _sibling(name: str) -> ModuleType:
    """A module of this file's folder, which isn't on the path."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    if spec is None or spec.loader is None:
        raise AssertionError(f"{name} is a file of this folder")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    del sys.modules[name]
    return module


if __name__ == "__main__":
    main()
