"""Where the reader is, stays where it is: while an answer is written, when it ends, and when earlier messages come."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.actions import FAST, answers, ask, enter, shown, wait_until_done
from tests.browser.conftest import Visit
from tests.long_conversation import make_on
from tests.process import ROOT
from tests.server import Server, free_port

STILL = 1.0  # pixels
LONG = "Scroll [[speed=60]] [[length=900]]"

TOP = "selector => document.querySelector(selector).getBoundingClientRect().top"
BELOW = "document.documentElement.scrollHeight - innerHeight - scrollY"
NOTE = """() => {
  const blocks = [...document.querySelectorAll('.bubble, .body > *')];
  const place = (each) => each.getBoundingClientRect();
  const seen = (each) => place(each).bottom > 80 && place(each).top < innerHeight;
  const ordered = [...blocks.filter(seen), ...blocks.filter((each) => !seen(each))];
  window.noted = ordered.map((each) => [each, place(each).top]);
}"""
MOVED = """() => {
  const [block, top] = window.noted.find(([each]) => each.isConnected);
  return Math.abs(block.getBoundingClientRect().top - top);
}"""


def until(page: Page, condition: str, seconds: float = 20) -> None:
    """Wait until an expression is true; Playwright's own way evaluates it where the policy forbids that."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


def wait_for_height(page: Page, pixels: int) -> None:
    until(page, f"document.documentElement.scrollHeight > innerHeight + {pixels}")


def be_still(page: Page) -> None:
    """Wait until a smooth scroll has come to its end."""
    before = None
    while before != (before := page.evaluate("scrollY")):
        page.wait_for_timeout(150)


def jump(page: Page):
    return page.get_by_role("button", name="Jump to latest")


@pytest.fixture
def low_page(page: Page) -> Page:
    page.set_viewport_size({"width": 900, "height": 500})
    return page


@pytest.fixture(scope="module")
def long_path(demo_server: Server) -> str:
    return make_on(demo_server, 200)


def test_the_page_follows_at_the_bottom(low_page):
    ask(low_page, LONG)
    wait_for_height(low_page, 500)
    until(low_page, f"{BELOW} < 2")
    expect(jump(low_page)).to_be_hidden()
    low_page.keyboard.press("Escape")
    wait_until_done(low_page)


@pytest.mark.parametrize("how", ["wheel", "key", "selection", "focus"])
def test_who_reads_elsewhere_is_left_there_until_jumping_to_the_latest(low_page, how):
    ask(low_page, LONG)
    wait_for_height(low_page, 400)
    if how == "wheel":
        low_page.mouse.move(400, 200)
        low_page.mouse.wheel(0, -30)
    elif how == "key":
        low_page.evaluate("document.activeElement.blur()")
        low_page.keyboard.press("ArrowUp")
    elif how == "selection":
        low_page.evaluate("getSelection().selectAllChildren(document.querySelector('.body > *'))")
    else:
        low_page.evaluate("document.querySelector('.tools a').focus({preventScroll: true})")
    expect(jump(low_page)).to_be_visible()
    be_still(low_page)
    low_page.evaluate(NOTE)
    height = low_page.evaluate("document.documentElement.scrollHeight")
    wait_for_height(low_page, height + 100 - 500)
    assert low_page.evaluate(MOVED) <= STILL
    jump(low_page).click()
    until(low_page, f"{BELOW} < 2")
    wait_for_height(low_page, height + 300 - 500)
    until(low_page, f"{BELOW} < 2")
    expect(jump(low_page)).to_be_hidden()
    low_page.keyboard.press("Escape")
    wait_until_done(low_page)


def test_a_selection_in_finished_text_outlives_the_answer(low_page):
    ask(low_page, "Explain [[speed=100]] [[length=300]]")
    wait_for_height(low_page, 100)
    low_page.evaluate("getSelection().selectAllChildren(document.querySelector('.body > *'))")
    selected = low_page.evaluate("getSelection().toString()")
    assert len(selected) > 10
    wait_until_done(low_page)
    assert low_page.evaluate("getSelection().toString()") == selected


@pytest.fixture(scope="module")
def reciting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model recites a document with definitions that change, at the end, what was shown before."""
    port = free_port()
    command = [sys.executable, "-m", "bench.stillness.provider", f"--port={port}", "--pause=0.005"]
    with subprocess.Popen(command, cwd=ROOT) as provider:
        with Server(tmp_path_factory.mktemp("reciting"), OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1") as server:
            yield server
        provider.kill()


@pytest.mark.parametrize("where", ["above", "at the bottom"])
def test_nothing_moves_when_an_answer_ends_and_is_healed(browser: Browser, reciting: Server, where):
    visit = Visit(browser, reciting, reciting.log.with_name("state.json"), viewport={"width": 900, "height": 500})
    page = visit.page()
    ask(page, "recite late-definitions 2")
    wait_for_height(page, 500)
    if where == "above":
        page.mouse.move(400, 200)
        page.mouse.wheel(0, -150)
        expect(jump(page)).to_be_visible()
        be_still(page)
        page.evaluate(NOTE)
        wait_until_done(page, 60)
        assert page.evaluate(MOVED) <= STILL
    else:
        page.evaluate(WATCH_THE_END)
        wait_until_done(page, 60)
        moved = page.evaluate("window.moved")
        assert moved is not None
        assert abs(moved) <= STILL
    whole = shown(page)
    page.reload()
    assert shown(page) == whole
    visit.context.close()
    assert visit.problems == []


WATCH_THE_END = """() => {
  let seen = null;
  const stream = () => document.querySelector('.stream');
  document.addEventListener('htmx:before:swap', ({ detail }) => {
    if (!detail.tasks.some(({ target }) => target.matches('.foot'))) return;
    seen = [...document.querySelectorAll('.body > *')].filter((each) => each.getBoundingClientRect().top > 80)
      .map((each) => [each, each.getBoundingClientRect().top]);
  });
  document.addEventListener('htmx:after:swap', () => {
    if (!seen || stream()) return;
    requestAnimationFrame(() => {
      const [block, top] = seen.find(([each]) => each.isConnected);
      window.moved = block.getBoundingClientRect().top - top;
    });
  });
}"""


def test_earlier_messages_come_on_scrolling_up_without_a_jump(visit, long_path):
    page = visit.page(long_path)
    messages = page.locator("article")
    expect(messages).to_have_count(30)
    until(page, f"{BELOW} < 2")
    for top, count in ((300, 60), (0, 90), (0, 120)):
        page.evaluate(f"scrollTo(0, {top})")
        page.evaluate(NOTE)
        expect(messages).to_have_count(count)
        page.wait_for_timeout(100)
        assert page.evaluate(MOVED) <= STILL
    numbers = re.findall(r"Question (\d+)\?", page.locator("#thread").inner_text())
    assert numbers == [str(number) for number in range(40, 100)]


def test_typing_in_a_long_conversation_is_quick(visit, long_path):
    page = visit.page(long_path)
    for count in range(60, 201, 30):
        page.evaluate("scrollTo(0, 0)")
        expect(page.locator("article")).to_have_count(min(count, 200))
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.get_by_role("textbox", name="Message").click()
    page.evaluate(
        """() => {
          window.keys = [];
          const watch = (list) => keys.push(...list.getEntries().filter(({ name }) => name === 'keydown'));
          new PerformanceObserver(watch).observe({ type: 'event', durationThreshold: 16, buffered: true });
        }"""
    )
    page.keyboard.type("A sentence of ordinary length, typed at the usual speed.", delay=20)
    page.wait_for_timeout(300)
    took = sorted(page.evaluate("keys.map(({ processingEnd, processingStart }) => processingEnd - processingStart)"))
    assert not took or took[len(took) // 2] <= 50


def test_a_link_to_a_message_opens_the_page_around_it(visit, long_path):
    page = visit.page(long_path)
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator("article")).to_have_count(60)
    article = page.locator("article.assistant").first
    name, link = article.get_attribute("id"), article.locator(".permalink").get_attribute("href")
    page.goto(link)
    expect(page).to_have_url(re.compile(rf"\\?message=[0-9a-f-]+#{name}$".replace("\\\\", "\\")))
    assert 0 < page.evaluate(TOP, f"#{name}") < 300
    for count in (60, 69):
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        expect(page.locator("article")).to_have_count(count)
    expect(page.get_by_text("Question 99?")).to_have_count(1)
    expect(page.get_by_role("link", name="Later messages")).to_have_count(0)
    page.get_by_role("button", name="Jump to latest").click()
    until(page, f"{BELOW} < 2")


def test_a_message_sent_from_an_earlier_part_is_shown_at_the_end(visit, demo_server):
    path = make_on(demo_server, 80)
    page = visit.page(path)
    page.goto(page.locator("article.user").first.locator(".permalink").get_attribute("href"))
    expect(page.get_by_role("link", name="Later messages")).to_have_count(1)
    enter(page, f"From here {FAST} [[length=20]]")
    expect(page.locator("article.user").last).to_contain_text("From here")
    wait_until_done(page)
    expect(page.get_by_role("link", name="Later messages")).to_have_count(0)
    numbers = re.findall(r"Question (\d+)\?", page.locator("#thread").inner_text())
    assert numbers[-1] == "39"


def test_a_link_to_a_message_is_copied(visit, page):
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, f"Link {FAST} [[length=20]]")
    wait_until_done(page)
    answers(page).last.get_by_role("button", name="More for this answer").click()
    answers(page).last.get_by_role("link", name="Link to this message").click()
    expect(page.locator("#status")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    name = answers(page).last.get_attribute("id")
    page.goto(copied)
    assert page.url.endswith(f"#{name}")
    expect(page.locator(f"#{name}")).to_be_visible()


def test_the_outline_of_a_long_answer_leads_to_its_headings(browser: Browser, reciting: Server):
    visit = Visit(browser, reciting, reciting.log.with_name("state.json"), viewport={"width": 900, "height": 500})
    page = visit.page()
    ask(page, "recite how-to-nested-lists 2")
    expect(page.locator(".outline")).to_have_count(0)
    wait_until_done(page, 60)
    page.locator("article.assistant").hover()
    page.locator(".outline summary").click()
    links = page.locator(".outline a")
    assert links.count() >= 3
    target = links.first.get_attribute("href")
    links.first.click()
    until(page, f"Math.abs(document.querySelector('{target}').getBoundingClientRect().top - 80) < 60")
    assert page.locator(target).inner_text() == links.first.text_content()
    page.reload()
    assert page.locator(".outline a").count() == links.count()
    visit.context.close()
    assert visit.problems == []


def test_earlier_and_later_messages_are_links_without_javascript(browser, demo_server, long_path):
    visit = Visit(browser, demo_server, demo_server.log.with_name("state.json"), java_script_enabled=False)
    page = visit.page(long_path)
    expect(page.locator("article")).to_have_count(30)
    page.get_by_role("link", name="Earlier messages").click()
    expect(page.get_by_text("Question 84?")).to_be_visible()
    expect(page.get_by_text("Question 85?")).to_have_count(0)
    page.get_by_role("link", name="Later messages").click()
    expect(page.get_by_text("Question 85?")).to_be_visible()
    visit.context.close()


@pytest.mark.parametrize("event", ["visibilitychange", "pageshow"])
def test_a_tab_that_comes_back_shows_the_truth_and_keeps_place_and_draft(visit, page, event):
    ask(page, f"First {FAST} [[length=300]]")
    wait_until_done(page)
    expect(page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}/$"))
    page.get_by_role("textbox", name="Message").fill("A draft")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('.body > *'))")
    selected = page.evaluate("getSelection().toString()")
    other = visit.page(page.url)
    ask(other, f"Elsewhere {FAST} [[length=30]]")
    wait_until_done(other)
    assert page.locator("article.user").count() == 1
    page.evaluate(NOTE)
    page.evaluate(
        "document.dispatchEvent(new Event('visibilitychange'))"
        if event == "visibilitychange"
        else "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
    )
    expect(page.locator("article.user")).to_have_count(2)
    assert shown(page) == shown(other)
    assert page.evaluate(MOVED) <= STILL
    assert page.evaluate("getSelection().toString()") == selected
    expect(page.get_by_role("textbox", name="Message")).to_have_value("A draft")


def test_a_tab_that_comes_back_shows_what_became_of_the_answer(visit, page):
    ask(page, f"First {FAST} [[length=40]]")
    wait_until_done(page)
    other = visit.page(page.url)
    answers(other).first.hover()
    answers(other).first.get_by_role("button", name="Regenerate").click()
    wait_until_done(other)
    expect(answers(other).first.locator(".versions")).to_have_count(1)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(answers(page).first.locator(".versions")).to_have_count(1)
    expect(answers(page)).to_have_count(1)
    assert shown(page) == shown(other)


def test_a_version_of_an_early_message_is_switched_in_place(visit, demo_server):
    page = visit.page(make_on(demo_server, 80))
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator("article")).to_have_count(60)
    question = page.locator("article.user", has_text="Question 20?")
    first = page.locator("article").first.get_attribute("id")
    question.hover()
    question.get_by_role("link", name="Edit this message").click()
    page.get_by_role("textbox", name="Your message in other words").fill(f"Other words {FAST} [[length=20]]")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator("article.user").last).to_contain_text("Other words")
    wait_until_done(page)
    assert page.locator("article").first.get_attribute("id") == first
    assert page.locator("article").count() == 22
    other = page.locator("article.user").last
    before = other.bounding_box()
    other.get_by_role("button", name="Previous version").click()
    expect(question).to_have_count(1)
    expect(page.locator("article").first).to_have_id(first)
    be_still(page)
    assert abs(question.bounding_box()["y"] - before["y"]) <= STILL + abs(
        question.bounding_box()["height"] - before["height"]
    )


def test_the_status_tells_that_an_answer_is_written_and_stopped(page):
    ask(page, "Status [[speed=40]] [[length=600]]")
    expect(page.locator("#status")).to_have_text("Generating")
    page.keyboard.press("Escape")
    wait_until_done(page)
    expect(page.locator("#status")).to_have_text("Stopped")


def test_a_tab_of_a_conversation_that_was_deleted_says_so_and_keeps_the_draft(visit, page):
    ask(page, f"Soon gone {FAST} [[length=20]]")
    wait_until_done(page)
    page.get_by_role("textbox", name="Message").fill("A draft")
    token = page.locator("#composer [name=csrfmiddlewaretoken]").input_value()
    path = re.search(r"/c/[0-9a-f-]{36}/", page.url)[0]
    deleted = page.request.post(f"{path}delete/", form={"csrfmiddlewaretoken": token})
    assert deleted.ok
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#composer-hint")).to_contain_text("deleted in another tab")
    expect(page.get_by_role("textbox", name="Message")).to_have_value("A draft")
