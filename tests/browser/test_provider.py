"""The chat against a real service on a socket, in the browser: the main actions, and each way a provider can fail."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.actions import answers, ask, body, expect_version, shown, source, wait_until_done
from tests.browser.conftest import Visit
from tests.provider_server import ProviderServer
from tests.server import Server

DEADLINES = {"CONNECT_SECONDS": "2", "FIRST_TOKEN_SECONDS": "2", "IDLE_SECONDS": "1.5", "TOTAL_SECONDS": "30"}


@pytest.fixture(scope="module")
def server(provider: ProviderServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), OPENAI_BASE_URL=provider.base_url, **DEADLINES) as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    visit = Visit(browser, server, server.log.with_name("state.json"), viewport={"width": 1280, "height": 800})
    yield visit.page()
    visit.context.close()
    assert visit.problems == []


@pytest.mark.parametrize(
    ("scenario", "partial"),
    [
        ("401", False),
        ("404", False),
        ("429-3600", False),
        ("500-html", False),
        ("html", False),
        ("silence", False),
        ("stall-3", True),
        ("cut-3", True),
        ("eof-3", True),
        ("error-event", True),
    ],
)
def test_a_fault_ends_in_a_sentence_with_retry(page, scenario, partial):
    ask(page, f"A question [[scenario={scenario}]]")
    wait_until_done(page)
    answer = answers(page).last
    expect(answer.locator(".notice.error")).to_contain_text(re.compile(r"\w+ \w+ \w+"))
    expect(answer.get_by_role("button", name="Retry")).to_be_visible()
    expect(answer.get_by_role("button", name="Continue")).to_have_count(1 if partial else 0)
    assert bool(shown(page)) is partial
    before = shown(page)
    page.reload()
    assert shown(page) == before
    expect(answers(page).last.locator(".notice.error")).to_be_visible()


def test_send_stop_continue_regenerate_and_edit(page):
    ask(page, "A long one [[scenario=paced-50]] [[length=300]]")
    expect(body(page)).not_to_be_empty()
    page.get_by_role("button", name="Stop", exact=True).click()
    wait_until_done(page)
    partial = source(page)
    assert partial
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".stream")).to_have_count(1)
    wait_until_done(page)
    assert source(page).startswith(partial)
    assert len(source(page)) > len(partial)
    page.get_by_role("button", name="Regenerate").click()
    expect_version(page, "2/2")
    page.keyboard.press("Escape")
    wait_until_done(page)
    page.locator("article.user").hover()
    page.get_by_role("link", name="Edit this message").click()
    page.get_by_role("textbox", name="Your message in other words").fill("Shorter [[scenario=fast]]")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator("article.user")).to_contain_text("Shorter")
    wait_until_done(page)
    expect_version(page, "2/2", role="user")


def test_retry_after_a_fault_answers(page):
    ask(page, "A question [[scenario=401x1]]")
    wait_until_done(page)
    answers(page).last.get_by_role("button", name="Retry").click()
    expect_version(page, "2/2")
    wait_until_done(page)
    assert len(shown(page)) > 50
    expect(answers(page).last.locator(".notice.error")).to_have_count(0)
