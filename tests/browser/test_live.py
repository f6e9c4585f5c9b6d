"""The badge is live only while data comes from the deployment, whatever else still answers."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack

from localcloud import cloud
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Dashboard, check_everywhere, check_extremes, serving

SAID_SECONDS = 10.0
"""After the end of the cloud."""


def expect_no_data(page: Page, since: float) -> None:
    left = SAID_SECONDS - (time.monotonic() - since)
    expect(page.locator("#connection")).to_have_text("No data", timeout=left * 1000)
    expect(page.locator("#no-data")).to_be_visible()
    expect(page.locator("#no-data")).to_contain_text("What is below is from")
    expect(page.locator("#now")).to_contain_text("Nothing has ever run here.")
    expect(page.locator("#status")).to_contain_text("Never synced")


def expect_how_to_begin(page: Page) -> None:
    expect(page.locator("#runs")).to_contain_text("No runs yet.")
    expect(page.locator("#rejects")).to_contain_text("No open rejects.")
    expect(page.locator("#status")).to_contain_text("Never synced")


def test_when_the_cloud_is_gone_the_page_says_so_within_ten_seconds(chromium: Browser) -> None:
    """First it hangs, then it answers again, then it ends."""
    with ExitStack() as stack:
        with ExitStack() as life:
            own = life.enter_context(cloud.running(wait_scale=0.04))
            address = stack.enter_context(serving(own.variables))
            dashboard = Dashboard(address, address.partition("?")[0], chromium)
            page = dashboard.open()
            stack.callback(page.context.close)
            expect(page.locator("#connection")).to_have_text("Live")
            expect_how_to_begin(page)
            check_extremes(page, "empty")
            os.kill(own.pid, signal.SIGSTOP)
            try:
                expect_no_data(page, time.monotonic())
                check_everywhere(page, "no-data")
            finally:
                os.kill(own.pid, signal.SIGCONT)
            expect(page.locator("#connection")).to_have_text("Live")
            expect(page.locator("#no-data")).to_be_hidden()
        expect_no_data(page, time.monotonic())
        expect(page.locator("#no-data")).to_contain_text(own.endpoint_url)


def test_a_run_that_does_not_exist_is_no_end_of_the_cloud(dashboard: Dashboard) -> None:
    page = dashboard.open()
    page.goto(f"{dashboard.url}?run=never-was")
    expect(page.locator("#now")).to_contain_text("There is no run never-was")
    expect(page.locator("#connection")).to_have_text("Live")
