"""What several kinds of tests share: a real Postgres, and one local cloud."""

from __future__ import annotations

import os
import signal
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, get_args
from urllib.parse import urlsplit

import psycopg
import pytest
import typer.main
from forecast_sync.adapters.postgres import Connection, connect
from forecast_sync.tables import load_table
from forecast_sync.target.schema import ensure_schema
from forecast_sync_cli import main
from localcloud import cloud
from localcloud.forking_worker import share_models
from localcloud.ports import free_port
from localcloud.postgres import Postgres, initialize
from localcloud.protocol import Athena, EngineName
from localcloud.server import collect_less

from tests import chromium as browsers
from tests import pooler as poolers
from tests import waiting
from tests.chromium import find_chromium
from tests.pooler import pooled
from tests.workflow.deployed import PARAMETERS, Deployed

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IN_CI = bool(os.environ.get("CI"))
MISSING = {"Chromium": browsers.MISSING, "PgBouncer": poolers.MISSING}
"""Programs that tests are skipped without, and what the tests say then."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """What the tests' local clouds use: Athena's engine, and Postgres directly or pooled."""
    parser.addoption("--pooled", action="store_true", help="load through PgBouncer")
    parser.addoption(
        "--athena", choices=get_args(EngineName), default="embedded", help="its engine"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Trino needs a second or two for what the embedded engine does in some hundredths."""
    # A shell ignores SIGINT for what it starts in the background, and all that is started there.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--athena") == "trino":
        waiting.PATIENCE = 4.0
    # What a program reads and makes once; here hundreds of commands run in one process.
    share_models()
    main.make_app = cache(main.make_app)
    typer.main.get_command = cache(typer.main.get_command)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of tests that share an id two processes would run one only."""
    times = Counter(item.nodeid for item in items)
    if shared := [nodeid for nodeid, count in times.items() if count > 1]:
        raise pytest.UsageError(f"tests share an id, expected one for each: {', '.join(shared)}")


def pytest_collection_finish() -> None:
    """Leave what is imported and collected out of garbage collections, a tenth of the time."""
    collect_less()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what wasn't run for want of a program; in CI that is a failure."""
    skipped = terminalreporter.stats.get("skipped", [])
    if line := describe_missing([str(report.longrepr) for report in skipped]):
        terminalreporter.write_line(line, yellow=True)
    if IN_CI and skipped:
        terminalreporter.write_line("skipped tests fail in CI: install what they name", red=True)


def describe_missing(reasons: Sequence[str]) -> str:
    """How many tests of which program were skipped, and how to get it; empty when none was."""
    counted = {
        program: sum(missing in reason for reason in reasons)
        for program, missing in MISSING.items()
    }
    wanted = {program: count for program, count in counted.items() if count}
    if not wanted:
        return ""
    programs = " and ".join(f"{name} ({count})" for name, count in wanted.items())
    packages = " ".join(name.lower() for name in wanted)
    return f"not run: tests that need {programs}; to run them: apt-get install {packages}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """See ``pytest_terminal_summary``."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One embedded server for all tests."""
    home = tmp_path_factory.mktemp("postgres")
    log = Path(home / "postgres.log")
    initialize(home / "data", log).wait()
    server = Postgres.start(home / "data", free_port(), log, durable=False)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _with_schema(postgres: Postgres) -> str:
    """The name of a database to copy, which has the schema and nothing else."""
    name = _create_database(postgres, "template1")
    with connect(postgres.url(name)) as opened:
        ensure_schema(opened, load_table())
    return name


def _create_database(postgres: Postgres, template: str) -> str:
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as session:
        session.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return name


@pytest.fixture
def database_url(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    """A database of the test's own: empty, or with the schema if it is that of ``connection``."""
    has_schema = "connection" in request.fixturenames
    template: str = request.getfixturevalue("_with_schema") if has_schema else "template1"
    return postgres.url(_create_database(postgres, template))


@pytest.fixture(scope="session")
def pooler(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of PgBouncer, in transaction mode, in front of that server."""
    with pooled(postgres.url(), free_port(), tmp_path_factory.mktemp("pooler")) as url:
        yield url


@pytest.fixture(scope="session")
def athena(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Athena]:
    """The engine of Athena in the local clouds of this session, which share a Trino."""
    if pytestconfig.getoption("--athena") == "embedded":
        yield "embedded"
        return
    from localcloud.athena import trino_server

    folder = tmp_path_factory.mktemp("trino")
    with trino_server.shared(folder / "server", folder / "trino.log") as trino:
        yield trino


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A real browser, without a window."""
    from playwright.sync_api import sync_playwright

    program = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def _deployed(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory, athena: Athena
) -> Iterator[Deployed]:
    """A worker's local cloud, shared by all tests that don't need their own."""
    port = free_port() if pytestconfig.getoption("--pooled") else None
    with ExitStack() as stack:
        running = stack.enter_context(
            cloud.running(wait_scale=0.04, parameters=PARAMETERS, pooler_port=port, athena=athena)
        )
        if port is not None:
            folder = tmp_path_factory.mktemp("cloud-pooler")
            stack.enter_context(pooled(running.database_urls["dev"], port, folder))
        running.calls_dir.mkdir()
        deployed = Deployed(running)
        deployed.postpone_schedules()
        deployed.warm_up()
        yield deployed


@pytest.fixture
def deployed(_deployed: Deployed) -> Deployed:
    """The deployed machine with an empty lake and an empty database."""
    _deployed.reset()
    return _deployed


@pytest.fixture
def connection(database_url: str, request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection to a database that has the schema, through a pooler where there is one.

    What works in PgBouncer's transactions works directly: it only takes away, above all sessions.
    ``tests/workflow`` connects directly.
    """
    if poolers.is_installed():
        pooler: str = request.getfixturevalue("pooler")
        database_url = urlsplit(pooler)._replace(path=urlsplit(database_url).path).geturl()
    with connect(database_url) as opened:
        yield opened
