"""What the page weighs, and how it behaves around a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.actions import FAST, answers, ask, body, shown, wait_until_done


def test_the_first_visit_is_small(visit):
    page = visit.context.new_page()
    session = visit.context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: dict[str, float] = {}
    session.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    page.goto("/")
    page.wait_for_load_state("networkidle")
    assert 3 <= len(sizes) <= 10
    assert sum(sizes.values()) <= 75_000


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
    wait_until_done(page)
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


def test_operators_see_what_to_mend(visit):
    page = visit.page("/deployment/")
    expect(page.get_by_role("status").filter(has_text="All checks are done.")).to_have_count(1)
    checks = page.locator(".checks li")
    expect(checks.filter(has_text="Streams arrive piece by piece.")).to_have_class("ok")
    expect(checks.filter(has_text="database: there")).to_have_class("ok")
    expect(checks.filter(has_text="clock agrees")).to_have_class("ok")
    expect(checks.filter(has_text="http/1.1")).to_have_class("note")


def test_operators_are_told_that_something_holds_streams_back(visit):
    page = visit.context.new_page()
    page.route("**/drip", lambda route: route.fulfill(body="data: 0\n\n" * 8, content_type="text/event-stream"))
    page.route("**/readyz", lambda route: route.abort())
    page.goto("/deployment/")
    expect(page.locator(".checks .bad").filter(has_text="holds streams back")).to_have_count(1)
    expect(page.locator(".checks .bad").filter(has_text="/readyz could not be asked")).to_have_count(1)


@pytest.fixture
def in_english_again(page) -> Iterator[None]:
    """The language is kept with the user, whom all tests share."""
    yield
    page.locator("#language").select_option("en")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_a_chosen_language_is_there_at_once(page, in_english_again):
    page.get_by_role("button", name="Account of").click()
    page.locator("#language").select_option("de")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator(".language button")).to_have_count(1)
    assert not page.locator(".language button").is_visible()
    page.locator("[popovertarget=account-menu]").click()


def test_a_question_can_be_copied_and_a_long_one_is_shown_in_part(visit, page):
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    pasted = "\n".join(f"line {number}" for number in range(100)) + f" {FAST} [[length=5]]"
    ask(page, pasted)
    wait_until_done(page)
    question = page.locator("article.user").last
    bubble = question.locator(".bubble")
    in_part = bubble.bounding_box()["height"]
    assert in_part <= 20 * 16
    question.get_by_text("Show all").click()
    assert bubble.bounding_box()["height"] > 2 * in_part
    question.hover()
    question.get_by_role("link", name="Copy this message").click()
    expect(page.locator("#status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == pasted


def test_the_arrow_up_in_an_empty_field_edits_the_last_question(page):
    for words in ("First", "Second"):
        ask(page, f"{words} {FAST} [[length=5]]")
        wait_until_done(page)
    field = page.get_by_role("textbox", name="Message", exact=True)
    field.fill("typed")
    field.press("ArrowUp")
    expect(field).to_be_focused()
    field.fill("")
    field.press("ArrowUp")
    editing = page.get_by_role("textbox", name="Your message in other words")
    expect(editing).to_be_focused()
    expect(editing).to_have_value(f"Second {FAST} [[length=5]]")


def test_the_list_can_be_hidden_and_stays_so(page):
    sidebar, opener = page.locator("#sidebar"), page.locator(".topbar [popovertarget=sidebar]")
    ask(page, f"A list to hide {FAST} [[length=5]]")
    wait_until_done(page)
    with page.expect_response("**/theme/"):
        page.get_by_role("button", name="Hide the list").click()
    expect(sidebar).to_be_hidden()
    expect(opener).to_be_focused()
    page.reload()
    expect(sidebar).to_be_hidden()
    opener.click()
    with page.expect_response("**/theme/"):
        page.get_by_role("button", name="Keep the list open").click()
    expect(sidebar).to_be_visible()
    expect(opener).to_be_hidden()
    page.reload()
    expect(sidebar).to_be_visible()


def test_the_menu_of_an_answer_fits_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 800})
    ask(page, f"A menu {FAST} [[length=300]]")
    wait_until_done(page)
    answers(page).last.get_by_role("button", name="More for this answer").click()
    menu = page.locator(".answer-menu:popover-open")
    expect(menu).to_be_in_viewport(ratio=1)
    assert menu.evaluate("menu => menu.scrollHeight - menu.clientHeight") <= 1
    written = menu.locator("time")
    moment = written.get_attribute("datetime")
    local = "moment => new Date(moment).toLocaleString('en', {dateStyle: 'short', timeStyle: 'short'})"
    expect(written).to_have_text(page.evaluate(local, moment))


SHOWN_AT_LAST = """for (const animation of document.getAnimations())
  if (animation.animationName === 'late') animation.finish()"""


def test_a_page_whose_scripts_are_lost_says_so_and_its_forms_work(visit):
    page = visit.context.new_page()
    page.route("**/*.js", lambda route: route.abort())
    page.goto("/")
    notice = page.get_by_text("A part of this page did not load.")
    expect(notice).to_be_hidden()
    page.evaluate(SHOWN_AT_LAST)
    expect(notice).to_be_visible()
    page.get_by_role("textbox", name="Message").fill(f"Without {FAST} [[length=5]]")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article.user")).to_have_count(1)
    page.unroute("**/*.js")
    page.evaluate(SHOWN_AT_LAST)
    page.get_by_role("link", name="Reload").click()
    expect(answers(page)).to_have_count(1)
    expect(page.locator("html.js")).to_have_count(1)
    page.evaluate(SHOWN_AT_LAST)
    expect(notice).to_be_hidden()
