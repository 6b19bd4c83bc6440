"""Answers written otherwise, versions side by side, forks, undone continuations, opinions."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.actions import FAST, answers, ask, body, expect_version, shown, source, wait_until_done


def open_menu(page, number: int = -1):
    answer = answers(page).nth(number)
    answer.hover()
    answer.get_by_role("button", name="More for this answer").click()
    menu = answer.locator(".answer-menu")
    expect(menu).to_be_visible()
    return menu


def test_an_answer_is_written_again_shorter(page):
    ask(page, f"Tell me about rivers {FAST} [[length=200]]")
    wait_until_done(page)
    before = len(source(page))
    open_menu(page).get_by_role("button", name="Shorter").click()
    expect_version(page, "2/2")
    wait_until_done(page)
    expect(answers(page).last.locator(".badge")).to_have_text("Shorter")
    expect(page.locator("article.user")).to_have_count(1)
    assert len(source(page)) < before * 0.8


def test_an_answer_is_written_again_by_a_chosen_model(page):
    ask(page, f"Tell me about rivers {FAST} [[length=40]]")
    wait_until_done(page)
    menu = open_menu(page)
    menu.get_by_role("link", name="By another model").click()
    menu.get_by_label("Model").select_option(label="Demo")
    menu.get_by_label("How").select_option(label="More formal")
    menu.get_by_role("button", name="Write it again").click()
    expect_version(page, "2/2")
    wait_until_done(page)
    expect(answers(page).last.locator(".badge")).to_have_text("More formal")


def test_versions_are_compared_side_by_side(page):
    ask(page, f"Tell me about rivers {FAST} [[length=60]]")
    wait_until_done(page)
    for versions in (2, 3):
        answers(page).last.hover()
        page.get_by_role("button", name="Regenerate").click()
        expect_version(page, f"{versions}/{versions}")
        wait_until_done(page)
    open_menu(page).get_by_role("link", name="Compare versions").click()
    columns = page.locator(".version")
    expect(columns).to_have_count(2)
    expect(columns.nth(0).get_by_role("heading")).to_have_text("Version 2 of 3")
    expect(columns.nth(1).get_by_role("heading")).to_have_text("Version 3 of 3")
    expect(columns.nth(0).locator("del").first).to_be_visible()
    expect(columns.nth(1).locator("ins").first).to_be_visible()
    left, right = columns.nth(0).bounding_box(), columns.nth(1).bounding_box()
    assert right["x"] > left["x"] + left["width"]
    page.set_viewport_size({"width": 390, "height": 800})
    left, right = columns.nth(0).bounding_box(), columns.nth(1).bounding_box()
    assert right["y"] > left["y"] + left["height"] - 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_label("Compare").select_option(index=0)
    page.get_by_role("button", name="Show").click()
    expect(columns.nth(0).get_by_role("heading")).to_have_text("Version 1 of 3")
    columns.nth(0).get_by_role("button", name="Go on with this version").click()
    expect_version(page, "1/3")


def test_a_fork_goes_its_own_way(page):
    ask(page, f"The root {FAST} [[length=30]]")
    wait_until_done(page)
    ask(page, f"The end {FAST} [[length=20]]")
    wait_until_done(page)
    first, original = shown(page, 0), page.url
    open_menu(page, 0).get_by_role("button", name="Continue in a new conversation").click()
    expect(page).not_to_have_url(original)
    expect(answers(page)).to_have_count(1)
    assert shown(page, 0) == first
    ask(page, f"Another end {FAST} [[length=20]]")
    wait_until_done(page)
    page.goto(original)
    expect(page.locator("article.user").last).to_contain_text("The end")


def test_continue_is_undone_after_a_question(page):
    ask(page, "To be continued [[speed=150]] [[length=1500]]")
    expect(body(page)).not_to_be_empty()
    page.keyboard.press("Escape")
    wait_until_done(page)
    before, before_source = shown(page), source(page)
    page.get_by_role("button", name="Continue", exact=True).click()
    expect(page.locator(".stream")).to_have_count(1)
    wait_until_done(page)
    assert len(source(page)) > len(before_source)
    menu = open_menu(page)
    menu.get_by_text("Undo continue…").click()
    expect(menu).to_contain_text("will be gone for good")
    menu.get_by_role("button", name="Remove it").click()
    expect(page.get_by_role("button", name="Continue", exact=True)).to_be_visible()
    assert shown(page) == before
    assert source(page) == before_source


def test_an_opinion_is_given_explained_changed_and_taken_back(page):
    ask(page, f"Rate me {FAST} [[length=20]]")
    wait_until_done(page)
    good = page.get_by_role("button", name="Good answer")
    bad = page.get_by_role("button", name="Bad answer")
    good.click()
    expect(good).to_have_attribute("aria-pressed", "true")
    expect(good).to_be_focused()
    comment = page.get_by_label("What was good or bad about it")
    comment.fill("Clear & short")
    comment.press("Enter")
    expect(page.get_by_text("Your comment")).to_be_visible()
    page.reload()
    expect(good).to_have_attribute("aria-pressed", "true")
    bad.click()
    expect(bad).to_have_attribute("aria-pressed", "true")
    expect(good).to_have_attribute("aria-pressed", "false")
    expect(comment).to_have_value("Clear & short")
    bad.click()
    expect(bad).to_have_attribute("aria-pressed", "false")
    expect(page.locator(".comment")).to_have_count(0)


def test_branches_work_without_javascript(visit, browser, demo_server):
    state = visit.context.storage_state()
    with browser.new_context(base_url=demo_server.url, storage_state=state, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/")
        page.get_by_role("textbox", name="Message").fill(f"Plain {FAST} [[length=60]]")
        page.get_by_role("button", name="Send").click()
        again = page.get_by_role("button", name="Regenerate this answer")
        while again.count() == 0:
            page.wait_for_timeout(200)
            page.goto(page.url)
        page.get_by_role("button", name="Good answer").click()
        expect(page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
        page.get_by_role("button", name="More for this answer").click()
        page.get_by_role("link", name="By another model").click()
        page.get_by_label("How").select_option(label="Longer")
        page.get_by_role("button", name="Write it again").click()
        while again.count() == 0:
            page.wait_for_timeout(200)
            page.goto(page.url)
        expect(page.locator(".badge")).to_have_text("Longer")
        page.get_by_role("button", name="More for this answer").click()
        page.get_by_role("link", name="Compare versions").click()
        expect(page.locator("ins").first).to_be_visible()
        page.go_back()
        original = page.url
        page.get_by_role("button", name="More for this answer").click()
        page.get_by_role("button", name="Continue in a new conversation").click()
        expect(page).to_have_url(re.compile("/c/"))
        assert page.url != original
