"""What the page does by itself, or late, disturbs nobody who is at work in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.actions import FAST, ask, body, enter, wait_until_done

SHORT = f"{FAST} [[length=10]]"
ANSWER = "[id$='-body']"


@pytest.fixture
def running(page: Page) -> Iterator[Page]:
    """A page on which an answer is being written, for as long as the test takes."""
    ask(page, "A long one [[speed=40]] [[length=3000]]")
    expect(body(page)).not_to_be_empty()
    yield page
    page.unroute_all()
    page.locator("#stop").evaluate("form => form.requestSubmit()")
    wait_until_done(page)


@pytest.fixture
def answered(page: Page) -> Page:
    ask(page, f"A short one {SHORT}")
    wait_until_done(page)
    return page


def more_arrives(page: Page, times: int = 3) -> None:
    """Wait for frames of the running answer."""
    script = "([selector, before]) => document.querySelector(selector).textContent.length > before"
    for _ in range(times):
        before = page.locator(ANSWER).last.evaluate("body => body.textContent.length")
        page.wait_for_function(script, arg=[ANSWER, before])


def open_rename(page: Page):
    row = page.locator("#conversations .row").first
    row.hover()
    row.locator(".options").click()
    page.locator("#item-menu").get_by_text("Rename", exact=True).click()
    field = page.locator(".rename-row input[name=title]")
    expect(field).to_be_focused()
    return field


def selected(field) -> str:
    return field.evaluate("field => field.value.slice(field.selectionStart, field.selectionEnd)")


def test_a_title_is_changed_in_place_while_an_answer_streams(running):
    field = open_rename(running)
    assert selected(field) == field.input_value() != ""
    for word in ("My ", "own ", "words"):
        running.keyboard.type(word)
        more_arrives(running)
    expect(field).to_have_value("My own words")
    running.keyboard.press("Escape")
    expect(field).to_have_count(0)
    expect(running.locator(".stream")).to_have_count(1)


def test_escape_empties_the_search_and_stops_no_answer(running):
    asked = []
    running.on("request", lambda request: asked.append(request.url))
    search = running.get_by_role("searchbox", name="Search conversations")
    search.fill("something")
    search.press("Escape")
    expect(search).to_have_value("")
    more_arrives(running)
    assert [url for url in asked if url.endswith("/stop/")] == []


def test_the_palette_stays_where_it_is_scrolled_and_repeats_nothing(running):
    running.set_viewport_size({"width": 1000, "height": 420})
    running.keyboard.press("Control+k")
    expect(running.locator("#palette-found [role=option]").first).to_be_visible()
    options = running.locator("#palette-list")
    running.mouse.move(5, 5)
    top = options.evaluate("list => { list.scrollTop = list.scrollHeight; return list.scrollTop; }")
    assert top > 0
    running.evaluate("""() => {
      window.said = 0;
      const count = (records) => { said += records.length; };
      new MutationObserver(count).observe(document.querySelector('#palette-status'), { childList: true });
    }""")
    more_arrives(running)
    assert options.evaluate("list => list.scrollTop") == top
    assert running.evaluate("said") == 0
    running.keyboard.press("Escape")


def test_a_message_that_sends_itself_leaves_a_title_being_changed(page):
    ask(page, "A long one [[speed=40]] [[length=200]]")
    enter(page, f"The next {SHORT}")
    expect(page.locator("#queue li")).to_have_count(1)
    field = open_rename(page)
    field.fill("My own words")
    expect(page.locator("article.user")).to_have_count(2, timeout=30_000)
    wait_until_done(page)
    expect(field).to_be_focused()
    expect(field).to_have_value("My own words")
    page.keyboard.press("Enter")
    expect(page.locator("#title")).to_have_text("My own words")
    expect(page).to_have_title("My own words · Stillwater")


def test_the_menu_that_was_asked_for_last_is_the_one_that_is_shown(answered):
    page = answered
    page.goto("/")
    ask(page, f"Another {SHORT}")
    wait_until_done(page)
    first, second = (page.locator("#conversations .row").nth(number) for number in range(2))
    slow = first.get_attribute("id").removeprefix("row-")
    given_up: list[str] = []
    page.on("requestfailed", lambda request: given_up.append(request.url))
    page.route(f"**/{slow}/options/", lambda _route: None)  # no answer comes
    first.hover()
    first.locator(".options").click()
    second.hover()
    second.locator(".options").click()
    menu = page.locator("#item-menu [data-options]")
    expect(menu).to_have_attribute("data-options", second.get_attribute("id").removeprefix("row-"))
    assert [url for url in given_up if slow in url] != []
    expect(page.locator("#composer-hint")).to_be_empty()


def test_a_form_that_comes_late_takes_the_focus_from_nobody(answered):
    page = answered
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/edit/", hold)
    with page.expect_request("**/edit/"):
        page.get_by_role("link", name="Edit this message").click()
    page.locator("#text").click()
    page.keyboard.type("I wri")
    held[0].continue_()
    expect(page.locator(".edit textarea")).to_be_visible()
    page.keyboard.type("te")
    expect(page.locator("#text")).to_have_value("I write")
    page.locator("[data-cancel]").click()
    page.unroute_all()
    page.get_by_role("link", name="Edit this message").click()
    expect(page.locator(".edit textarea")).to_be_focused()


def test_what_tells_of_the_window_stays_open_when_an_answer_ends(page):
    ask(page, "A long one [[speed=40]] [[length=120]]")
    window = page.locator("#window")
    before = window.get_attribute("data-used")
    page.locator(".window-button").click()
    expect(page.locator("#window-panel")).to_be_visible()
    wait_until_done(page)
    expect(window).not_to_have_attribute("data-used", before)
    expect(page.locator("#window-panel")).to_be_visible()
    expect(page.locator(".window-button")).to_be_focused()
    again = window.get_attribute("data-used")
    ask(page, f"Once more {SHORT}")
    expect(window).not_to_have_attribute("data-used", again)


def open_settings(page: Page):
    page.locator("#settings-link").click()
    prompt = page.locator("#panel textarea[name=system_prompt]")
    expect(prompt).to_be_visible()
    return prompt


def test_text_is_selected_out_of_the_settings_which_stay_open(answered):
    page = answered
    prompt = open_settings(page)
    prompt.fill("You are a careful editor of many words. " * 3)
    box = prompt.bounding_box()
    page.mouse.move(box["x"] + 150, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] - 200, box["y"] + 22, steps=4)
    page.mouse.up()
    expect(prompt).to_be_visible()
    assert selected(prompt) != ""
    page.mouse.click(box["x"] - 200, box["y"] + 22)
    expect(prompt).to_be_hidden()


def test_the_settings_say_themselves_what_went_wrong(answered):
    page = answered
    prompt = open_settings(page)
    prompt.fill("Be brief")
    page.route("**/settings/", lambda route: route.fulfill(status=500, body="<!doctype html>"))
    save = page.locator("#panel").get_by_role("button", name="Save", exact=True)
    save.click()
    said = page.locator("#panel-hint")
    expect(said).to_contain_text("The server could not do this (500)")
    page.unroute_all()
    save.click()
    expect(page.locator("#panel").get_by_role("status")).to_contain_text("Saved.")
    expect(said).to_be_empty()


def test_copying_after_the_sign_in_has_ended_says_so(visit, answered):
    page = answered
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("navigator.clipboard.writeText('what was there')")
    visit.context.clear_cookies(name="sessionid")
    page.locator("article.assistant .copy-answer").click()
    expect(page.locator("#composer-hint")).to_contain_text("You are signed out")
    assert page.evaluate("navigator.clipboard.readText()") == "what was there"


# Somebody works at it, for as long as the test takes.
PENDING = """
from datetime import timedelta
from django.contrib.auth import get_user_model
from django.utils import timezone
from conversations.models import Job
job = Job(owner=get_user_model().objects.get(username="owner"), kind="export", parameters={"format": "json"})
job.status, job.lease_expires_at = "running", timezone.now() + timedelta(seconds=30)
job.save()
print(job.pk)
"""


def test_the_page_of_an_export_keeps_the_focus(visit):
    job = visit.server.manage("shell", "--no-imports", "-c", PENDING).strip()
    page = visit.page(f"/exports/{job}/")
    page.locator("#all-jobs").focus()
    for _ in range(2):
        with page.expect_response(re.compile("/exports/")):
            pass
    page.evaluate("() => new Promise((settled) => { requestAnimationFrame(settled); })")
    expect(page.locator("#all-jobs")).to_be_focused()
