"""The admin as a reviewer drives it: reason, transcript, flag, note, resolved; a stream is watched and stopped."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import FAST, ask, body, wait_until_done
from tests.browser.conftest import Visit
from tests.browser.test_accessibility import AXE, look

MAKE_REVIEWER = """
from django.contrib.auth.models import Group
from chatapp.accounts.models import User
from chatapp.accounts.owner import sign_in_path
user, _ = User.objects.get_or_create(username="rita", defaults={"is_staff": True})
user.groups.set(Group.objects.filter(name__in=["reviewer", "operator"]))
print("path:" + sign_in_path(user))
"""
SIZES = ((390, 844), (820, 1180), (1440, 900))


@pytest.fixture
def reviewer(browser, demo_server, tmp_path: Path) -> Iterator[Page]:
    """A page of somebody with the roles reviewer and operator; what it says in the console fails the test."""
    path = re.search(r"path:(\S+)", demo_server.manage("shell", "-c", MAKE_REVIEWER))[1]
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{demo_server.url}{path}")
        if page.get_by_role("button", name="Sign in").count():
            page.get_by_role("button", name="Sign in").click()
        context.storage_state(path=tmp_path / "state.json")
    visit = Visit(browser, demo_server, tmp_path / "state.json", viewport={"width": 1280, "height": 800})
    yield visit.page("/admin/")
    visit.context.close()
    assert visit.problems == []


def look_at(page: Page, name: str) -> None:
    """Nobody is kept out, nothing sticks out, in each size and theme; `SHOTS` names a folder for pictures."""
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(AXE)
    for theme in ("light", "dark"):
        assert look(page, theme) == [], (name, theme)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
            if folder := os.environ.get("SHOTS"):
                page.screenshot(path=f"{folder}/{name}-{width}-{theme}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1280, "height": 800})


def conversation_of(page: Page) -> str:
    return re.search(r"/c/([0-9a-f-]{36})/", page.url)[1]


def test_a_reviewer_goes_from_a_reason_to_a_resolved_flag(page, reviewer):
    ask(page, f"What about the secret marmalade? [[length=60]] {FAST}")
    wait_until_done(page)
    answer = body(page).locator("p").all_inner_texts()
    name = conversation_of(page)
    look_at(reviewer, "index")
    reviewer.locator('main a[href="/admin/conversations/conversation/"]').first.click()
    expect(reviewer.locator("#result_list")).not_to_contain_text("marmalade")
    look_at(reviewer, "conversations")
    reviewer.goto(f"/admin/conversations/conversation/{name}/change/")
    expect(reviewer.get_by_role("heading", name="This conversation is masked")).to_be_visible()
    look_at(reviewer, "masked")
    reviewer.get_by_label("Why do you need to read this conversation?").fill("A complaint by phone")
    reviewer.get_by_role("button", name="Open the transcript").click()
    expect(reviewer.locator("article.user .bubble")).to_contain_text("secret marmalade")
    assert reviewer.locator("article.assistant [id$='-body'] p").all_inner_texts() == answer
    look_at(reviewer, "transcript")
    reviewer.locator("article.assistant summary", has_text="Flag").click()
    reviewer.locator("article.assistant").get_by_label("Reason").select_option("harmful")
    reviewer.locator("article.assistant").get_by_role("button", name="Raise the flag").click()
    expect(reviewer.get_by_role("heading", name="Harmful content")).to_be_visible()
    reviewer.get_by_role("button", name="Take").click()
    reviewer.get_by_role("textbox", name="Note").fill("Asked a colleague")
    reviewer.get_by_role("button", name="Add the note").click()
    expect(reviewer.locator(".notes")).to_contain_text("Asked a colleague")
    look_at(reviewer, "flag")
    reviewer.get_by_role("navigation", name="Breadcrumbs").get_by_role("link", name="Review queue").click()
    expect(reviewer.locator("#result_list")).to_contain_text("Harmful content")
    look_at(reviewer, "queue")
    reviewer.get_by_role("link", name="Harmful content").click()
    reviewer.get_by_role("button", name="Resolve").click()
    expect(reviewer.locator(".badge.resolved")).to_be_visible()
    page.reload()
    page.get_by_text("An administrator has read this conversation").click()
    expect(page.locator(".openings")).to_contain_text("A complaint by phone")
    page.evaluate(AXE)
    assert look(page, "light") == []


def test_a_reviewer_watches_a_stream_and_stops_it(page, reviewer):
    ask(page, "Tell me slowly [[speed=60]] [[length=4000]]")
    expect(body(page)).not_to_be_empty()
    reviewer.goto(f"/admin/conversations/conversation/{conversation_of(page)}/change/")
    reviewer.get_by_label("Why do you need to read this conversation?").fill("To see what it writes")
    reviewer.get_by_role("button", name="Open the transcript").click()
    watched = reviewer.locator("article.assistant [id$='-body']")
    expect(watched).not_to_be_empty()
    before = len(watched.inner_text())
    reviewer.wait_for_function(
        "before => document.querySelector('article.assistant [id$=\"-body\"]').innerText.length > before + 40",
        arg=before,
    )
    reviewer.goto("/admin/operations/")
    look_at(reviewer, "operations")
    reviewer.go_back()
    reviewer.get_by_role("button", name="Stop it").click()
    wait_until_done(page)
    expect(reviewer.locator("article.assistant .foot")).to_contain_text("Stopped.")
    expect(reviewer.locator("article.assistant form[action*=regenerate]")).to_have_count(0)


def test_the_end_of_a_stream_brings_reviewers_no_actions(page, reviewer):
    ask(page, "Tell me [[speed=40]] [[length=600]]")
    expect(body(page)).not_to_be_empty()
    reviewer.goto(f"/admin/conversations/conversation/{conversation_of(page)}/change/")
    reviewer.get_by_label("Why do you need to read this conversation?").fill("To see how it ends")
    reviewer.get_by_role("button", name="Open the transcript").click()
    expect(reviewer.locator(".stream")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(reviewer.locator(".stream")).to_have_count(0)
    expect(reviewer.locator("article.assistant .foot")).to_contain_text("Stopped.")
    assert reviewer.locator("article.assistant .foot").locator("button, a, form").count() == 0


def test_everything_works_without_javascript(browser, demo_server, page, reviewer):
    ask(page, f"Without a script [[length=20]] {FAST}")
    wait_until_done(page)
    state = reviewer.context.storage_state()
    options = {"base_url": demo_server.url, "java_script_enabled": False, "storage_state": state}
    with browser.new_context(**options) as context:
        plain = context.new_page()
        plain.goto(f"/admin/conversations/conversation/{conversation_of(page)}/change/")
        plain.get_by_label("Why do you need to read this conversation?").fill("A question of law")
        plain.get_by_role("button", name="Open the transcript").click()
        expect(plain.locator("article.user .bubble")).to_contain_text("Without a script")
        plain.locator("article.assistant summary", has_text="Flag").click()
        plain.locator("article.assistant").get_by_role("button", name="Raise the flag").click()
        plain.get_by_role("button", name="Dismiss").click()
        expect(plain.locator(".badge.dismissed")).to_be_visible()
