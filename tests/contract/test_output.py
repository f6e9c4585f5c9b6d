"""Nothing writes to a terminal but ``forecast_sync_cli.terminal``, which makes text visible."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "scripts"
PACKAGES = ("forecast_sync_cli", "localcloud", "benchmarks", "devtools")
DOOR = "forecast_sync_cli/terminal.py"
APART = {
    "localcloud/confine.py": "writes to its starter's log what can't be started",
    "localcloud/forking_worker.py": "writes to the function's log why it can't be started",
    "localcloud/function_processes.py": "writes to the server's log why a fork failed",
    "localcloud/postgres.py": "hands initdb a password in a file that is memory",
    "localcloud/server.py": "answers the process that started it, as JSON on a pipe",
    "localcloud/worker.py": "ends each of its function's logs with a line that the server awaits",
    "benchmarks/worker.py": "answers the process that started it, as JSON on a pipe",
    "benchmarks/__main__.py": "shows what it has made and measured itself, to who works on this",
    "benchmarks/athena.py": "shows what it has made and measured itself, to who works on this",
    "benchmarks/burst_model.py": "shows numbers of its own",
    "benchmarks/latency.py": "shows what it has made and measured itself",
    "benchmarks/own_process.py": "answers the process that started it, as JSON on a pipe",
    "benchmarks/plan_growth.py": "shows what it has made and measured itself",
    "benchmarks/growth.py": "shows what it has made and measured itself, to who works on this",
    "benchmarks/measurement.py": "shows what it has made and measured itself, to who works on this",
    "benchmarks/report.py": "shows what it has made and measured itself, to who works on this",
    "benchmarks/survey_growth.py": "shows what it has made and measured itself",
    "benchmarks/costs.py": "shows its own prices and numbers",
    "devtools/audit_dependencies.py": "shows the names of locked packages",
    "devtools/check_cloudwatch_queries.py": "shows names and queries of our own templates",
    "devtools/layer_size.py": "shows one number",
    "devtools/render_state_machine.py": "shows two names of its own",
    "devtools/terminal_session.py": "draws a picture of a terminal, and writes to none",
}
STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}
WRITERS = {"print", "breakpoint", "pprint"}
LIBRARIES = {"rich", "click", "colorama", "curses"}
OF_TYPER = {"echo", "secho", "style", "prompt", "confirm", "progressbar", "BadParameter"}
OF_OS = {"write", "system"}
MODULES = {
    path.relative_to(SOURCE).as_posix(): path
    for package in PACKAGES
    for path in (SOURCE / package).rglob("*.py")
    if path.relative_to(SOURCE).as_posix() != DOOR
}


def test_what_stands_apart_is_still_there() -> None:
    assert set(APART) <= set(MODULES)
    assert {name for name, path in MODULES.items() if list(find_writes(path))} == set(APART)


@pytest.mark.parametrize("name", sorted(set(MODULES) - set(APART)))
def test_a_module_writes_through_the_door(name: str) -> None:
    assert list(find_writes(MODULES[name])) == []


@pytest.mark.parametrize(
    "code",
    [
        "print(1)",
        "import sys\nsys.stdout.write('x')",
        "from sys import stderr",
        "import sys\nprint = sys.__stderr__",
        "from rich.console import Console",
        "import rich",
        "import typer\ntyper.echo('x')",
        "from typer import secho",
        "import sys\nsys.exit(f'error: {1}')",
        "raise SystemExit('x' + str(1))",
        "import os\nos.write(1, b'x')",
        "import logging\nlogging.StreamHandler()",
        "import logging\nlogging.basicConfig()",
        "open('/dev/tty', 'w')",
        "import traceback\ntraceback.print_exc()",
    ],
)
def test_each_way_past_the_door_is_found(tmp_path: Path, code: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(code)
    assert list(find_writes(path))


def find_writes(path: Path) -> Iterator[str]:
    """Each place where a module could write to a terminal by itself."""
    for node in ast.walk(ast.parse(path.read_text())):
        if problem := _problem(node):
            yield f"{path.name}:{getattr(node, 'lineno', 0)}: {problem}"


def _problem(node: ast.AST) -> str | None:  # noqa: C901  # one case for each way
    match node:
        case ast.Import(names=names) if {n.name.split(".")[0] for n in names} & LIBRARIES:
            return "a library that writes to terminals"
        case ast.ImportFrom(module=str(module)) if module.split(".")[0] in LIBRARIES:
            return "a library that writes to terminals"
        case ast.ImportFrom(module="sys", names=names) if {n.name for n in names} & STREAMS:
            return "a stream"
        case ast.ImportFrom(module="typer", names=names) if {n.name for n in names} & OF_TYPER:
            return "typer's own output"
        case ast.Attribute(value=ast.Name(id="sys"), attr=attr) if attr in STREAMS:
            return "a stream"
        case ast.Attribute(value=ast.Name(id="typer"), attr=attr) if attr in OF_TYPER:
            return "typer's own output"
        case ast.Attribute(value=ast.Name(id="os"), attr=attr) if attr in OF_OS:
            return "a file descriptor"
        case ast.Attribute(value=ast.Name(id="logging"), attr="StreamHandler" | "basicConfig"):
            return "a handler of logs"
        case ast.Attribute(value=ast.Name(id="traceback"), attr=attr) if attr.startswith("print"):
            return "a raw traceback"
        case ast.Name(id=name) if name in WRITERS:
            return name
        case ast.Constant(value="/dev/tty" | "/dev/stdout" | "/dev/stderr"):
            return "a terminal's file"
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="sys"), attr="exit") | ast.Name(id="SystemExit"),
            args=[argument],
        ) if not _is_code(argument):
            return "an exit that says something"
    return None


def _is_code(argument: ast.expr) -> bool:
    """Whether it is an exit code: a number, a constant's name, or what a function counts."""
    match argument:
        case ast.Constant(value=int()) | ast.Name():
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in ("main", "_run")
    return False
