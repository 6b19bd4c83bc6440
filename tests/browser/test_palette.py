"""The command palette, the list of shortcuts and single keys: by keyboard, on a phone, beside what somebody types."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.actions import FAST, answers, ask, body, expect_version, source, wait_until_done


def palette(page: Page):
    return page.locator("#palette")


def chosen(page: Page):
    return palette(page).locator("[role=option][aria-selected=true]")


def options(page: Page):
    return palette(page).locator("[role=option]")


def command(page: Page, words: str) -> None:
    """Run the first command that the words find."""
    page.keyboard.press("Control+k")
    expect(palette(page).get_by_role("combobox")).to_be_focused()
    page.keyboard.type(words)
    expect(chosen(page)).to_contain_text(re.compile(words, re.IGNORECASE))
    page.keyboard.press("Enter")
    expect(palette(page)).to_be_hidden()


@pytest.fixture
def answered(page: Page) -> Page:
    ask(page, f"A question about otters {FAST} [[length=20]]")
    wait_until_done(page)
    return page


def test_it_is_a_combobox_over_a_list_that_arrows_walk_through(answered):
    page = answered
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Find a command or a conversation")
    expect(box).to_be_focused()
    expect(page.locator("#palette-status")).to_have_text(re.compile(r"^\d+ results$"))
    found = page.get_by_role("listbox").get_by_role("group", name="Conversations").get_by_role("option")
    expect(found).not_to_have_count(0)
    last = options(page).count() - 1
    for key, place in (("Down", 1), ("Down", 2), ("Up", 1), ("Up", 0), ("Up", last), ("Down", 0)):
        page.keyboard.press(f"Arrow{key}")
        assert chosen_place(page) == place
        expect(box).to_have_attribute("aria-activedescendant", chosen(page).get_attribute("id"))
    page.keyboard.press("Escape")
    expect(palette(page)).to_be_hidden()
    expect(page.locator("#text")).to_be_focused()


def chosen_place(page: Page) -> int:
    return options(page).evaluate_all("all => all.findIndex((one) => one.getAttribute('aria-selected') === 'true')")


def test_it_finds_a_conversation_and_opens_it(answered):
    page = answered
    page.goto("/")
    page.keyboard.press("Control+k")
    page.keyboard.type("otters quest")
    found = page.get_by_role("group", name="Conversations").get_by_role("option")
    expect(found.first).to_contain_text(re.compile("otters", re.IGNORECASE))
    expect(page.get_by_role("group", name="Commands")).to_have_count(0)
    expect(chosen(page)).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}/#latest$"))


def test_enter_waits_for_what_was_typed(answered):
    page = answered
    page.goto("/")
    ask(page, f"Quite another thing {FAST} [[length=20]]")
    wait_until_done(page)
    page.goto("/")
    page.keyboard.press("Control+k")
    expect(options(page).filter(has_text="Quite another")).not_to_have_count(0)
    held = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/palette/**", hold)
    with page.expect_request("**/palette/**"):
        page.keyboard.type("otters")
    page.keyboard.press("Enter")
    expect(page.locator("#palette-found [role=option]")).to_have_count(0)
    held[-1].continue_()
    expect(page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}/#latest$"))
    expect(page.locator("article.user").first).to_contain_text("otters")


def test_it_says_when_nothing_is_found_or_the_search_fails(visit, answered):
    page = answered
    page.keyboard.press("Control+k")
    page.keyboard.type("xyzzy")
    expect(page.locator("#palette-status")).to_contain_text("Nothing is called like that.")
    page.keyboard.press("Escape")
    page.route("**/palette/**", lambda route: route.fulfill(status=500, body="<!doctype html>"))
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-status")).to_contain_text("cannot be searched just now")
    expect(chosen(page)).to_have_count(1)
    expect(page.locator("#composer-hint")).to_be_empty()


def test_commands_act_on_the_last_answer(answered):
    page = answered
    command(page, "regenerate")
    expect_version(page, "2/2")
    wait_until_done(page)
    command(page, "edit the last")
    expect(page.get_by_role("textbox", name="Your message in other words")).to_be_focused()


SAID = """() => {
  const status = document.querySelector('#status');
  window.said = [];
  new MutationObserver(() => said.push(status.textContent)).observe(status, { childList: true });
}"""


def test_copy_by_command(visit, answered):
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answered.evaluate(SAID)  # it says so for two seconds, in which a busy machine may not look
    command(answered, "copy")
    answered.wait_for_function("said.includes('Copied')")
    assert answered.evaluate("navigator.clipboard.readText()") == source(answered)


def test_stop_is_a_command_only_while_an_answer_runs_and_escape_in_the_palette_stops_nothing(page):
    ask(page, "A long one [[speed=40]] [[length=600]]")
    expect(body(page)).not_to_be_empty()
    page.keyboard.press("Control+k")
    expect(chosen(page)).to_have_text("Stop the answer")
    page.keyboard.press("Escape")
    expect(palette(page)).to_be_hidden()
    expect(page.locator(".stream")).to_have_count(1)
    command(page, "stop")
    wait_until_done(page)
    expect(answers(page).last).to_contain_text("Stopped")
    page.keyboard.press("Control+k")
    expect(chosen(page)).to_have_text(re.compile("New conversation"))
    expect(palette(page).get_by_role("option", name="Stop the answer")).to_have_count(0)
    page.keyboard.press("Escape")
    command(page, "continue")
    expect(page.locator(".stream")).to_have_count(1)
    page.keyboard.press("Escape")
    wait_until_done(page)


def test_rename_opens_its_place_in_the_menu_and_delete_can_be_undone(answered):
    page = answered
    command(page, "rename")
    title = page.get_by_role("textbox", name="Title")
    expect(title).to_be_focused()
    title.fill("Named by a command")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Named by a command")
    command(page, "delete")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()


def test_theme_and_new_conversation_by_command(answered):
    page = answered
    command(page, "dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    command(page, "system")
    expect(page.locator("html")).not_to_have_attribute("data-theme", "dark")
    command(page, "new conv")
    expect(page).to_have_url(re.compile(r":\d+/$"))


def test_a_phone_has_a_button_for_it_and_a_finger_chooses(browser, visit):
    state = visit.context.storage_state()
    context = browser.new_context(
        base_url=visit.server.url,
        storage_state=state,
        viewport={"width": 390, "height": 780},
        has_touch=True,
        is_mobile=True,
        service_workers="block",
    )
    page = context.new_page()
    page.goto("/")
    page.get_by_role("link", name="Commands and conversations").tap()
    expect(palette(page)).to_be_visible()
    box = palette(page).bounding_box()
    assert (box["x"], box["width"], box["y"] + box["height"]) == (0, 390, 780)
    palette(page).get_by_role("option", name="Keyboard shortcuts").tap()
    expect(page.locator("#shortcuts")).to_be_visible()
    page.locator("#shortcuts").get_by_role("button", name="Close").tap()
    expect(page.locator("#shortcuts")).to_be_hidden()
    context.close()


def test_a_page_without_a_stream_offers_its_commands_and_a_page_of_conversations(visit):
    page = visit.page("/shortcuts/")
    page.keyboard.press("Control+k")
    page.keyboard.type("otters")
    expect(chosen(page)).to_have_text("Find in all conversations")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/palette/\?q=otters$"))


def test_the_list_of_shortcuts_opens_by_its_key_and_from_the_account_menu(answered):
    page = answered
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    page.locator("#text").press_sequentially("why?")
    expect(page.locator("#text")).to_have_value("why?")
    expect(dialog).to_be_hidden()
    page.keyboard.press("Escape")  # leaves the field
    expect(page.locator("#text")).not_to_be_focused()
    page.keyboard.press("?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Account of").click()
    page.get_by_role("link", name="Keyboard shortcuts").click()
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Account of")).to_be_focused()
    page.locator("#text").focus()
    page.keyboard.press("Control+/")
    expect(dialog).to_be_visible()


def test_single_keys_work_only_while_nobody_types_and_can_be_switched_off(answered):
    page = answered
    field = page.locator("#text")
    field.fill("")
    field.press_sequentially("jkcren/")
    expect(field).to_have_value("jkcren/")
    field.fill("")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    expect(page.locator(".message").first).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator(".message").nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator(".message").first).to_be_focused()
    page.keyboard.press("/")
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    page.keyboard.press("Control+/")
    page.get_by_label("Use the shortcuts of a single key").first.uncheck()
    page.keyboard.press("Escape")
    page.reload()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("n")
    page.keyboard.press("Control+k")  # keys with a modifier go on working
    expect(palette(page)).to_be_visible()
    expect(page.locator(".message:focus")).to_have_count(0)
    assert "/c/" in page.url


def press(page: Page, **fields: object) -> None:
    """A key of a keyboard that Playwright has not."""
    script = "fields => document.body.dispatchEvent(new KeyboardEvent('keydown', { bubbles: true, ...fields }))"
    page.evaluate(script, fields)


def test_a_key_of_another_script_counts_as_the_one_in_its_place(answered):
    page = answered
    page.locator("#text").press("Escape")
    press(page, key="л", code="KeyK", ctrlKey=True)
    expect(palette(page)).to_be_visible()


def test_text_being_composed_is_left_alone(answered):
    page = answered
    press(page, key="?", code="Slash", isComposing=True)
    page.keyboard.press("Control+k")
    expect(palette(page)).to_be_visible()
    expect(page.locator("#shortcuts")).to_be_hidden()


def test_the_composer_is_lifted_above_a_keyboard_that_covers_the_page(answered):
    page = answered
    page.evaluate("""() => {
      Object.defineProperty(visualViewport, 'height', { configurable: true, get: () => innerHeight - 300 });
      visualViewport.dispatchEvent(new Event('resize'));
    }""")
    box = page.locator(".dock").bounding_box()
    assert round(box["y"] + box["height"]) == page.viewport_size["height"] - 300
    page.evaluate("() => { delete visualViewport.height; visualViewport.dispatchEvent(new Event('resize')); }")
    box = page.locator(".dock").bounding_box()
    assert round(box["y"] + box["height"]) == page.viewport_size["height"]
