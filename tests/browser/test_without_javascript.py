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


def test_enter_in_the_field_of_a_tag_adds_the_tag(page):
    send(page, f"To be tagged {FAST} [[length=10]]")
    wait_until_done(page)
    page.goto("/conversations/")
    page.locator("#bulk [name=ids]").first.check()
    tag = page.get_by_role("combobox", name="Tag", exact=True)
    tag.fill("by-enter")
    tag.press("Enter")
    expect(page.locator(".flash")).to_contain_text("Done with 1 conversation.")
    expect(page.locator(".managed li").first.locator(".badge")).to_have_text(["by-enter"])


def test_enter_in_the_name_of_a_preset_makes_it_and_elsewhere_saves(page):
    page.goto("/c/new/settings/")
    name = page.get_by_role("textbox", name="Name of a new preset")
    name.fill("By Enter")
    name.press("Enter")
    expect(page.locator(".flash")).to_contain_text("Saved.")
    page.goto("/c/new/settings/")
    expect(page.locator(".presets summary")).to_have_text(["By Enter"])
    limit = page.get_by_label("Longest answer")
    limit.fill("123")
    limit.press("Enter")
    expect(page.locator(".flash")).to_contain_text("Saved.")
    page.goto("/c/new/settings/")
    expect(limit).to_have_value("123")
    limit.fill("")
    limit.press("Enter")
    expect(page.locator(".flash")).to_contain_text("Saved.")
    page.goto("/settings/")
    page.locator(".presets summary").click()
    page.get_by_role("button", name="Delete the preset By Enter").click()


def test_the_page_stays_for_who_writes_while_an_answer_runs(page):
    send(page, "A long one [[speed=30]] [[length=900]]")
    reloads = page.locator("meta[http-equiv=refresh]")
    expect(reloads).to_have_count(1)
    page.get_by_role("link", name="Let it stay, to write").click()
    expect(page.get_by_role("link", name="Show what has been written since")).to_be_visible()
    expect(reloads).to_have_count(0)
    send(page, f"A thought of my own {FAST} [[length=10]]")
    expect(page.get_by_role("region", name="Waiting messages")).to_contain_text("A thought of my own")
    expect(reloads).to_have_count(1)
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="Remove this waiting message").click()
    wait_until_done(page)


def test_a_file_goes_without_a_text(page):
    page.get_by_role("button", name="Attach files").click()
    page.locator("#pick").set_input_files([{"name": "a.txt", "mimeType": "text/plain", "buffer": b"some words"}])
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("article.user .files")).to_contain_text("a.txt")
    wait_until_done(page)
