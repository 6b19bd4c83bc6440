"""A real Chromium that drives a real server. Console errors and policy violations fail the test they happen in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.server import Server

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
EXPECTED = "the server responded with a status of"  # Chromium reports each refused request, also those a test wants

expect.set_options(timeout=10_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Chromium: .ci/run installs it")
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with the demo model for all browser tests that do not harm it."""
    server = Server(tmp_path_factory.mktemp("server"))
    server.prepare()
    server.start()
    yield server
    server.close()


class Visit:
    """A browser context signed in as the owner, and what went wrong in it."""

    def __init__(self, browser: Browser, server: Server, state: Path, **options) -> None:
        if not state.exists():
            with browser.new_context() as context:
                page = context.new_page()
                page.goto(server.link)
                context.storage_state(path=state)
        self.server = server
        self.context: BrowserContext = browser.new_context(base_url=server.url, storage_state=state, **options)
        self.problems: list[str] = []

    def page(self, path: str = "/") -> Page:
        page = self.context.new_page()
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.goto(path)
        return page

    def _note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and EXPECTED not in text:
            self.problems.append(f"{kind}: {text}")


@pytest.fixture
def visit(browser: Browser, demo_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """A signed-in visit to the demo server; a console message at its end is a failure."""
    visit = Visit(
        browser, demo_server, demo_server.log.with_name("state.json"), viewport={"width": 1280, "height": 800}
    )
    yield visit
    visit.context.close()
    assert visit.problems == []


@pytest.fixture
def page(visit: Visit) -> Page:
    return visit.page()
