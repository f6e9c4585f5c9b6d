"""A real Chromium, a local cloud, and the dashboard as the command serves it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, expect

from tests.e2e.cli import COMMAND, clean_environment
from tests.waiting import eventually
from tests.workflow.deployed import Deployed

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("dark", "light")

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
KEEPS_SCREENSHOTS = bool(os.environ.get("SCREENSHOTS"))
"""Nothing compares them, they are for people and take a fifth of the time."""
WIDE, NARROW = 1440, 360
AXE = Axe()
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOR_RULES = ["color-contrast", "link-in-text-block"]
"""Those of them that can end differently in a page of which only the colors have changed."""
PARTS = ("#status", "#now", "#runs", "#table", "#files", "#rejects")

# Four fragments requested at once may start four functions, which is slow on a busy machine.
expect.set_options(timeout=30_000)


@dataclass
class Dashboard:
    """The printed address, the page it leads to, and pages that report what they requested."""

    address: str
    url: str
    browser: Browser
    pages: list[Page] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(
        self,
        width: int = WIDE,
        scheme: Scheme = "light",
    ) -> Page:
        """A page of this width and color scheme, with every part loaded."""
        context = self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        page = context.new_page()
        page.on("request", self._note)
        page.on("console", lambda message: self._complain(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(self.address)
        expect(page).to_have_url(self.url)
        for part in PARTS:
            expect(page.locator(f"{part} .skeleton")).to_have_count(0)
        self.pages.append(page)
        return page

    def _note(self, request: Request) -> None:
        self.asked.append(request.url)

    def _complain(self, kind: str, text: str) -> None:
        # That a form was refused is for the form to say; the browser notes each such answer too.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.complaints.append(text)


def check(page: Page, name: str, rules: Sequence[str] = AXE_RULES) -> None:
    """Nothing wider than the page, nothing that axe finds, and a screenshot if one is wanted."""
    if KEEPS_SCREENSHOTS:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        is_whole = not page.locator("dialog[open]").count()
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=is_whole)
    viewport = page.viewport_size
    assert viewport is not None
    # A new width has its effect on the chart and on scripts one frame later.
    eventually(
        lambda: page.evaluate("document.documentElement.scrollWidth") <= viewport["width"],
        5,
        f"{name}, nothing wider than {viewport['width']} px,",
    )
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.axe_script)
    options = {"runOnly": rules, "resultTypes": ["violations"]}
    findings = page.evaluate("async options => (await axe.run(options)).violations", options)
    violations = [(found["id"], [node["target"] for node in found["nodes"]]) for found in findings]
    assert violations == [], name


def check_extremes(page: Page, name: str) -> None:
    """The same state wide and light, then narrow and dark; then the page is as it was."""
    check(page, f"{name}-{WIDE}-light")
    page.set_viewport_size({"width": NARROW, "height": 900})
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    check(page, f"{name}-{NARROW}-dark")
    page.set_viewport_size({"width": WIDE, "height": 900})
    page.emulate_media(color_scheme="light", reduced_motion="reduce")


def check_everywhere(page: Page, name: str) -> None:
    """The same state at both widths, light and dark; then the page is as it was."""
    for width in (NARROW, WIDE):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme, rules in zip(SCHEMES, (AXE_RULES, COLOR_RULES), strict=True):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            check(page, f"{name}-{width}-{scheme}", rules)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")


@pytest.fixture(scope="session")
def served(_deployed: Deployed) -> Iterator[str]:
    """The address that `forecast-sync dashboard` prints."""
    with serving(_deployed.cloud.variables) as address:
        yield address


@contextmanager
def serving(variables: Mapping[str, str]) -> Iterator[str]:
    """A dashboard of its own; the address that it prints."""
    process = subprocess.Popen(
        [COMMAND, "dashboard", "--port", "0"],
        env=clean_environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}", url), process.communicate()
    yield url
    process.terminate()
    _, output = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in output


@pytest.fixture
def dashboard(chromium: Browser, deployed: Deployed, served: str) -> Iterator[Dashboard]:  # noqa: ARG001
    """The dashboard of an empty deployment."""
    with visiting(served, chromium) as shown:
        yield shown


@contextmanager
def visiting(address: str, chromium: Browser) -> Iterator[Dashboard]:
    """The dashboard at an address; nothing comes from outside, and nothing complains."""
    shown = Dashboard(address, address.partition("?")[0], chromium)
    yield shown
    for page in shown.pages:
        page.context.close()
    assert [url for url in shown.asked if not url.startswith((shown.url, "data:"))] == []
    assert shown.complaints == []
