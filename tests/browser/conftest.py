"""A real Chromium that drives a real server. Console errors and policy violations fail the test they happen in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.server import Server

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
OFFLINE = (
    "net::ERR_",
    "Failed to fetch",
    "network error",
)  # what tests do to the network; those that do not look for it themselves
VIOLATED = """addEventListener('securitypolicyviolation', (event) => console.error(
  ['policy violated:', event.effectiveDirective, event.blockedURI, event.sample, event.sourceFile].join(' ')
))"""
EXPECTED = (
    "the server responded with a status of",  # Chromium reports each refused request, also those a test wants
    "Service Worker registration blocked by Playwright",  # only the tests of it have one: it would hide requests
)

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
        browser.new_context = _watched(browser.new_context)
        yield browser
        browser.close()


wrong: list[str] = []  # in any page of any context, since the test began


def _watched(new_context: Callable[..., BrowserContext]) -> Callable[..., BrowserContext]:
    """Make contexts that note violations of the policy, errors in the console and exceptions of all of their pages."""

    def watched(**options) -> BrowserContext:
        context = new_context(**options)
        context.add_init_script(VIOLATED)
        context.on("console", lambda message: note(message.text) if message.type == "error" else None)
        context.on("weberror", lambda error: note(f"exception: {error.error}"))
        return context

    def note(text: str) -> None:
        if not any(expected in text for expected in (*OFFLINE, *EXPECTED)):
            wrong.append(text)

    return watched


@pytest.fixture(autouse=True)
def _nothing_goes_wrong_in_any_page() -> Iterator[None]:
    wrong.clear()
    yield
    assert wrong == []


@pytest.fixture(scope="session")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with the demo model for all browser tests that do not harm it."""
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


class Visit:
    """A browser context signed in as the owner, and what went wrong in it."""

    def __init__(self, browser: Browser, server: Server, state: Path, **options) -> None:
        if not state.exists():
            with browser.new_context() as context:
                page = context.new_page()
                page.goto(server.link)
                context.storage_state(path=state)
        self.server = server
        options = {"service_workers": "block", **options}
        self.context: BrowserContext = browser.new_context(base_url=server.url, storage_state=state, **options)
        self.problems: list[str] = []

    def page(self, path: str = "/") -> Page:
        page = self.context.new_page()
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.goto(path)
        return page

    def _note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not any(expected in text for expected in EXPECTED):
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
