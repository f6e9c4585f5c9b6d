"""The dashboard of a stack with several tables: from memory in every state, and once for real."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from forecast_sync_cli.dashboard.app import make_app
from forecast_sync_cli.dashboard.security import Keys
from forecast_sync_cli.dashboard.server import address_of, listen
from hypercorn.asyncio import serve
from hypercorn.config import Config
from localcloud.protocol import Athena
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Dashboard, check, check_everywhere, serving, visiting
from tests.lake import make_row, make_rows
from tests.stack_in_memory import LONG_KEY, TABLES, StackInMemory
from tests.workflow.several import running_tables, table_text

TEXTS = {name: table_text(name) for name in ("sales", "stock", "waste")}


@contextmanager
def in_thread(stack: StackInMemory) -> Iterator[str]:
    """The address of a dashboard that a thread serves."""
    listener = listen(0)
    keys = Keys(listener.getsockname()[1])
    app = make_app(stack.views, keys)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.graceful_timeout = 0.5
    config.errorlog = None
    with ThreadPoolExecutor(1) as pool:
        running: Future[Callable[[], object]] = Future()

        async def run() -> None:
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()
            running.set_result(lambda: loop.call_soon_threadsafe(ended.set))
            await serve(app, config, shutdown_trigger=ended.wait)  # type: ignore[arg-type]

        served = pool.submit(asyncio.run, run())
        yield address_of(keys)
        running.result()()
        served.result()


@pytest.fixture
def stack() -> StackInMemory:
    return StackInMemory()


@pytest.fixture
def several(chromium: Browser, stack: StackInMemory) -> Iterator[Dashboard]:
    """The dashboard of a stack in memory."""
    with in_thread(stack) as address, visiting(address, chromium) as shown:
        yield shown


def choice(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Table")


def test_all_tables_have_an_overview_that_leads_to_each(several: Dashboard) -> None:
    page = several.open()
    expect(choice(page)).to_have_value("")
    overview = page.get_by_role("region", name="Overview of all tables")
    expect(overview.locator("tbody tr")).to_have_count(len(TABLES))
    expect(overview).to_contain_text(f"{LONG_KEY} and 2 more")
    expect(page.get_by_role("heading", name="The tables")).to_be_visible()
    check_everywhere(page, "all-tables")
    overview.get_by_role("link", name="price", exact=True).click()
    expect(page).to_have_url(f"{several.url}?table=price")
    expect(choice(page)).to_have_value("price")


def test_one_table_s_view_is_in_the_address_and_on_every_link(several: Dashboard) -> None:
    page = several.open()
    choice(page).select_option("price")
    expect(page).to_have_url(f"{several.url}?table=price")
    expect(choice(page)).to_be_focused()
    page.reload()
    expect(choice(page)).to_have_value("price")
    expect(page.locator("#status")).to_contain_text("dev · price")
    expect(page.locator("#runs tbody tr")).to_have_count(3)
    page.evaluate("htmx.trigger(document.body, 'changed')")
    expect(page.locator(".skeleton")).to_have_count(0)
    leading = page.locator("a:not([href*='table=price'])[href^='/']")
    expect(leading).to_have_count(0)
    check_everywhere(page, "one-table")
    page.locator("#runs").get_by_role("link", name="price-leaves", exact=True).click()
    expect(page).to_have_url(f"{several.url}?table=price&run=price-leaves")
    page.get_by_role("link", name="Runbook", exact=True).click()
    page.get_by_role("link", name="Back to the dashboard").click()
    expect(page).to_have_url(f"{several.url}?table=price")
    choice(page).select_option("All tables")
    expect(page).to_have_url(several.url)
    page.go_back()
    expect(choice(page)).to_have_value("price")


def test_the_keyboard_chooses_before_it_shows(several: Dashboard) -> None:
    page = several.open()
    choice(page).focus()
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    expect(choice(page)).to_have_value("price")
    expect(page).to_have_url(several.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Show", exact=True).first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{several.url}?table=price")


def test_a_column_of_the_chart_leads_to_the_worst_run_of_its_minute(several: Dashboard) -> None:
    page = several.open()
    columns = page.evaluate("JSON.parse(document.querySelector('[data-chart]').dataset.chart)")
    assert columns["titles"][-3] == "2 runs of price, forecast"
    assert columns["rows"]["inserted"][-3] == 400
    assert columns["rows"]["updated"][-3] == 20
    where = page.evaluate(
        "(() => { const chart = Chart.getChart('chart');"
        " const bar = chart.getDatasetMeta(0).data.at(-3);"
        " const box = chart.canvas.getBoundingClientRect();"
        " return [box.x + bar.x, box.y + bar.y + 5]; })()"
    )
    page.locator("#timeline").scroll_into_view_if_needed()
    page.mouse.click(*where)
    expect(page).to_have_url(re.compile(r"\?run=(forecast-early|price-leaves)$"))


def test_a_table_that_is_not_deployed_is_said_once(several: Dashboard) -> None:
    page = several.open()
    page.goto(f"{several.url}?table=prize")
    expect(page.locator("#status")).to_contain_text("There is no table prize here.")
    expect(choice(page)).to_have_value("prize")
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator(".skeleton")).to_have_count(0)
    check_everywhere(page, "unknown-table")
    page.locator("#status").get_by_role("link", name="calendar").click()
    expect(page.locator("#status")).to_contain_text("Unreachable")


def test_a_run_is_started_for_a_table_of_choice(several: Dashboard, stack: StackInMemory) -> None:
    page = several.open()
    page.get_by_role("button", name="Start a run").click()
    dialog = page.get_by_role("dialog", name="Start a run")
    field = dialog.get_by_role("combobox", name="Table")
    expect(field).to_be_focused()
    check_everywhere(page, "start-of-a-table")
    # Without the browser's own check, so that the page's is seen.
    dialog.locator("form").evaluate("form => form.noValidate = true")
    dialog.get_by_role("button", name="Start the run").click()
    expect(dialog).to_contain_text("Choose the table that the run is about.")
    expect(field).to_be_focused()
    check_everywhere(page, "start-without-a-table")
    field.select_option("promotion")
    dialog.get_by_role("button", name="Start the run").click()
    expect(dialog).to_be_hidden()
    assert [body["table"] for body in stack.started] == ["promotion"]
    page.goto(f"{several.url}?table=calendar")
    page.get_by_role("button", name="Start a run").click()
    expect(dialog.get_by_role("combobox", name="Table")).to_have_value("calendar")
    expect(dialog.get_by_label("Git branch")).to_be_focused()


def test_a_dialog_names_the_table_of_its_run(several: Dashboard) -> None:
    page = several.open()
    page.get_by_role("button", name="Stop").click()
    dialog = page.get_by_role("dialog", name="Stop this run?")
    expect(dialog).to_contain_text("price-now, a run of the table price")
    check_everywhere(page, "stop-of-a-table")


def test_rows_that_leave_are_said_of_the_run_and_in_its_plan(several: Dashboard) -> None:
    page = several.open()
    page.goto(f"{several.url}?table=price&run=price-leaves")
    expect(page.locator("#now")).to_contain_text("3 rows left the table.")
    expect(page.locator("#now")).to_contain_text("119 rows that should leave the table stay.")
    expect(page.locator("#row-price-leaves")).to_contain_text("3 deleted. 119 to delete wait.")
    expect(page.locator(".skeleton")).to_have_count(0)
    check_everywhere(page, "deletions")
    page.goto(f"{several.url}?run=price-plan")
    deletions = page.get_by_role("region", name="Table of deletions")
    expect(deletions.locator("tbody tr").first).to_contain_text("deleted in the lake")
    expect(page.locator("#plan")).to_contain_text("119 would wait")
    expect(page.locator(".skeleton")).to_have_count(0)
    check_everywhere(page, "planned-deletions")


def test_one_table_has_no_switch(chromium: Browser) -> None:
    with in_thread(StackInMemory(tables=("price",))) as address:
        alone = Dashboard(address, address.partition("?")[0], chromium)
        page = alone.open()
        expect(choice(page)).to_have_count(0)
        expect(page.get_by_role("heading", name="The table", exact=True)).to_be_visible()
        page.context.close()


def test_a_real_stack_s_tables_are_watched_and_run_apart(chromium: Browser, athena: Athena) -> None:
    with running_tables(TEXTS, athena=athena) as deployed:
        deployed.react_to_uploads(False)
        s3 = deployed.client("s3")
        deployed.put("sales/a.parquet", [*make_rows(range(20)), make_row(90, state="OHIO")])
        deployed.put("stock/a.parquet", make_rows(range(10)))
        cut_off = {"Key": "stock/cut-off.parquet", "Body": b"PAR1 no more"}
        s3.put_object(Bucket=deployed.cloud.bucket, **cut_off)
        deployed.succeed(table="sales")
        deployed.succeed(table="stock")
        with serving(deployed.cloud.variables) as address:
            dashboard = Dashboard(address, address.partition("?")[0], chromium)
            page = dashboard.open()
            overview = page.get_by_role("region", name="Overview of all tables")
            sales, stock, waste = (overview.locator("tbody tr").nth(n) for n in range(3))
            expect(sales).to_contain_text("Fresh")
            expect(sales).to_contain_text("1 open reject of sales")
            expect(stock).to_contain_text("stock/cut-off.parquet")
            expect(stock).to_contain_text("1 file left out of stock")
            expect(waste).to_contain_text("Never synced")
            expect(page.locator("#rejects tbody tr")).to_contain_text("sales")
            page.get_by_role("button", name="Start a run").click()
            dialog = page.get_by_role("dialog", name="Start a run")
            dialog.get_by_role("combobox", name="Table").select_option("waste")
            dialog.get_by_role("button", name="Start the run").click()
            expect(dialog).to_be_hidden()
            expect(page.locator("#now")).to_contain_text("of the table waste")
            expect(waste).to_contain_text("Fresh", timeout=60_000)
            choice(page).select_option("stock")
            expect(page.locator("#now")).to_contain_text("of the table stock")
            expect(page.locator("#runs tbody tr")).to_have_count(1)
            expect(page.locator("#files tbody tr")).to_have_count(2)
            expect(page.locator("#rejects")).to_contain_text("No open rejects.")
            page.get_by_text("columns, ").click()
            expect(page.locator("#table")).to_contain_text("t_stock is synced")
            check(page, "real-table-1440-light")
            page.context.close()
