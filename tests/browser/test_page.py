"""What the page weighs, and how it behaves around a stream."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.test_chat import answers, ask, body, shown, wait_until_done

FAST = "[[speed=0]]"


def test_the_first_visit_is_small(visit):
    page = visit.context.new_page()
    session = visit.context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: dict[str, float] = {}
    session.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    page.goto("/")
    page.wait_for_load_state("networkidle")
    assert 3 <= len(sizes) <= 10
    assert sum(sizes.values()) <= 60_000


def test_nothing_is_asked_of_other_hosts(visit, page, demo_server):
    foreign: list[str] = []
    page.on("request", lambda request: None if request.url.startswith(demo_server.url) else foreign.append(request.url))
    ask(page, f"Show python code and links {FAST} [[length=300]]")
    wait_until_done(page)
    assert foreign == []


def test_copy_of_a_code_block_gives_its_text(visit, page):
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, f"Show me some python code {FAST} [[length=200]]")
    wait_until_done(page)
    figure = answers(page).last.locator("figure.code").first
    figure.get_by_role("button", name="Copy").click()
    expect(figure.get_by_role("button")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == figure.locator("pre").inner_text().strip()


def test_typing_indicator_and_cursor(page):
    ask(page, "Slowly [[fault=silence]]")
    expect(answers(page).last.locator(".typing")).to_be_visible()
    page.keyboard.press("Escape")
    wait_until_done(page, 3)
    expect(answers(page).last.locator(".typing")).to_have_count(0)


@pytest.mark.parametrize("width", [360, 390, 820, 1440])
def test_no_page_is_wider_than_its_screen(visit, page, width):
    page.set_viewport_size({"width": width, "height": 800})
    ask(page, f"Compare python code in a wide table with math {FAST} [[length=400]]")
    wait_until_done(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_double_click_sends_once(page):
    ask(page, f"First {FAST} [[length=10]]")
    wait_until_done(page)
    page.get_by_role("textbox", name="Message").fill(f"Second {FAST} [[length=10]]")
    page.get_by_role("button", name="Send", exact=True).dblclick()
    expect(page.locator("article.user")).to_have_count(2)
    wait_until_done(page)
    page.reload()
    expect(page.locator("article.user")).to_have_count(2)


def test_the_reader_who_scrolls_up_is_left_there(page):
    page.set_viewport_size({"width": 900, "height": 400})
    ask(page, "Scroll [[speed=60]] [[length=500]]")
    expect(body(page)).not_to_be_empty()
    for _ in range(200):
        if page.evaluate("document.documentElement.scrollHeight > innerHeight + 400"):
            break
        page.wait_for_timeout(100)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(300)
    before = page.evaluate("scrollY")
    page.wait_for_timeout(1000)
    assert page.evaluate("scrollY") == before
    page.get_by_role("button", name="Jump to latest").click()
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollHeight - innerHeight - scrollY") < 200
    page.keyboard.press("Escape")
    wait_until_done(page)


def test_hostile_text_from_the_user_is_text(page):
    ask(page, f"<img src=x onerror=alert(1)> <script>alert(2)</script> {FAST} [[length=60]]")
    wait_until_done(page)
    expect(page.locator("article.user")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("article img, article script").count() == 0


def test_the_status_tells_the_end_once(page):
    ask(page, "Status [[speed=100]] [[length=60]]")
    expect(body(page)).not_to_be_empty()
    wait_until_done(page)
    expect(page.locator("#status")).to_have_text(re.compile(r"Done, \d+ words"))
    assert page.locator(".thread[aria-live], .thread [aria-live]").count() == 0


def test_going_back_and_forth_shows_the_same_answer_once(page):
    ask(page, "Back [[speed=100]] [[length=60]]")
    wait_until_done(page)
    before = shown(page)
    page.goto("/accounts/password/set/")
    page.go_back()
    expect(answers(page)).to_have_count(1)
    assert shown(page) == before
    expect(page.locator(".stream")).to_have_count(0)
