"""The local cloud's Postgres reaches its own directory and nothing else, whatever SQL it runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from localcloud.confine import landlock_version
from localcloud.databases import ROLE, Databases
from localcloud.errors import LocalCloudError
from localcloud.ports import free_port
from localcloud.postgres import Postgres, initialize

confined = pytest.mark.skipif(landlock_version() == 0, reason="this kernel has no Landlock")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")

READS = [
    "SELECT pg_read_file('{file}')",
    "SELECT pg_read_binary_file('{file}')",
    "SELECT pg_stat_file('{file}')::text WHERE pg_read_file('{file}', 0, 1) IS NOT NULL",
    "SELECT lo_import('{file}')",
    "COPY attacked FROM '{file}'",
    "CREATE TEMP TABLE got (line text); COPY got FROM '{file}'",
    "SELECT pg_ls_dir('{folder}')",
    "SELECT * FROM pg_ls_dir('{folder}', false, true)",
]
WRITES = [
    "COPY (SELECT 'attack') TO '{file}'",
    "SELECT lo_export(lo_from_bytea(4242, 'attack'), '{file}')",
    "CREATE TABLESPACE attack LOCATION '{folder}'",
]
RUNS = [
    "COPY attacked FROM PROGRAM 'id'",
    "COPY (SELECT 1) TO PROGRAM 'cat > {file}'",
    "COPY attacked FROM PROGRAM '/bin/sh -c id'",
]
REACHES = [
    "CREATE EXTENSION plpython3u",
    "CREATE EXTENSION plperlu",
    "CREATE EXTENSION dblink",
    "CREATE EXTENSION file_fdw",
    "CREATE FUNCTION run(text) RETURNS int LANGUAGE c AS '/lib/libc.so.6', 'system'",
]


@pytest.fixture(scope="module")
def databases(postgres: Postgres) -> Iterator[Databases]:
    databases = Databases(postgres.url())
    databases.create("attacked")
    with psycopg.connect(databases.urls["attacked"]) as connection:
        connection.execute("CREATE TABLE attacked (line text)")
    yield databases
    _drop(postgres, "forecast_attacked")


def _drop(postgres: Postgres, name: str) -> None:
    """Other tests share the server, and find their own branches in it only."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def superuser(postgres: Postgres, databases: Databases) -> str:
    return postgres.url(databases.urls["attacked"].rpartition("/")[2])


@pytest.fixture
def owner(databases: Databases) -> str:
    """What `up` prints and functions get."""
    return databases.urls["attacked"]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder that everybody may write to and walk to, with a file that everybody may read."""
    folder = Path("/var/tmp") / f"forecast-sync-test-{os.getpid()}-{tmp_path.name}"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "file").write_text("precious")
    (folder / "file").chmod(0o666)
    yield folder
    for path in (*folder.iterdir(), folder):
        path.rmdir() if path.is_dir() else path.unlink()


def attack(url: str, statement: str, outside: Path, file: str) -> list[tuple[object, ...]]:
    """What a statement answers; raises psycopg's error for one that is refused."""
    filled = statement.format(file=file, folder=outside)
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(filled.encode())
        while cursor.nextset():
            pass
        return cursor.fetchall() if cursor.description else []


class TestSuperuser:
    """No user gets its password; these tests show what its holder still couldn't do."""

    @confined
    @pytest.mark.parametrize("statement", READS)
    @pytest.mark.parametrize("file", ["own", "/etc/passwd", "/proc/1/environ", "/proc/self/maps"])
    def test_reads_nothing_else(
        self, superuser: str, outside: Path, statement: str, file: str
    ) -> None:
        wanted = str(outside / "file") if file == "own" else file
        with pytest.raises(psycopg.Error):
            attack(superuser, statement, outside, wanted)

    @confined
    @pytest.mark.parametrize("statement", WRITES)
    def test_writes_nothing_else(self, superuser: str, outside: Path, statement: str) -> None:
        for name in ("file", "new"):
            with pytest.raises(psycopg.Error):
                attack(superuser, statement, outside, str(outside / name))
        assert [path.name for path in outside.iterdir()] == ["file"]
        assert (outside / "file").read_text() == "precious"

    @confined
    @pytest.mark.parametrize("statement", RUNS)
    def test_runs_no_program(self, superuser: str, outside: Path, statement: str) -> None:
        with pytest.raises(psycopg.Error):
            attack(superuser, statement, outside, str(outside / "new"))
        assert not (outside / "new").exists()

    @confined
    def test_runs_no_program_of_its_own_making(self, superuser: str, postgres: Postgres) -> None:
        """Not even one that it has written where it may write."""
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
            connection.execute("SELECT lo_from_bytea(4243, '#!/bin/sh\n')")
            connection.execute("SELECT lo_export(4243, 'run')")
            with pytest.raises(psycopg.Error):
                connection.execute("COPY attacked FROM PROGRAM './run'")
        (postgres.data_dir / "run").unlink()

    @confined
    def test_it_opens_no_connections(self, superuser: str, postgres: Postgres) -> None:
        conninfo = f"host=127.0.0.1 port={postgres.port} dbname=postgres"
        subscribe = f"CREATE SUBSCRIPTION spy CONNECTION '{conninfo}' PUBLICATION none".encode()
        with (
            psycopg.connect(superuser, autocommit=True) as connection,
            pytest.raises(psycopg.Error, match="Permission denied"),
        ):
            connection.execute(subscribe)


class TestOwner:
    """The role of a printed URL owns a database and has no rights over the server."""

    @pytest.mark.parametrize("statement", [*READS, *WRITES, *RUNS, *REACHES])
    def test_reads_writes_and_runs_nothing(self, owner: str, outside: Path, statement: str) -> None:
        # Postgres itself says so, with Landlock or without.
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFile,
                            psycopg.errors.FeatureNotSupported)):  # fmt: skip
            attack(owner, statement, outside, str(outside / "file"))
        assert (outside / "file").read_text() == "precious"

    @pytest.mark.parametrize(
        "statement",
        [
            f"ALTER ROLE {ROLE} SUPERUSER",
            "CREATE ROLE other SUPERUSER",
            "SET ROLE postgres",
            "SET SESSION AUTHORIZATION postgres",
            f"GRANT pg_execute_server_program TO {ROLE}",
            f"GRANT pg_read_server_files TO {ROLE}",
            "ALTER SYSTEM SET archive_command = 'id'",
            "CREATE DATABASE other",
            "ALTER ROLE postgres PASSWORD 'known'",
            "SELECT rolpassword FROM pg_authid",
        ],
    )
    def test_it_can_t_become_another_user(self, owner: str, outside: Path, statement: str) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            attack(owner, statement, outside, "")

    def test_is_no_superuser_and_a_member_of_nothing(self, owner: str, outside: Path) -> None:
        role = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls"
        assert attack(owner, f"{role} FROM pg_roles WHERE rolname = current_user", outside, "") == [
            (False,) * 5
        ]
        members = "SELECT count(*) FROM pg_auth_members WHERE member = current_user::regrole"
        assert attack(owner, members, outside, "") == [(0,)]

    def test_stays_out_of_the_database_for_administration(self, postgres: Postgres) -> None:
        url = Databases(postgres.url()).urls["attacked"]
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(url.rpartition("/")[0] + "/postgres")

    def test_owns_what_is_in_its_database(self, owner: str, outside: Path) -> None:
        for statement in (
            "CREATE SCHEMA other",
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
            "CREATE TABLE attacked (line text)",
            "CREATE INDEX CONCURRENTLY ON attacked (line)",
        ):
            attack(owner, statement, outside, "")


def test_a_database_of_an_older_version_gets_its_owner(postgres: Postgres) -> None:
    """There the superuser owned everything."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE forecast_old")
        connection.execute("COMMENT ON DATABASE forecast_old IS 'old'")
    with psycopg.connect(postgres.url("forecast_old"), autocommit=True) as connection:
        connection.execute(
            'DROP SCHEMA public; CREATE SCHEMA public; CREATE SCHEMA "an other";'
            "CREATE TABLE kept (id serial PRIMARY KEY); INSERT INTO kept DEFAULT VALUES;"
            'CREATE VIEW "an other"."a view" AS SELECT * FROM kept; CREATE SEQUENCE counted;'
            "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE EXTENSION vector"
        )
    url = Databases(postgres.url()).urls["old"]
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)
        connection.execute('INSERT INTO kept DEFAULT VALUES; DROP VIEW "an other"."a view"')
        connection.execute("ALTER TABLE kept ADD COLUMN more int; DROP SEQUENCE counted")
        connection.execute('DROP FUNCTION one(); CREATE TABLE new (); DROP SCHEMA "an other"')
    assert Databases(postgres.url()).urls["old"] == url
    _drop(postgres, "forecast_old")


def processes(postgres: Postgres) -> list[psutil.Process]:
    server = psutil.Process(postgres.process.pid)
    return [server, *server.children(recursive=True)]


def status(process: psutil.Process) -> dict[str, str]:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@as_root
def test_it_has_no_right_of_root_s(postgres: Postgres) -> None:
    for process in processes(postgres):
        fields = status(process)
        assert set(fields["Uid"].split()) == {str(postgres.data_dir.stat().st_uid)}
        assert "0" not in fields["Uid"].split() + fields["Gid"].split()
        assert fields["Groups"] == ""
        assert fields["NoNewPrivs"] == "1"
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(fields[kind], 16) == 0, kind


def test_no_new_privileges_as_anybody(postgres: Postgres) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("only Linux shows this")
    assert {status(process)["NoNewPrivs"] for process in processes(postgres)} == {"1"}


def test_its_files_are_private(postgres: Postgres) -> None:
    for path in (postgres.data_dir, *postgres.data_dir.rglob("*")):
        assert path.lstat().st_mode & 0o077 == 0, path
    password = postgres.data_dir.with_name(postgres.data_dir.name + ".password")
    assert password.stat().st_mode & 0o777 == 0o600
    assert password.stat().st_uid == os.geteuid()


@as_root
def test_programs_out_of_reach_are_copied_and_the_copy_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a checkout below /root."""
    monkeypatch.setattr("localcloud.unprivileged.is_reachable", lambda path: len(path.parts) < 3)
    log = tmp_path / "log"
    initialize(tmp_path / "data", log).wait()
    server = Postgres.start(tmp_path / "data", free_port(), log)
    copy = Path((tmp_path / "data.programs").read_text())
    assert psutil.Process(server.process.pid).exe().startswith(f"{copy}/")
    for path in (copy, *copy.rglob("*")):
        assert path.stat().st_uid == 0
        assert path.is_symlink() or path.stat().st_mode & 0o022 == 0
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        assert connection.execute("SELECT count(*) > 100 FROM pg_timezone_names").fetchone() == (
            True,
        )
    server.stop()
    assert not copy.exists()
    assert not (tmp_path / "data.programs").exists()


@as_root
def test_without_a_place_for_the_copy_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("localcloud.unprivileged.is_reachable", lambda _: False)
    with pytest.raises(
        LocalCloudError, match=r"out of reach .* run this command as another user"
    ) as caught:
        initialize(tmp_path / "data", tmp_path / "log")
    assert "\n" not in str(caught.value)


def test_a_planted_pid_file_ends_no_process(tmp_path: Path) -> None:
    """What Postgres' directory says about processes is not believed."""
    from localcloud.postgres import stop_leftover

    sleeper = psutil.Popen(["sleep", "60"])
    (tmp_path / "data").mkdir()
    try:
        for text in (f"{sleeper.pid}\n", f"{os.getpid()}\n", "x\n", "", "0\n", "-1\n"):
            (tmp_path / "data" / "postmaster.pid").write_text(text)
            stop_leftover(tmp_path / "data")
        assert sleeper.is_running()
    finally:
        sleeper.kill()
        sleeper.wait()


def test_missing_landlock_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    from localcloud import unprivileged

    monkeypatch.setattr(unprivileged, "landlock_version", lambda: 0)
    message = unprivileged.what_is_missing()
    assert message
    assert re.fullmatch(r"[^\n]*Landlock[^\n]*", message)
