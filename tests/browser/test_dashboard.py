"""What a person sees and does on the dashboard, in a real Chromium, with real runs."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta

from playwright.sync_api import Page, expect

from tests.browser.conftest import NARROW, Dashboard, check, check_everywhere, check_extremes
from tests.builders import DEFINITION
from tests.lake import MORNING, make_row, make_rows, reference
from tests.waiting import eventually
from tests.workflow.deployed import Deployed

SLOW = (
    "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS "
    "$$BEGIN PERFORM pg_sleep(1.5); RETURN NEW; END$$;"
    "CREATE TRIGGER dawdle BEFORE INSERT ON forecast_sync_batch "
    "FOR EACH ROW EXECUTE FUNCTION dawdle()"
)
CURRENT = "[aria-current=step] .node-name"


def start_slow_run(deployed: Deployed) -> None:
    """A lake whose load takes minutes, whatever one does meanwhile; the table has seen runs."""
    for number in range(4):
        late = MORNING - timedelta(hours=4 - number)
        rows = make_rows(range(number * 2000, number * 3000 + 4000), updated_at=late)
        bad = [make_row(90_000 + number * 40 + n, state="OHIO") for n in range(40)]
        deployed.upload(f"hour-{number}", [*rows, *bad])
        deployed.succeed(name=f"uploads-{uuid.uuid4().hex[:8]}", trigger="s3")
    deployed.execute(SLOW)
    deployed.upload("many", make_rows(range(20_000, 40_000), updated_at=MORNING))


def press_start(page: Page) -> None:
    """By keyboard alone: reach the button, open the dialog, choose a full run, start it."""
    page.get_by_role("button", name="Start a run").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Start a run")
    expect(dialog.get_by_label("Git branch")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(dialog.get_by_label("Full: every file of the lake")).to_be_checked()
    dialog.get_by_label("Rows per batch").fill("100")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()


def test_a_run_is_started_watched_stopped_and_redriven_without_a_reload(
    dashboard: Dashboard, deployed: Deployed
) -> None:
    start_slow_run(deployed)
    page = dashboard.open()
    page.evaluate("window.neverReloaded = true")
    press_start(page)
    expect(page.locator(CURRENT)).to_have_text("Load pages")
    expect(page.get_by_role("heading", name="Running now")).to_be_visible()
    figures = page.locator(".figures")
    expect(figures).to_contain_text(re.compile(r"[1-9]\d*\s*rows/s"))
    expect(figures).to_contain_text(re.compile(r"\d+ (s|min)\s*left"))
    expect(page.locator("#redrive-button")).to_be_disabled()
    expect(page.locator("#redrive-reason")).to_have_text("Not now: it is still running.")
    expect(page.locator("#status")).to_contain_text("Running")
    tops = "nodes => new Set(nodes.map(node => node.offsetTop)).size"
    assert page.locator(".machine li").evaluate_all(tops) == 1, "the picture is one row"
    check_everywhere(page, "running")

    page.get_by_role("button", name="Stop").click()
    dialog = page.get_by_role("dialog", name="Stop this run?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    check_everywhere(page, "stop")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator("#stop-button")).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Stop the run").click()
    expect(page.locator("#now .badge").first).to_have_text(re.compile("Aborted"))
    expect(page.locator("#stop-reason")).to_contain_text("it has ended already")

    deployed.execute("DROP TRIGGER dawdle ON forecast_sync_batch")
    page.get_by_role("button", name="Redrive").click()
    page.get_by_role("dialog").get_by_role("button", name="Redrive").click()
    expect(page.locator("#now .badge").first).to_have_text(re.compile("Succeeded"), timeout=30_000)
    expect(page.locator("#runs tbody tr").first).to_contain_text("20,000")
    expect(page.locator("#now")).to_contain_text("redriven once")
    assert page.evaluate("window.neverReloaded")
    assert deployed.table() == reference(deployed.files)


def test_a_form_works_as_soon_as_it_is_seen(dashboard: Dashboard, deployed: Deployed) -> None:
    """Htmx takes its time until it attends to what it has shown; a fast hand doesn't wait."""
    deployed.upload("few", make_rows(range(10)))
    deployed.succeed()
    deployed.upload("more", make_rows(range(10, 20)))
    page = dashboard.open()
    page.evaluate("htmx.config.defaultSettleDelay = 5000")
    press_start(page)
    eventually(lambda: deployed.table() == reference(deployed.files), what="the run's rows")
    assert page.url == dashboard.url


def test_a_form_keeps_the_focus_while_the_page_updates(dashboard: Dashboard) -> None:
    page = dashboard.open()
    page.evaluate("htmx.config.defaultSettleDelay = 400")
    note = "if (e.target.id === 'dialog') window.settled = 'dialog'"
    page.evaluate(f"addEventListener('htmx:afterSettle', e => {{ {note} }})")
    page.get_by_role("button", name="Start a run").click()
    page.evaluate("window.settled = ''")
    dialog = page.get_by_role("dialog", name="Start a run")
    expect(dialog.get_by_label("Git branch")).to_be_focused()
    page.keyboard.press("Tab")
    eventually(lambda: page.evaluate("window.settled") == "dialog", what="the form's settling")
    expect(dialog.get_by_label("Incremental: files that are new or changed")).to_be_focused()


def test_a_failed_run_says_what_happened_and_what_to_do(
    dashboard: Dashboard, deployed: Deployed
) -> None:
    for number in range(3):
        deployed.upload(f"hour-{number}", make_rows(range(number * 300, number * 300 + 500)))
        deployed.succeed(name=f"uploads-{number}", trigger="s3")
    deployed.execute("ALTER TABLE forecast_data ADD CONSTRAINT small CHECK (y_50 < 50000)")
    later = MORNING + timedelta(hours=9)
    deployed.upload("refused", [make_row(1, y_50=60_000.0, updated_at=later)])
    failed = deployed.run(name="uploads-refused", trigger="s3")
    assert failed.status == "FAILED"
    eventually(lambda: (deployed.status("uploads-refused") or {}).get("status") == "failed")
    page = dashboard.open()
    now = page.locator("#now")
    expect(now).to_contain_text("BatchRefused")
    expect(now).to_contain_text("A constraint, trigger or type of the target refused a row")
    expect(now).to_contain_text('violates check constraint "small"')
    expect(now.locator("[data-progress=failed]")).to_contain_text("Load pages")
    expect(page.locator("#status")).to_contain_text("The last run failed")
    expect(page.locator("#chart")).to_be_visible()
    check_everywhere(page, "failed")
    page.get_by_role("link", name="The runbook on BatchRefused").click()
    expect(page.get_by_role("heading", name="BatchRefused")).to_be_in_viewport()
    check_everywhere(page, "runbook")
    back = page.get_by_role("link", name="Back to uploads-refused")
    expect(back).to_be_in_viewport()
    back.click()
    expect(page.locator("#now")).to_contain_text("BatchRefused")
    page.locator("#runs").get_by_role("link", name="uploads-1", exact=True).click()
    expect(page.get_by_role("heading", name="One run")).to_be_visible()
    expect(page.locator("#now")).to_contain_text("uploads-1")
    expect(page.locator("#redrive-reason")).to_have_text("Not now: it has succeeded.")


def test_a_run_shows_its_definition_and_why_it_has_read_the_whole_lake(
    dashboard: Dashboard, deployed: Deployed
) -> None:
    deployed.upload("some", make_rows(range(50)))
    deployed.succeed()
    deployed.execute("TRUNCATE forecast_data")
    deployed.upload("cut-off", b"PAR1 no more")
    deployed.succeed()
    page = dashboard.open()
    card, files = (
        page.locator("#status .card").first,
        page.get_by_role("region", name="Table of files"),
    )
    expect(card).to_contain_text("Waiting for")
    expect(card).to_contain_text("1 file isn't in the table: forecast/cut-off.parquet, since")
    expect(files.locator("tbody tr").first).to_contain_text("isn't a Parquet file")
    chosen = page.get_by_role("search", name="Files")
    chosen.get_by_label("State").select_option("loaded")
    expect(files.locator("tbody tr")).to_have_count(1)
    expect(files.locator("tbody tr")).to_contain_text("forecast/some.parquet")
    chosen.get_by_label("Key begins with").fill("forecast/cut")
    chosen.get_by_role("button", name="Show").click()
    expect(page.locator("#files")).to_contain_text("No file matches.")
    check_everywhere(page, "no-such-file")
    chosen.get_by_label("State").select_option("all")
    expect(files.locator("tbody tr")).to_contain_text("isn't a Parquet file")
    chosen.get_by_label("Key begins with").fill("")
    chosen.get_by_role("button", name="Show").click()
    expect(files.locator("tbody tr")).to_have_count(2)
    expect(page.locator("#runs tbody tr").first).to_contain_text("(1 left out)")
    expect(page.locator("#now")).to_contain_text(f"Definition {DEFINITION}")
    expect(page.locator("#now")).to_contain_text("The whole lake is read: Since run")
    page.get_by_text("columns, ").click()
    expect(page.get_by_role("region", name="Table of columns")).to_contain_text("restaurant_id")
    check_everywhere(page, "table")
    check_extremes(page, "whole-lake")


def test_rejected_rows_stand_by_reason(dashboard: Dashboard, deployed: Deployed) -> None:
    bad = [make_row(900 + n, state="OHIO") for n in range(4)]
    deployed.upload("some", [*make_rows(range(500)), *bad, make_row(950, y_50=None)])
    deployed.succeed()
    page = dashboard.open()
    rows = page.locator("#rejects tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("state is longer than 2 characters")
    expect(rows.first.locator("meter")).to_have_attribute("value", "4")
    check_extremes(page, "rejects")
    page.get_by_role("button", name="Show rows: state is longer than 2 characters").click()
    shown = page.locator("#reject-rows")
    expect(shown.get_by_role("heading")).to_have_text(
        "4 newest rows: state is longer than 2 characters"
    )
    expect(shown.locator("tbody tr").first).to_contain_text("OHIO")
    expect(shown.locator("tbody tr").first).to_contain_text("forecast/some.parquet")
    check_everywhere(page, "reject-rows")
    narrow = dashboard.open(NARROW, "dark")
    hint = narrow.locator("#rejects .hint")
    expect(hint).to_be_visible()
    narrow.get_by_role("button", name="Show rows: y_50 is NULL").focus()
    narrow.keyboard.press("Enter")
    expect(narrow.locator("#reject-rows tbody tr")).to_have_count(1)
    expect(narrow.locator("#reject-rows tbody tr")).to_contain_text("NULL")
    check(narrow, "reject-rows-360-dark")


def test_a_dry_run_shows_its_plan(dashboard: Dashboard, deployed: Deployed) -> None:
    deployed.upload("some", make_rows(range(40)))
    deployed.succeed()
    later = MORNING + timedelta(hours=1)
    bad = make_row(7, state="OHIO", updated_at=later)
    deployed.upload("more", [make_row(3, y_50=1000.0, updated_at=later), make_row(77), bad])
    ended = deployed.succeed(dry_run=True)
    page = dashboard.open()
    page.get_by_role("link", name="What it would change").click()
    plan = page.locator("#plan")
    expect(plan.get_by_role("heading", name="What this run would change")).to_be_visible()
    expect(plan).to_contain_text("Expectation broken in 1 row,")
    expect(plan).to_contain_text("state is longer than 2 characters")
    expect(plan).to_contain_text("state=OHIO")
    expect(plan).to_contain_text("read by Athena")
    expect(plan).to_contain_text("1 file to take in, 1 read beside; those that are read have")
    expect(plan.get_by_role("region", name="Table of the largest changes")).to_contain_text("1000")
    expect(page.locator(".skeleton")).to_have_count(0)
    check_everywhere(page, "plan")
    other = dashboard.open(NARROW, "dark")
    other.goto(f"{dashboard.url}?run={ended.name}")
    expect(other.locator("#plan")).to_contain_text("read by Athena")
    expect(other.locator(".skeleton")).to_have_count(0)


def test_the_list_says_why_and_the_chart_shows_what_changed(
    dashboard: Dashboard, deployed: Deployed
) -> None:
    deployed.upload("some", make_rows(range(30)))
    with deployed.held_query():
        holder = deployed.start(name=f"holder-{uuid.uuid4().hex[:6]}")
        name = holder.rpartition(":")[2]
        eventually(lambda: (deployed.status(name) or {}).get("status") == "running")
        coalesced = deployed.run()
        waiting = deployed.start(sync_type="full")
        page = dashboard.open()
        row = page.locator(f"#row-{coalesced.name}")
        expect(row).to_contain_text(f"into {name}")
        expect(row.locator(".badge")).to_have_text("coalesced")
        page.goto(f"{dashboard.url}?run={waiting.rpartition(':')[2]}")
        expect(page.locator("#now")).to_contain_text("It waits for another run.")
        expect(page.locator("#now")).to_contain_text(f"Run {name} works on this database")
        check_everywhere(page, "waiting")
        page.goto(f"{dashboard.url}?run={coalesced.name}")
        expect(page.locator("#now .badge").first).to_have_text("Coalesced")
        expect(page.locator("#now")).to_contain_text(f"{name} was ahead")
        check_extremes(page, "coalesced")
    deployed.wait(holder)
    deployed.wait(waiting)
    page.goto(dashboard.url)
    expect(page.locator("#chart")).to_be_visible()
    drawn = page.evaluate(
        "(() => { const chart = Chart.getChart('chart');"
        " return { shown: chart.data.datasets.map((d, i) => [d.label, chart.isDatasetVisible(i)]),"
        " x: chart.scales.x.ticks.map(t => String(t.label)),"
        " y: chart.scales.y.ticks.map(t => String(t.label)) }; })()"
    )
    assert dict(drawn["shown"]) == {
        "inserted": True,
        "updated": True,
        "unchanged": False,
        "rejected": True,
    }
    assert len(set(drawn["y"])) == len(drawn["y"])
    minutes = [label for label in drawn["x"] if ":" in label]
    assert len(set(minutes)) == len(minutes)


def test_a_redrive_that_could_only_fail_is_not_offered(
    dashboard: Dashboard, deployed: Deployed
) -> None:
    deployed.upload("some", make_rows(range(30)))
    deployed.succeed()
    deployed.execute("ALTER TABLE forecast_data ADD CONSTRAINT small CHECK (y_50 < 50000)")
    later = MORNING + timedelta(hours=9)
    deployed.upload("refused", [make_row(1, y_50=60_000.0, updated_at=later)])
    failed = deployed.run()
    eventually(lambda: (deployed.status(failed.name) or {}).get("status") == "failed")
    page = dashboard.open()
    page.goto(f"{dashboard.url}?run={failed.name}")
    expect(page.locator("#redrive-button")).to_be_enabled()
    expect(page.locator("#now")).not_to_contain_text("AWS console")
    deployed.execute("ALTER TABLE forecast_data DROP CONSTRAINT small")
    after = deployed.succeed()
    expect(page.locator("#redrive-button")).to_be_disabled()
    expect(page.locator("#redrive-reason")).to_have_text(
        f"Not now: {after.name} has written or succeeded since; start a new run."
    )
    check_everywhere(page, "overtaken")


def test_what_does_not_fit_is_said_at_its_field(dashboard: Dashboard) -> None:
    page = dashboard.open()
    page.get_by_role("button", name="Start a run").click()
    dialog = page.get_by_role("dialog", name="Start a run")
    check_everywhere(page, "start")
    dialog.get_by_label("Rows per batch").fill("0")
    dialog.get_by_role("button", name="Start the run").click()
    field = dialog.get_by_label("Rows per batch")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    check_everywhere(page, "start-refused")
    field.fill("10")
    dialog.get_by_label("Git branch").fill("main")
    dialog.get_by_role("button", name="Start the run").click()
    expect(dialog.get_by_role("alert")).to_contain_text("belongs to production")
    narrow = dashboard.open(NARROW)
    narrow.get_by_role("button", name="Start a run").click()
    expect(narrow.get_by_role("dialog")).to_be_visible()
    check(narrow, "start-360-light")


def test_without_answers_it_says_so_and_recovers_by_itself(dashboard: Dashboard) -> None:
    page = dashboard.open()
    expect(page.locator("#connection")).to_have_text("Live")
    page.context.set_offline(True)
    expect(page.locator("#offline")).to_be_visible()
    expect(page.locator("#connection")).to_have_text("Offline")
    check_everywhere(page, "offline")
    page.context.set_offline(False)
    expect(page.locator("#offline")).to_be_hidden()
    expect(page.locator("#connection")).to_have_text("Live")
    assert all("htmx:" in text for text in dashboard.complaints), "only that nobody answered"
    dashboard.complaints.clear()


def test_loading_is_drawn_until_the_answer_comes(dashboard: Dashboard) -> None:
    context = dashboard.browser.new_context(viewport={"width": NARROW, "height": 900})
    page = context.new_page()
    for part in ("status", "now", "runs", "rejects"):
        page.route(f"**/{part}", lambda _: None)
    page.goto(dashboard.address)
    expect(page).to_have_url(dashboard.url)
    expect(page.get_by_text("Loading").first).to_be_attached()
    check(page, "loading-360-light")
    context.close()


def test_an_unreachable_database_or_api_is_shown_in_its_place(
    dashboard: Dashboard, deployed: Deployed
) -> None:
    deployed.upload("few", make_rows(range(20)))
    deployed.succeed()
    name = deployed.query("SELECT current_database()")[0][0]
    deny = f"ALTER DATABASE {name} ALLOW_CONNECTIONS "
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    deployed.execute(deny + "false", branch="main")
    deployed.execute(end, branch="main")
    try:
        page = dashboard.open()
        expect(page.locator("#status")).to_contain_text("Unreachable")
        expect(page.locator("#now")).to_contain_text("The database couldn't be reached")
        expect(page.locator("#rejects")).to_contain_text("This can't be shown right now.")
        # The list of runs asks no database.
        expect(page.locator("#runs tbody tr").first).to_contain_text("20")
        check_extremes(page, "unreachable")
    finally:
        deployed.execute(deny + "true", branch="main")
    page.evaluate("htmx.trigger(document.body, 'changed')")
    expect(page.locator("#status")).to_contain_text("Fresh")
