"""Streams as a browser meets them: many updates, a first connection that fails, an end, a session that is over."""

from __future__ import annotations

import re

from playwright.sync_api import Route, expect

from conversations.live import sse
from conversations.live.message import MessageRenderer, lacking
from tests.browser.actions import answers, ask, body, shown, wait_until_done

STREAMS = re.compile(r"/generations/[0-9a-f-]+/(stream|progress)")
UPDATES = 3_000
HIDDEN = """
  let away = true; // a browser without a screen takes every tab for visible
  Object.defineProperty(Document.prototype, 'hidden', { get: () => away });
  Object.defineProperty(Document.prototype, 'visibilityState', { get: () => (away ? 'hidden' : 'visible') });
  window.turnTo = () => { away = false; document.dispatchEvent(new Event('visibilitychange')); };
"""


def updates(prefix: str) -> bytes:
    """One message for each word of a long answer, as a stream has them."""
    renderer, operations, messages = MessageRenderer(prefix, ()), 0, []
    for number in range(UPDATES):
        renderer.feed("text", f"word{number}" + ("\n\n" if number % 40 == 39 else " "), number)
        data = sse.update(prefix, lacking(renderer, operations, shows_tail=False))
        operations = len(renderer.operations)
        if data:
            messages.append(sse.message(data, event_id=str(sse.Position(operations))))
    assert len(messages) > UPDATES * 0.9
    return b"".join(messages)


def test_many_updates_are_shown_whole(visit, page):
    held: list[Route] = []
    page.route(STREAMS, lambda route: held.append(route))  # noqa: PLW0108 - a method of a list cannot be a handler
    ask(page, "Slow. [[speed=1]] [[length=400]]")
    prefix = body(page).get_attribute("id").removesuffix("body")
    while not held:
        page.wait_for_timeout(50)
    page.route(STREAMS, lambda route: route.fulfill(status=503, body="Later."))
    held[0].fulfill(content_type="text/event-stream", body=updates(prefix))
    expect(body(page)).to_contain_text(f"word{UPDATES - 2}", timeout=120_000)
    words = shown(page).split()
    assert words == [f"word{number}" for number in range(len(words))]
    visit.problems.clear()  # htmx tells of each 503


def test_tabs_that_were_opened_hidden_leave_the_connections_to_the_eighth(visit, page):
    """Over HTTP/1.1 a browser has six connections to a site."""
    ask(page, "Eight. [[speed=20]] [[length=4000]]")
    conversation = page.url
    asked: list[str] = []
    tabs = [visit.context.new_page() for _ in range(7)]
    for tab in tabs:
        tab.add_init_script(HIDDEN)
        tab.on("request", lambda request: asked.append(request.url) if STREAMS.search(request.url) else None)
        tab.goto(conversation)
    eighth = visit.page(conversation)
    before = len(shown(eighth))
    expect(body(eighth)).to_contain_text(re.compile(rf"[\s\S]{{{before + 50},}}"))
    assert asked == []
    for tab in tabs[:2]:
        tab.evaluate("turnTo()")
    eighth.keyboard.press("Escape")
    for tab in (eighth, *tabs[:2]):
        wait_until_done(tab, 60)
    assert shown(eighth) == shown(tabs[0]) == shown(tabs[1])


def test_a_first_connection_that_fails_costs_nothing(page):
    failed: list[str] = []

    def fail(route: Route) -> None:
        failed.append(route.request.url)
        route.fulfill(status=500, body="Down.")

    page.route(STREAMS, fail, times=2)
    ask(page, "Begun unseen. [[speed=60]] [[length=150]]")
    wait_until_done(page, 40)
    assert failed
    whole = shown(page)
    page.reload()
    assert shown(page) == whole


def test_nothing_asks_for_a_stream_behind_its_end(page):
    ask(page, "Short. [[speed=0]] [[length=80]]")
    wait_until_done(page)
    text = shown(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if STREAMS.search(request.url) else None)
    page.evaluate("htmx.process(document.body)")
    page.evaluate("htmx.process(document.querySelector('main'))")
    conversation = page.url
    page.goto("/shortcuts/")
    page.go_back()
    page.wait_for_url(conversation)
    expect(answers(page)).to_have_count(1)
    page.go_forward()
    page.go_back()
    page.wait_for_timeout(6_000)  # streams that were forgotten are looked for every five seconds
    assert shown(page) == text
    assert asked == []


def test_a_session_that_is_over_is_said_and_not_asked_for_again_and_again(browser, demo_server):
    with browser.new_context(base_url=demo_server.url) as context:  # a session of its own: all others share one
        page, asked = context.new_page(), list[str]()
        page.goto(demo_server.new_link())
        page.goto("/")
        ask(page, "Long. [[speed=30]] [[length=2000]]")
        expect(body(page)).to_contain_text(re.compile(r"[\s\S]{40,}"))
        page.on("request", lambda request: asked.append(request.url) if STREAMS.search(request.url) else None)
        elsewhere = context.new_page()
        elsewhere.goto("/")
        elsewhere.locator(".account-button").click()
        elsewhere.get_by_role("button", name="Sign out").click()
        expect(page.locator(".notice", has_text="Sign in")).to_be_visible()
        page.wait_for_timeout(6_000)
        assert len(asked) <= 1
