"""The dashboard of a stack with several tables: from memory in every state, and once for real."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from forecast_sync_cli.dashboard.app import make_app
from forecast_sync_cli.dashboard.security import Keys
from forecast_sync_cli.dashboard.server import address_of, listen
from hypercorn.asyncio import serve
from hypercorn.config import Config
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Dashboard, check_everywhere
from tests.stack_in_memory import StackInMemory


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
    """The dashboard of a stack in memory; nothing comes from outside, and nothing complains."""
    with in_thread(stack) as address:
        shown = Dashboard(address, address.partition("?")[0], chromium)
        yield shown
        for page in shown.pages:
            page.context.close()
        assert [url for url in shown.asked if not url.startswith((shown.url, "data:"))] == []
        assert shown.complaints == []


def test_all_tables_have_an_overview(several: Dashboard) -> None:
    page = several.open()
    expect(page.get_by_label("Table", exact=True)).to_have_value("")
    check_everywhere(page, "all-tables")
