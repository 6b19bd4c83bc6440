"""Messages that wait for the end of an answer, and drafts that nothing loses."""

from __future__ import annotations

import re
import time
from contextlib import suppress

from playwright.sync_api import Error, expect

from tests.browser.actions import FAST, answers, ask, body, enter, wait_until_done

SLOW = "[[speed=40]] [[length=4000]]"


def box(page):
    return page.get_by_role("textbox", name="Message")


def waiting(page):
    return page.locator("#queue li")


def questions(page):
    return page.locator("article.user")


def draft_arrives(page, text: str, path: str | None = None) -> None:
    """Wait until the server shows this draft to somebody who comes from elsewhere."""
    until = time.monotonic() + 15
    while True:
        html = page.request.get(path or page.url).text()
        found = re.search(r"<textarea id=\"text\"[^>]*>([^<]*)</textarea>", html)
        if found[1] == text:
            return
        assert time.monotonic() < until, found[0]
        time.sleep(0.1)


def test_messages_sent_while_an_answer_runs_follow_it_in_order(page):
    ask(page, "First [[speed=60]] [[length=150]]")
    enter(page, f"Second {FAST} [[length=20]]")
    expect(waiting(page)).to_have_count(1)
    expect(box(page)).to_have_value("")
    expect(page.locator("#queue")).to_contain_text("Will be sent when the answer has ended")
    box(page).fill(f"Third {FAST} [[length=20]]")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(questions(page)).to_have_count(3, timeout=20_000)
    wait_until_done(page)
    expect(waiting(page)).to_have_count(0)
    for number, name in enumerate(("First", "Second", "Third")):
        expect(questions(page).nth(number)).to_contain_text(name)
    expect(answers(page)).to_have_count(3)
    before = page.locator("#thread").inner_text()
    page.reload()
    expect(answers(page)).to_have_count(3)
    assert page.locator("#thread").inner_text() == before


def test_a_waiting_message_can_be_taken_back_and_removed(page):
    ask(page, f"Long {SLOW}")
    for name in ("One", "Two"):
        enter(page, name)
        expect(waiting(page).filter(has_text=name)).to_have_count(1)
    waiting(page).first.get_by_role("button", name="Take this message back").click()
    expect(waiting(page)).to_have_count(1)
    expect(box(page)).to_have_value("One")
    waiting(page).first.get_by_role("button", name="Remove this waiting message").click()
    expect(page.locator("#queue")).to_be_hidden()
    page.keyboard.press("Escape")
    wait_until_done(page)
    expect(questions(page)).to_have_count(1)


def test_after_stop_a_message_waits_until_it_is_sent(page):
    ask(page, f"Long {SLOW}")
    expect(body(page)).not_to_be_empty()
    enter(page, f"Later {FAST} [[length=20]]")
    expect(waiting(page)).to_have_count(1)
    page.get_by_role("button", name="Stop", exact=True).click()
    wait_until_done(page)
    expect(page.locator("#queue")).to_contain_text("not completed")
    expect(questions(page)).to_have_count(1)
    page.get_by_role("button", name="Send now").click()
    expect(questions(page)).to_have_count(2)
    wait_until_done(page)
    expect(page.locator("#queue")).to_be_hidden()
    expect(answers(page)).to_have_count(2)


def test_what_waits_is_sent_when_nobody_looks(visit, page):
    ask(page, "Short [[speed=60]] [[length=120]]")
    enter(page, f"Afterwards {FAST} [[length=20]]")
    expect(waiting(page)).to_have_count(1)
    url = page.url
    page.close()
    other = visit.context.new_page()
    other.goto("/")
    until = time.monotonic() + 20
    while other.request.get(url).text().count('class="message assistant"') < 2:
        assert time.monotonic() < until
        time.sleep(0.2)
    other.goto(url)
    wait_until_done(other)
    expect(questions(other).last).to_contain_text("Afterwards")


def test_a_second_tab_shows_what_was_queued_and_sent(visit, page):
    ask(page, "Short [[speed=40]] [[length=500]]")
    expect(page).to_have_url(re.compile("/c/"))
    other = visit.page(page.url)
    enter(page, f"Afterwards {FAST} [[length=20]]")
    expect(waiting(page)).to_have_count(1)
    other.reload()
    expect(waiting(other)).to_have_count(1)
    for tab in (page, other):
        tab.bring_to_front()
        expect(questions(tab)).to_have_count(2, timeout=40_000)
        wait_until_done(tab)
        expect(answers(tab)).to_have_count(2)


def test_a_draft_survives_reload_and_another_device(visit, page, browser, demo_server):
    ask(page, f"Hello {FAST} [[length=10]]")
    wait_until_done(page)
    box(page).press_sequentially("half a thought")
    page.reload()
    expect(box(page)).to_have_value("half a thought")
    draft_arrives(page, "half a thought")
    page.reload()
    expect(box(page)).to_have_value("half a thought")
    with browser.new_context(base_url=demo_server.url, storage_state=visit.context.storage_state()) as device:
        elsewhere = device.new_page()
        elsewhere.goto(page.url)
        expect(box(elsewhere)).to_have_value("half a thought")
        box(elsewhere).press_sequentially(", finished")
        draft_arrives(page, "half a thought, finished")
    page.reload()
    expect(box(page)).to_have_value("half a thought, finished")  # the newest wins
    ask(page, f"Sent {FAST} [[length=10]]")
    wait_until_done(page)
    expect(box(page)).to_have_value("")


def test_a_draft_that_was_sent_from_another_device_does_not_come_back(visit, page, browser, demo_server):
    ask(page, f"Hello {FAST} [[length=10]]")
    wait_until_done(page)
    text = f"Send me once {FAST} [[length=10]]"
    with page.expect_response(re.compile("/draft/")):
        box(page).fill(text)
    draft_arrives(page, text)
    with browser.new_context(base_url=demo_server.url, storage_state=visit.context.storage_state()) as device:
        elsewhere = device.new_page()
        elsewhere.goto(page.url)
        expect(box(elsewhere)).to_have_value(text)
        box(elsewhere).press("Enter")
        expect(questions(elsewhere)).to_have_count(2)
        wait_until_done(elsewhere)
    page.reload()
    expect(questions(page)).to_have_count(2)
    expect(box(page)).to_have_value("")
    box(page).press_sequentially("not saved yet")
    page.reload()
    expect(box(page)).to_have_value("not saved yet")


def test_an_example_does_not_replace_what_was_typed(page):
    box(page).fill("Typed before")
    page.locator(".prompts a").first.click()
    expect(box(page)).to_have_value(re.compile(r"^Typed before\n\n\w"))
    box(page).fill("")
    draft_arrives(page, "")


def test_the_draft_ends_with_the_message(page):
    ask(page, f"Hello {FAST} [[length=10]]")
    wait_until_done(page)
    box(page).press_sequentially(f"To be sent {FAST} [[length=10]]")
    draft_arrives(page, f"To be sent {FAST} [[length=10]]")
    box(page).press("Enter")
    expect(questions(page)).to_have_count(2)
    wait_until_done(page)
    draft_arrives(page, "")
    page.reload()
    expect(box(page)).to_have_value("")


def test_the_draft_of_a_new_conversation_is_kept_until_it_begins(visit, page):
    box(page).press_sequentially("A beginning")
    page.close()  # within the second in which nothing is sent yet
    again = visit.page("/")
    draft_arrives(again, "A beginning", "/")
    again.reload()
    expect(box(again)).to_have_value("A beginning")
    ask(again, f"A beginning {FAST} [[length=10]]")
    wait_until_done(again)
    draft_arrives(again, "", "/")


def test_a_failed_send_keeps_text_and_draft(visit, page):
    ask(page, f"Hello {FAST} [[length=10]]")
    wait_until_done(page)
    page.context.set_offline(True)
    enter(page, "Into the void")
    expect(page.locator("#composer-hint")).not_to_be_empty()
    expect(box(page)).to_have_value("Into the void")
    page.context.set_offline(False)
    with suppress(Error):
        page.reload()
    expect(box(page)).to_have_value("Into the void")
    draft_arrives(page, "Into the void")
    visit.problems.clear()  # the browser reports that it was offline
