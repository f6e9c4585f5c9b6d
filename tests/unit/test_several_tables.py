"""Several tables in a stack: their settings, what they must not share, and where uploads go."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from forecast_sync.adapters.stepfunctions import Workflow
from forecast_sync.config import Settings
from forecast_sync.contracts.events import UploadMessage
from forecast_sync.errors import InvalidInput
from forecast_sync.notify import messages, notifier
from forecast_sync.plan.pages import share_workers
from forecast_sync.resolve.run import ResolveRequest, resolve_run
from forecast_sync.runs.uploads import route, start_for_tables
from forecast_sync.tables import parse_table
from forecast_sync.tables.neighbors import find_clashes
from forecast_sync.telemetry.logging import about, find_table, logger
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import FORECAST_FILE, make_run
from tests.workflow.several import table_text

SEVERAL = Settings(environment="dev", tables="sales,stock", data_location="s3://lake/")
ONE = Settings(environment="dev", table_file="sales", data_location="s3://lake/pos/")
FOLDERS = {"sales": "sales/", "stock": "shared/", "waste": "shared/"}


def test_a_table_of_several_has_a_name_a_folder_and_a_scope_of_its_own() -> None:
    stock = SEVERAL.for_table("stock", "shared/")
    assert (stock.table_file, stock.forecast_table_name) == ("stock", "stock")
    assert (stock.data_location, stock.scope) == ("s3://lake/shared/", "stock")
    assert SEVERAL.scope is None


def test_the_only_table_keeps_what_the_template_has_given_it() -> None:
    assert ONE.for_table("sales", "elsewhere/") == ONE
    assert ONE.require_table(None) == ONE.require_table("sales") == "sales"


@pytest.mark.parametrize(("settings", "name"), [(SEVERAL, None), (SEVERAL, "x"), (ONE, "x")])
def test_a_request_about_no_table_of_the_stack_is_refused_with_the_list(
    settings: Settings, name: str | None
) -> None:
    with pytest.raises(InvalidInput, match=", ".join(settings.table_names)):
        settings.require_table(name)


def test_what_for_table_decides_is_no_environment_variable() -> None:
    environ = {"ENVIRONMENT": "dev", "SCOPE": "x", "ADOPTS_UNNAMED": "true"}
    read = Settings.from_environment(environ)
    assert (read.scope, read.adopts_unnamed) == (None, False)


@pytest.mark.parametrize(("settings", "scope"), [(SEVERAL, "sales"), (ONE, None)])
def test_a_run_has_a_scope_where_there_are_several_tables(
    settings: Settings, scope: str | None
) -> None:
    execution = make_run().model_dump(include={"run_id", "execution_arn", "started_at"})
    request = ResolveRequest.model_validate({"input": {"table": "sales"}, "execution": execution})
    run = resolve_run(None, settings, request)
    assert (run.table, run.scope) == ("sales", scope)


@pytest.mark.parametrize(
    ("first", "second", "clash"),
    [
        ("lake/", "lake/sales/", "lake/sales/ is in lake/"),
        ("lake/sales/", "lake/", "lake/sales/ is in lake/"),
        ("lake/", "lake/", None),
        ("sales/", "sales_old/", None),
    ],
)
def test_folders_of_which_one_holds_the_other_are_refused(
    first: str, second: str, clash: str | None
) -> None:
    names = {"a": table_text("a", first), "b": table_text("b", second)}
    clashes = find_clashes({name: parse_table(text, name) for name, text in names.items()})
    assert len(clashes) == (clash is not None)
    assert clash is None or clash in clashes[0]


def test_tables_with_one_target_or_an_index_of_one_name_are_refused() -> None:
    table = parse_table(FORECAST_FILE, "forecast")
    clashes = find_clashes({"a": table, "b": table})
    assert any("same [target] table, forecast_data" in clash for clash in clashes)
    assert any("idx_forecast_business_date" in clash for clash in clashes)


def message(number: int, body: str) -> UploadMessage:
    return UploadMessage.model_validate({"messageId": f"m-{number}", "body": body})


def event(key: str) -> str:
    return json.dumps({"source": "aws.s3", "detail": {"object": {"key": key}}})


@given(st.lists(st.sampled_from(["sales/a", "shared/b", "other/c", "sales", "shared", ""])))
def test_a_message_goes_to_each_table_of_its_folder_and_else_is_counted(keys: list[str]) -> None:
    routed = route([message(n, event(key)) for n, key in enumerate(keys)], FOLDERS)
    for name, folder in FOLDERS.items():
        ids = [f"m-{n}" for n, key in enumerate(keys) if key.startswith(folder)]
        assert routed.message_ids.get(name, []) == ids
    assert routed.outside == [key for key in keys if not key.startswith(("sales/", "shared/"))]


@given(st.text() | st.sampled_from(["[]", '{"detail": 1}', '{"detail": {"object": {"key": 7}}}']))
def test_a_message_that_names_no_object_goes_to_every_table(body: str) -> None:
    assert route([message(1, body)], FOLDERS) == ({key: ["m-1"] for key in FOLDERS}, [])


def test_a_batch_that_is_delivered_twice_starts_one_run_of_each_table() -> None:
    started: list[tuple[str, Any]] = []

    class Machine:
        def start(self, name: str, payload: Any) -> bool:
            started.append((name, payload["table"]))
            return True

    machine = cast(Workflow, Machine())
    names = start_for_tables(machine, "s3", {"stock": ["b", "a"], "waste": ["a", "b"]})
    again = start_for_tables(machine, "s3", {"stock": ["a", "b"], "waste": ["b", "a"]})
    assert names == again
    assert len(set(started)) == len(set(names)) == 2


@pytest.mark.parametrize(
    ("tables", "connections", "reserved", "workers"),
    [(1, 100, 0, 4), (2, 100, 0, 2), (20, 100, 0, 1), (4, 2500, 0, 25), (4, 2500, 8, 2)],
)
def test_each_table_has_an_equal_share_of_the_loaders(
    tables: int, connections: int, reserved: int, workers: int
) -> None:
    names = ",".join(f"t{number}" for number in range(tables))
    settings = Settings(environment="dev", tables=names, reserved_loaders=reserved)
    assert share_workers(settings, connections) == workers


class NothingRecent:
    """A state machine of which nothing has succeeded lately."""

    def newest_succeeded(self, limit: int) -> list[Any]:  # noqa: ARG002
        return []


@pytest.mark.parametrize(
    ("ages", "measured"),
    [
        ({"sales": 60, "stock": 7200}, {"sales": 60, "stock": 7200, None: 7200}),
        ({"sales": 60, "stock": None}, {"sales": 60}),
    ],
)
def test_a_branch_is_as_old_as_its_oldest_table_and_has_no_age_if_one_has_none(
    monkeypatch: pytest.MonkeyPatch,
    ages: dict[str, int | None],
    measured: dict[str | None, int],
) -> None:
    found: dict[str | None, float] = {}

    def judge(_git_ref: str, settings: Settings, _connect: object) -> Any:
        age = ages[settings.table_file]
        watermark = None if age is None else datetime.now(UTC) - timedelta(seconds=age)
        return SimpleNamespace(watermark=watermark, waiting_since=None, state="fresh")

    def measure(_branch: str, table: str | None, age: timedelta) -> None:
        found[table] = age.total_seconds()

    monkeypatch.setattr(notifier, "judge_branch", judge)
    monkeypatch.setattr(notifier, "measure_freshness", measure)
    tables = [SEVERAL.for_table(name, f"{name}/") for name in SEVERAL.table_names]
    published = notifier.check_freshness(
        cast(Workflow, NothingRecent()), tables, cast(Any, None), cast(Any, None)
    )
    assert published == []
    assert found == pytest.approx(measured, abs=30)


def test_a_notification_names_its_table_and_its_commands_do_too() -> None:
    run, settings = make_run(), SEVERAL.for_table("stock", "shared/")
    notification = messages.failed(run, "FullRunNeeded: too much", settings)
    assert "stock on dev" in notification.title
    assert "forecast-sync start --sync-type full --table stock" in notification.to_text()
    assert json.loads(notification.to_chat())["metadata"]["additionalContext"]["table"] == "stock"


def test_a_log_line_names_the_table_of_a_stack_with_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TABLES", "sales,stock")
    for event in ({"run": {"table": "stock"}}, {"input": {"table": "stock"}}, {"table": "stock"}):
        assert find_table(event) == "stock"
    with about("run-1", "stock"):
        assert logger.get_current_keys()["table"] == "stock"
