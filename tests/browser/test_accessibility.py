"""Nobody is kept out: axe-core on every view, the keyboard, the tree that screen readers read, what is said when."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.actions import FAST, answers, ask, body, wait_until_done
from tests.browser.conftest import Visit
from tests.browser.views import VIEWS, rich_conversation, show
from tests.combination import EVERYTHING

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
LOOK = """async (rules) => {
  const { violations } = await axe.run(document, { preload: false, resultTypes: ['violations'], ...rules });
  return violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html.slice(0, 200))]);
}"""
BEYOND = """() => [...document.querySelectorAll('a, button, input, select, textarea, h1, h2')]
  .filter((element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true })
    && !element.closest('.skip-link, .visually-hidden, .sprite, pre, .table'))
  .filter((element) => {
    const { left, right, width } = element.getBoundingClientRect();
    return width > 1 && (left < -0.5 || right > innerWidth + 0.5);
  }).map((element) => element.outerHTML.slice(0, 150))"""
# Made of the same parts as others: looked at with `STILLWATER_MATRIX=all`.
ALIKE = {
    *("home-refused", "conversation-attach", "conversation-attached", "conversation-opinion", "conversation-options"),
    *("manage-ticked", "manage-narrower", "manage-found", "manage-nothing", "archive", "palette-page", "shortcuts"),
    *("admin-menu", "sign-out", "password", "ways-in", "provider", "provider-failed", "sign-in-refused"),
    *("password-reset", "password-reset-done", "inactive", "emails", "sign-up-refused", "old-form", "bad-request"),
    *("forbidden", "too-many"),
}
CHOSEN = [view for view in VIEWS if EVERYTHING or view.name not in ALIKE]
by_name = pytest.mark.parametrize("view", CHOSEN, ids=[view.name for view in CHOSEN])


@pytest.fixture(scope="module")
def names(browser, demo_server) -> dict[str, str]:
    visit = Visit(browser, demo_server, demo_server.log.with_name("state.json"))
    found = rich_conversation(visit.page())
    visit.context.close()
    return found


@pytest.fixture(scope="module")
def contexts(browser, demo_server, names) -> Iterator[dict[bool, BrowserContext]]:
    """Contexts of somebody signed in (True) and of nobody: all views share them, to be looked at soon."""
    options = {"base_url": demo_server.url, "reduced_motion": "reduce", "service_workers": "block"}
    state = demo_server.log.with_name("state.json")
    contexts = {True: browser.new_context(storage_state=state, **options), False: browser.new_context(**options)}
    yield contexts
    for context in contexts.values():
        context.close()


def look(page: Page, theme: str, **options: object) -> list[list[str]]:
    page.emulate_media(color_scheme=theme)
    return page.evaluate(LOOK, options)


@by_name
def test_a_view_keeps_nobody_out(contexts, names, view):
    """One test for all that is asked of a view, because to open it takes the longest."""
    page = contexts[view.signed_in].new_page()
    show(page, view, names)
    assert page.title().endswith("Stillwater")
    assert wrong_headings(page) == []
    page.evaluate(AXE)
    assert look(page, "light") == []
    assert look(page, "dark", runOnly=["color-contrast"]) == []
    page.set_viewport_size({"width": 320, "height": 640})  # 1280 at 400 %: what fits here fits at 200 % too
    for direction in ("ltr", "rtl"):
        page.evaluate("direction => { document.documentElement.dir = direction }", direction)
        assert page.evaluate("document.documentElement.scrollWidth") == 320, direction
        assert page.evaluate(BEYOND) == [], direction
    page.close()


def wrong_headings(page: Page) -> list[int]:
    """Return the levels of headings if they do not begin with the only 1 or if they skip one."""
    if page.locator("dialog[open]").count():  # what lies behind a dialog is not there
        return []
    levels = [int(level) for level in re.findall(r"heading .*\[level=(\d)\]", page.locator("body").aria_snapshot())]
    steps = itertools.pairwise(levels)
    right = levels[:1] == [1] and levels.count(1) == 1 and all(after <= before + 1 for before, after in steps)
    return [] if right else levels


def test_axe_would_find_something(contexts):
    page = contexts[False].new_page()
    page.goto("/accounts/login/")
    page.locator("h1").evaluate("h1 => { h1.style.color = '#ddd'; h1.append(document.createElement('button')) }")
    page.evaluate(AXE)
    assert {found[0] for found in look(page, "light")} == {"button-name", "color-contrast"}
    page.close()


def test_a_conversation_reads_in_order(contexts, names):
    page = contexts[True].new_page()
    page.goto(names["conversation"])
    tree = page.locator("body").aria_snapshot()
    wanted = [
        'link "Skip to content"',
        'navigation "Conversations"',
        "banner",
        'heading "Python Code Table Math" [level=1]',
        "main",
        'article "You said"',
        'heading "You said" [level=2]',
        'article "Demo said"',
        'heading "Demo said" [level=2]',
        "[level=3]",
        'link "Copy this answer"',
        'button "Regenerate this answer"',
        'heading "You said" [level=2]',
        'heading "Demo said" [level=2]',
        'button "Retry"',
        'textbox "Message"',
        'combobox "Model"',
        'button "Send"',
        "status",
        "alert",
    ]
    place = 0
    for line in wanted:
        place = tree.find(line, place)
        assert place >= 0, (line, tree)
        place += len(line)
    page.close()


@pytest.fixture
def said(page: Page) -> list[list[str]]:
    """What the live regions say, in order: pairs of region and sentence; the list is filled by `heard`."""
    page.add_init_script("""document.addEventListener('DOMContentLoaded', () => {
      window.said = [];
      const regions = '[role=status], [role=alert], [role=log], [aria-live]';
      new MutationObserver((changes) => {
        for (const { target } of changes) {
          const element = target.nodeType === 1 ? target : target.parentElement;
          const region = element?.closest(regions);
          const text = region?.textContent.trim();
          if (text) said.push([region.id || region.className, text]);
        }
        for (const element of changes.flatMap((change) => [...change.addedNodes]))
          if (element.nodeType === 1)
            for (const region of [element, ...element.querySelectorAll(regions)])
              if (region.matches(regions) && region.textContent.trim()) said.push(['new', region.textContent.trim()]);
      }).observe(document.documentElement, { subtree: true, childList: true, characterData: true });
    })""")
    ask(page, f"First [[length=10]] {FAST}")
    wait_until_done(page)
    page.reload()
    expect(page.locator("html.js")).to_have_count(1)
    page.evaluate("said.length = 0")
    return []


def heard(page: Page) -> list[list[str]]:
    return json.loads(page.evaluate("JSON.stringify(said)"))


def test_an_answer_is_announced_by_its_begin_and_its_end_alone(page, said):
    ask(page, "Tell me [[speed=80]] [[length=60]]")
    wait_until_done(page)
    expect(page.locator("#status")).to_have_text(re.compile(r"^Done, \d+ words$"))
    assert heard(page) == [["status", "Generating"], ["status", page.locator("#status").inner_text()]]


def test_a_stop_is_announced(page, said):
    ask(page, "Tell me [[speed=40]] [[length=600]]")
    expect(body(page)).not_to_be_empty()
    page.keyboard.press("Escape")
    wait_until_done(page)
    expect(page.locator("#status")).to_have_text("Stopped")
    assert heard(page) == [["status", "Generating"], ["status", "Stopped"]]


def test_an_error_is_announced_at_once_and_once(page, said):
    ask(page, f"Fault [[fault=cut]] [[after=20]] {FAST}")
    wait_until_done(page)
    sentence = answers(page).last.locator(".notice.error").inner_text().strip()
    expect(page.locator("#alert")).to_have_text(sentence)
    assert [line for line in heard(page) if line[0] != "status"] == [["alert", sentence]]
    ask(page, f"Again [[length=10]] {FAST}")
    wait_until_done(page)
    expect(page.locator("#alert")).to_be_empty()


def tab_stops(page: Page, most: int) -> list[str]:
    """Press Tab until the focus comes back; return the names of what had it. Each must be visible and outlined."""
    stops: list[str] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop = page.evaluate("""() => {
          const element = document.activeElement;
          if (element === document.body) return null;
          const { outlineStyle, outlineWidth } = getComputedStyle(element);
          const around = element.closest('.composer');
          const outlined = outlineStyle !== 'none' && parseFloat(outlineWidth) > 0;
          const name = element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent;
          const seen = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
          return [name.trim().replace(/\\s+/g, ' '), Boolean(seen && (outlined || around))];
        }""")
        if stop is None or (stops and stop[0] == stops[0]):
            return stops
        assert stop[1], f"the focus on {stop[0]!r} is not to be seen"
        stops.append(stop[0])
    return stops


def test_tab_reaches_everything_in_the_order_of_reading(page):
    ask(page, f"Show me python code [[length=120]] {FAST}")
    wait_until_done(page)
    page.emulate_media(reduced_motion="reduce")  # what fades in when it gets the focus is there at once
    page.locator(".skip-link").focus()
    expect(page.locator(".skip-link")).to_be_in_viewport()
    stops = tab_stops(page, 60)
    wanted = [
        "Stillwater",
        "New conversation",
        "Account of owner",
        "Commands and conversations",
        "More about this conversation",
        "Edit this message",
        "Copy this answer",
        "Regenerate this answer",
        "Message",
        "Model",
        "Send",
    ]
    places = [next((at for at, stop in enumerate(stops) if stop.endswith(name)), -1) for name in wanted]
    assert -1 not in places, (wanted, stops)
    assert places == sorted(places), stops


@pytest.mark.parametrize(
    ("button", "opens"),
    [("[popovertarget=conversation-menu]", "#conversation-menu"), (".account-button", "#account-menu")],
)
def test_a_menu_opens_and_closes_by_keyboard_and_gives_the_focus_back(page, button, opens):
    ask(page, f"Menu [[length=10]] {FAST}")
    wait_until_done(page)
    page.locator(button).focus()
    page.keyboard.press("Enter")
    expect(page.locator(opens)).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("selector => document.querySelector(selector).contains(document.activeElement)", opens)
    page.keyboard.press("Escape")
    expect(page.locator(opens)).to_be_hidden()
    expect(page.locator(button)).to_be_focused()


def test_the_drawer_opens_at_the_side_where_lines_begin(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(reduced_motion="reduce")
    for direction in ("ltr", "rtl"):
        page.evaluate("direction => { document.documentElement.dir = direction }", direction)
        page.locator(".topbar [popovertarget=sidebar]").click()
        expect(page.locator("#sidebar")).to_be_visible()
        box = page.locator("#sidebar").bounding_box()
        assert round(box["x"]) == (0 if direction == "ltr" else 390 - round(box["width"]))
        page.keyboard.press("Escape")
        expect(page.locator("#sidebar")).to_be_hidden()


def test_who_asks_for_no_motion_gets_none(page):
    page.emulate_media(reduced_motion="reduce")
    ask(page, "Slowly [[speed=20]] [[length=200]]")
    expect(body(page)).not_to_be_empty()
    assert page.evaluate("document.getAnimations().length") == 0
    page.keyboard.press("Escape")
    wait_until_done(page)


def test_what_is_chosen_is_seen_where_colours_are_forced(page):
    page.emulate_media(forced_colors="active")
    page.keyboard.press("Control+k")
    chosen = page.locator("[role=option][aria-selected=true]")
    expect(chosen).to_have_count(1)
    assert chosen.evaluate("option => getComputedStyle(option).outlineStyle") == "solid"
    page.keyboard.press("Escape")
    outline = page.locator(".new").evaluate("link => getComputedStyle(link).outlineStyle")
    assert outline == "solid"
