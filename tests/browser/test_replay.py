"""The time machine, driven: played, scrubbed, by keyboard, without JavaScript, in every width and both themes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import ask, wait_until_done
from tests.browser.conftest import Visit
from tests.browser.test_accessibility import AXE, BEYOND, look

SOME = re.compile(r"\d{3,}")  # a hundred characters or more
WIDTHS = (390, 820, 1440)
SET = "(slider, at) => { slider.step = 1; slider.value = at; slider.dispatchEvent(new Event('input')) }"


@pytest.fixture(scope="module")
def address(browser, demo_server) -> str:
    """The replay of an answer that was written in about two seconds, and stopped being watched on the way."""
    visit = Visit(browser, demo_server, demo_server.log.with_name("state.json"))
    page = visit.page()
    ask(page, "Rivers, with a list and a table [[speed=150]] [[length=1200]]")
    wait_until_done(page)
    page.goto("/admin/conversations/generation/")
    page.locator("#result_list tbody th a").first.click()
    page.get_by_role("link", name="Replay").click()
    page.get_by_label("Why do you need to read this conversation?").fill("To see how it was written")
    page.get_by_role("button", name="Open the transcript").click()
    expect(page.locator("#replay")).to_be_visible()
    found = page.url
    visit.context.close()
    return found


@pytest.fixture
def replay(visit, address) -> Page:
    return visit.page(address)


def shown(page: Page) -> int:
    return int(page.locator("#frame .frame").get_attribute("data-characters"))


def moment(page: Page) -> int:
    return int(page.locator("#at").input_value())


def expect_end(page: Page) -> None:
    length = page.locator("#replay").get_attribute("data-length")
    expect(page.locator("#frame .frame")).to_have_attribute("data-at", length)


def total(page: Page) -> int:
    page.keyboard.press("End")
    expect(page.locator("#frame .frame")).to_have_attribute(
        "data-at", page.locator("#replay").get_attribute("data-length")
    )
    return shown(page)


def test_playing_goes_on_to_the_end_and_can_be_paused(replay):
    assert shown(replay) == 0
    replay.get_by_role("button", name="Play").click()
    expect(replay.locator("#frame .frame")).to_have_attribute("data-characters", SOME)
    replay.get_by_role("button", name="Pause").click()
    stood = moment(replay)
    replay.wait_for_timeout(300)
    assert moment(replay) == stood
    replay.get_by_label("Speed").select_option("16")
    replay.get_by_role("button", name="Play").click()
    expect(replay.get_by_role("button", name="Play")).to_be_visible()
    expect(replay.locator("#frame .frame")).to_have_attribute(
        "data-at", replay.locator("#replay").get_attribute("data-length")
    )
    assert shown(replay) > 500
    expect(replay.locator("#said")).to_contain_text("sent to the end")


def test_speed_is_what_it_says(replay):
    took = {}
    for speed in ("8", "16"):
        replay.reload()
        replay.get_by_label("Speed").select_option(speed)
        began = replay.evaluate("performance.now()")
        replay.get_by_role("button", name="Play").click()
        expect(replay.get_by_role("button", name="Play")).to_be_visible(timeout=30_000)
        took[speed] = replay.evaluate("performance.now()") - began
    length = int(replay.locator("#replay").get_attribute("data-length"))
    assert took["8"] > 0.9 * length / 8
    assert took["16"] > 0.9 * length / 16


def test_scrubbing_shows_the_moment_and_goes_back(replay):
    slider = replay.get_by_label("Moment")
    end = int(replay.locator("#replay").get_attribute("data-length"))
    seen = []
    for part in (0.5, 1, 0.25):
        at = round(end * part)
        slider.evaluate(
            "(slider, at) => { slider.step = 1; slider.value = at; slider.dispatchEvent(new Event('input')) }", at
        )
        expect(replay.locator("#frame .frame")).to_have_attribute("data-at", str(at))
        seen.append(shown(replay))
    half, whole, quarter = seen
    assert quarter < half < whole
    assert slider.get_attribute("aria-valuetext").endswith(" s")


def test_everything_works_by_keyboard(replay):
    replay.locator("#at").focus()
    whole = total(replay)
    replay.keyboard.press("Home")
    expect(replay.locator("#frame .frame")).to_have_attribute("data-characters", "0")
    replay.keyboard.press("n")
    assert moment(replay) > 0
    replay.keyboard.press("p")
    assert moment(replay) == 0
    replay.keyboard.press("ArrowRight")
    assert moment(replay) > 10
    replay.keyboard.press("Space")
    expect(replay.get_by_role("button", name="Pause")).to_be_visible()
    replay.keyboard.press("k")
    expect(replay.get_by_role("button", name="Play")).to_be_visible()
    assert whole > 500


def test_an_event_leads_to_its_moment(replay):
    link = replay.locator("#events a", has_text="First words")
    link.click()
    expect(link).to_have_attribute("aria-current", "")
    assert moment(replay) >= 0
    assert "at=" not in replay.url  # no page was loaded


def test_without_javascript_it_works_by_links_and_a_form(browser, visit, address):
    with browser.new_context(
        java_script_enabled=False,
        base_url=visit.server.url,
        storage_state=visit.server.log.with_name("state.json"),
    ) as context:
        page = context.new_page()
        page.goto(address)
        expect(page.get_by_role("button", name="Play")).to_be_hidden()
        assert shown(page) == 0
        for _ in range(20):
            following = page.get_by_role("link", name="Next event")
            if not following.count():
                break
            following.click()
        assert shown(page) > 500
        page.get_by_role("link", name="Previous event").click()
        page.get_by_role("button", name="Show this moment").click()
        assert "at=" in page.url


def test_the_replay_keeps_nobody_out(visit, address, tmp_path):
    page = visit.page(address)
    page.locator("#events a", has_text="completed").click()
    expect(page.locator("#frame .frame")).to_have_attribute("data-characters", SOME)
    page.evaluate(AXE)
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(500)  # the admin's links change their colour slowly
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert look(page, theme, runOnly=["wcag2a", "wcag2aa"]) == [], (theme, width)
            assert [html for html in page.evaluate(BEYOND) if "replay" in html] == []
            page.screenshot(path=folder / f"replay-{theme}-{width}.png", full_page=True)


@pytest.fixture(autouse=True)
def _slow_machine() -> Iterator[None]:
    expect.set_options(timeout=20_000)
    yield
    expect.set_options(timeout=10_000)
