"""One local sync at a time works in a database, also behind a pooler in transaction mode."""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg
import pytest
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.local_database import count_committed, working_alone


@pytest.fixture(params=["direct", "pooled"])
def url(database_url: str, request: pytest.FixtureRequest) -> str:
    if request.param == "direct":
        return database_url
    pooler: str = request.getfixturevalue("pooler")
    return urlsplit(pooler)._replace(path=urlsplit(database_url).path).geturl()


def test_the_second_is_told_who_works_and_the_next_one_isn_t(url: str) -> None:
    with (
        working_alone(url, None),
        pytest.raises(UserError, match=r"^forecast-sync sync on .*, process \d+, since [\d:]+ UTC"),
        working_alone(url, None),
    ):
        pass
    with working_alone(url, None):
        pass


def test_it_waits_until_the_first_has_ended(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    first = working_alone(url, None)
    first.__enter__()
    monkeypatch.setattr(
        "forecast_sync_cli.local_database.time.sleep", lambda _: first.__exit__(None, None, None)
    )
    with working_alone(url, told.append):
        assert len(told) == 1


def test_a_server_s_idle_timeout_doesn_t_end_the_lock(database_url: str) -> None:
    name = urlsplit(database_url).path[1:]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '1ms'")
    with working_alone(database_url, None):
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("SELECT pg_sleep(0.2)")
        with pytest.raises(UserError, match="is at work"), working_alone(database_url, None):
            pass


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    ("account", "refused"), [("123456789012", True), ("000000000000", False), (None, False)]
)
def test_a_deployment_s_run_is_left_alone(
    database_url: str, account: str | None, refused: bool
) -> None:
    """One of this machine is a sync that was killed: its cloud is gone."""
    arn = account and f"arn:aws:states:us-east-2:{account}:execution:forecast-sync-dev:r1"
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO forecast_sync_status (sync_type, last_sync_timestamp, last_sync_date,"
            " records_synced, status, run_id, execution_arn)"
            " VALUES ('full', now(), now(), 0, 'running', 'r1', %s)",
            [arn],
        )
    if not refused:
        with working_alone(database_url, None):
            return
    words = "the run r1 of the deployment forecast-sync-dev in us-east-2 is at work"
    with pytest.raises(UserError, match=words), working_alone(database_url, None):
        pass


@pytest.mark.usefixtures("connection")
def test_the_lock_keeps_no_table_from_being_altered(database_url: str) -> None:
    """The run that follows adds what its version needs; it once waited here for ever."""
    with (
        working_alone(database_url, None),
        psycopg.connect(database_url, options="-c lock_timeout=2s") as other,
    ):
        other.execute("ALTER TABLE forecast_sync_status ADD COLUMN of_a_later_version text")


def test_what_is_committed_is_counted_or_unknown(database_url: str) -> None:
    assert count_committed(database_url, "r1") is None
