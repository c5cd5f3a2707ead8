"""A real headless browser for the page, or a skip that says how to get one."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from lc_otel._finished import read_span
from lc_otel._page import build_page
from lc_otel._trace import group_traces
from tests import agent_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lc_otel._trace import Trace

_CURE = "apt-get install chromium chromium-driver, and pip install selenium"
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1440,900",
)


# keys, as WebDriver spells them
LEFT, UP, RIGHT, DOWN = "\ue012", "\ue013", "\ue014", "\ue015"
END, HOME, ESCAPE = "\ue010", "\ue011", "\ue00c"
PAGE_UP, PAGE_DOWN = "\ue00e", "\ue00f"


class NoBrowserError(Exception):
    """There is no browser to drive; the message says what to install."""


def start_browser(profile: Path) -> Any:
    """Start a headless browser; a context manager.

    Raises:
        NoBrowserError: selenium, Chromium or its driver is not there.
    """
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        raise NoBrowserError(f"no selenium here: {_CURE}") from None
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        raise NoBrowserError(f"no Chromium here: {_CURE}")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(chromedriver))


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser of this session, with a profile of its own."""
    try:
        browser = start_browser(tmp_path_factory.mktemp("profile"))
    except NoBrowserError as missing:
        if os.environ.get("LC_OTEL_REQUIRE_BROWSER") == "1":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    with browser:
        yield browser


class Page:
    """What a user sees and does, in the test's words."""

    def __init__(self, driver: Any, traces: list[Trace]) -> None:
        self.driver = driver
        self.traces = traces

    def js(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page, as its user's console would."""
        return self.driver.execute_script(script, *arguments)

    def press(self, *keys: str) -> None:
        """Type keys, one after another."""
        from selenium.webdriver.common.action_chains import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def click(self, selector: str) -> None:
        """Click the first element that a CSS selector finds."""
        self.driver.find_element("css selector", selector).click()

    def text(self, selector: str) -> str:
        """All text in the first element a selector finds, as it stands in the document."""
        found: str = self.js("return document.querySelector(arguments[0]).textContent", selector)
        return found

    def texts(self, selector: str) -> list[str]:
        """The text of every element a selector finds."""
        found: list[str] = self.js(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector
        )
        return found

    def names(self) -> list[str]:
        """The names of the rows in sight."""
        return self.texts("#spans .text")

    def chosen(self) -> str | None:
        """The name in the chosen row, if there is one."""
        found = self.texts("#spans [aria-selected=true] .text")
        return found[0] if found else None

    def search(self, query: str) -> None:
        """Type into the search box, and wait until it took effect."""
        from selenium.webdriver.common.keys import Keys

        box = self.driver.find_element("id", "search")
        box.clear()
        box.send_keys(query, Keys.SPACE, Keys.BACKSPACE)
        self.wait("return state.query === arguments[0]", query.strip())
        time.sleep(0.3)  # the page waits 0.12 s for more keys

    def wait(self, script: str, *arguments: Any) -> None:
        """Wait until a script returns something true."""
        deadline = time.monotonic() + 10
        while not self.js(script, *arguments):
            assert time.monotonic() < deadline, f"never true: {script}"
            time.sleep(0.02)


OpenPage: TypeAlias = "Callable[..., Page]"
"""What `open_page` gives: span trees in, the page in the browser out."""


@pytest.fixture
def open_page(driver: Any, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Build a page of span trees, open it from disk; its console must stay silent."""

    def open_it(*roots: agent_trace.Node, source: str = "traces.jsonl", hash: str = "") -> Page:  # noqa: A002 - the browser's word
        traces = group_traces(map(read_span, agent_trace.build(*roots)))
        path = tmp_path / "page.html"
        path.write_text("".join(build_page(traces, source)), encoding="utf-8")
        driver.get("about:blank")
        driver.get_log("browser")
        driver.get(path.as_uri() + hash)
        return Page(driver, traces)

    yield open_it
    assert driver.get_log("browser") == []
