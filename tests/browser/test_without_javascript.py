"""Every action is a form or a link: the chat works with scripts switched off."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import FAST, expect_version
from tests.browser.conftest import Visit


@pytest.fixture
def page(browser, demo_server) -> Iterator[Page]:
    visit = Visit(browser, demo_server, demo_server.log.with_name("state.json"), java_script_enabled=False)
    yield visit.page()
    visit.context.close()


def send(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Message").fill(text)
    page.get_by_role("button", name="Send", exact=True).click()


def wait_until_done(page: Page) -> None:
    """The page refreshes itself while an answer is being written."""
    expect(page.locator(".stream")).to_have_count(0, timeout=20_000)


def test_send_and_read(page):
    send(page, "Hello [[speed=60]] [[length=100]]")
    expect(page.locator("article.user")).to_contain_text("Hello")
    wait_until_done(page)
    assert len(page.locator("article.assistant [id$='-body']").inner_text()) > 50


def test_stop_regenerate_versions_and_continue(page):
    send(page, "Stop me [[speed=30]] [[length=600]]")
    page.get_by_role("button", name="Stop", exact=True).click()
    wait_until_done(page)
    expect(page.locator("article.assistant")).to_contain_text("Stopped")
    page.get_by_role("button", name="Regenerate").click()
    page.get_by_role("button", name="Stop", exact=True).click()
    wait_until_done(page)
    expect_version(page, "2/2")
    page.get_by_role("button", name="Previous version").click()
    expect_version(page, "1/2")


def test_edit(page):
    send(page, f"Old words {FAST} [[length=10]]")
    wait_until_done(page)
    page.get_by_role("link", name="Edit this message").click()
    page.get_by_role("textbox", name="Your message in other words").fill(f"New words {FAST} [[length=10]]")
    page.get_by_role("button", name="Ask again").click()
    wait_until_done(page)
    expect(page.locator("article.user")).to_contain_text("New words")


def test_an_empty_message_is_refused_with_a_sentence(page):
    send(page, "   ")
    expect(page.locator("#composer-hint")).to_contain_text("Write a message first.")


def test_theme_rename_and_delete(page):
    page.get_by_role("button", name=re.compile("Account")).click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    send(page, f"To be deleted {FAST} [[length=10]]")
    wait_until_done(page)


def test_choose_a_language(page):
    for language in ("zh-hans", "en"):  # it is kept with the user, whom all tests share
        page.locator("#account-menu").evaluate("menu => menu.removeAttribute('popover')")  # opens by the browser itself
        page.locator("#language").select_option(language)
        page.locator(".language button").click()
        expect(page.locator("html")).to_have_attribute("lang", language)
