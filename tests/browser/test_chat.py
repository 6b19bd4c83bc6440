"""The chat, as somebody uses it."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

from tests.browser.actions import FAST, answers, ask, body, expect_version, shown, source, wait_until_done


def test_send_streams_an_answer_that_a_reload_shows_again(page):
    ask(page, "Hello there [[speed=80]] [[length=80]]")
    expect(page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}/$"))
    expect(page.locator("article.user")).to_contain_text("Hello there")
    expect(page.locator(".stream")).to_have_count(1)
    wait_until_done(page)
    before = shown(page)
    assert len(before) > 100
    page.reload()
    assert shown(page) == before


def test_text_appears_before_the_answer_is_complete(page):
    ask(page, "Tell me about rivers [[speed=30]] [[length=300]]")
    expect(body(page)).not_to_be_empty()
    lengths = set()
    for _ in range(10):
        lengths.add(len(shown(page)))
        time.sleep(0.1)
    assert len(lengths) >= 4
    expect(page.locator(".stream")).to_have_count(1)
    page.keyboard.press("Escape")
    wait_until_done(page)


def test_shift_enter_makes_a_line_and_enter_sends(page):
    box = page.get_by_role("textbox", name="Message")
    box.fill("first")
    box.press("Shift+Enter")
    box.press_sequentially(f"second {FAST} [[length=10]]")
    box.press("Enter")
    expect(page.locator("article.user")).to_contain_text(re.compile(r"first\s+second"))


@pytest.mark.parametrize("way", ["button", "escape"])
def test_stop_ends_the_answer_and_keeps_what_was_shown(page, way):
    ask(page, "A long one [[speed=40]] [[length=800]]")
    expect(body(page)).not_to_be_empty()
    if way == "button":
        page.get_by_role("button", name="Stop").click()
    else:
        page.keyboard.press("Escape")
    wait_until_done(page)
    expect(answers(page).last).to_contain_text("Stopped")
    before = shown(page)
    page.reload()
    assert shown(page) == before


def test_stop_works_before_the_first_token(page):
    ask(page, "Silent [[fault=silence]] [[after=0]]")
    expect(page.locator(".stream")).to_have_count(1)
    page.get_by_role("button", name="Stop").click()
    wait_until_done(page)
    expect(answers(page).last).to_contain_text("Stopped")


def test_second_message_is_answered_in_the_same_page(page):
    ask(page, f"First {FAST} [[length=20]]")
    wait_until_done(page)
    ask(page, "Second [[speed=100]] [[length=60]]")
    expect(page.locator("article.user")).to_have_count(2)
    expect(page.get_by_role("textbox", name="Message")).to_have_value("")
    wait_until_done(page)
    expect(answers(page)).to_have_count(2)
    assert len(shown(page)) > 50


def test_a_send_while_an_answer_runs_can_stop_it(page):
    ask(page, "Long [[speed=40]] [[length=600]]")
    expect(body(page)).not_to_be_empty()
    page.get_by_label("Stop the running answer first").check()
    ask(page, f"Second {FAST} [[length=20]]")
    wait_until_done(page)
    expect(answers(page).first).to_contain_text("Stopped")


def test_regenerate_keeps_versions_each_with_its_continuation(page):
    ask(page, f"Versions [[seed=1]] {FAST} [[length=40]]")
    wait_until_done(page)
    first = shown(page)
    ask(page, f"And then? {FAST} [[length=20]]")
    wait_until_done(page)
    answers(page).first.get_by_role("button", name="Regenerate").click()
    expect(answers(page)).to_have_count(1)
    wait_until_done(page)
    expect_version(page, "2/2")
    page.get_by_role("button", name="Previous version").click()
    expect_version(page, "1/2")
    expect(answers(page)).to_have_count(2)
    assert shown(page, 0) == first


def test_continue_goes_on_in_the_same_message(page):
    ask(page, "To be continued [[speed=150]] [[length=900]]")
    expect(body(page)).not_to_be_empty()
    page.keyboard.press("Escape")
    wait_until_done(page)
    before = source(page)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".stream")).to_have_count(1)
    wait_until_done(page)
    expect(answers(page)).to_have_count(1)
    after = source(page)
    assert after.startswith(before)
    assert len(after) > len(before)


def test_edit_makes_a_branch(page):
    ask(page, f"Old words {FAST} [[length=20]]")
    wait_until_done(page)
    page.locator("article.user").hover()
    page.get_by_role("link", name="Edit this message").click()
    editor = page.get_by_role("textbox", name="Your message in other words")
    editor.fill(f"New words {FAST} [[length=20]]")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator("article.user")).to_contain_text("New words")
    wait_until_done(page)
    page.locator("article.user").get_by_role("button", name="Previous version").click()
    expect(page.locator("article.user")).to_contain_text("Old words")


def test_reload_in_mid_answer_shows_the_text_and_goes_on(page):
    ask(page, "Reload me [[speed=60]] [[length=240]]")
    expect(body(page)).not_to_be_empty()
    before = " ".join(body(page).inner_text().split())  # settled: an open end may still turn from `**` into bold
    page.reload(wait_until="domcontentloaded")
    assert shown(page).startswith(before)
    wait_until_done(page)
    whole = shown(page)
    page.reload()
    assert shown(page) == whole


def test_two_tabs_show_the_same(visit, page):
    ask(page, "Two tabs [[speed=60]] [[length=200]]")
    expect(page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}/$"))
    other = visit.page(page.url)
    wait_until_done(page)
    other.bring_to_front()
    wait_until_done(other)
    assert shown(page) == shown(other)


def test_closing_the_tab_does_not_stop_the_answer(visit, page):
    ask(page, "Leave [[speed=100]] [[length=200]]")
    expect(page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}/$"))
    url = page.url
    page.close()
    time.sleep(3)
    again = visit.page(url)
    wait_until_done(again)
    assert len(shown(again)) > 400


def test_the_title_comes_from_the_words_and_then_from_the_model(page):
    ask(page, f"How do glaciers move over the years in the mountains? {FAST} [[length=20]]")
    wait_until_done(page)
    first = page.locator("h1").inner_text()
    assert first
    expect(page.locator("h1")).not_to_have_text(
        "How do glaciers move over the years in the mountains? " + FAST, timeout=15_000
    )


def test_reasoning_is_apart_and_collapsed(page):
    ask(page, "Think hard about it [[think=1]] [[speed=60]] [[length=60]]")
    wait_until_done(page)
    details = answers(page).last.locator("details.reasoning")
    expect(details).to_be_visible()
    expect(details.locator("summary")).to_contain_text("Thought for")
    assert details.get_attribute("open") is None
    thought = details.locator("[id$='-rbody']").text_content()
    assert thought.strip()
    assert thought.strip() not in shown(page)


def test_copy_gives_the_source(visit, page):
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, f"Show me some python code {FAST} [[length=120]]")
    wait_until_done(page)
    answers(page).last.hover()
    page.get_by_role("link", name="Copy this answer").click()
    expect(page.locator("#status")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == source(page)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [("429", "busy"), ("401", "key"), ("cut", "Continue"), ("error", "try again"), ("eof", "try again")],
)
def test_a_fault_of_the_demo_ends_in_a_sentence_and_a_retry(fault, sentence, page):
    ask(page, f"Fault [[fault={fault}]] [[after=20]] {FAST}")
    wait_until_done(page)
    expect(answers(page).last.get_by_role("button", name="Retry")).to_be_visible()
    expect(answers(page).last).to_contain_text(re.compile(sentence))
