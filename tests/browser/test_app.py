"""Installed and offline: the service worker, the page it shows, what it leaves alone, and what a first visit costs."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import FAST, answers, ask, shown, wait_until_done
from tests.browser.conftest import Visit

KEPT = """async () => {
  const addresses = [];
  for (const name of await caches.keys())
    for (const request of await (await caches.open(name)).keys()) addresses.push(new URL(request.url).pathname);
  return addresses;
}"""
READY = """() => Promise.race([
  navigator.serviceWorker.ready.then(() => null),
  new Promise((_, fail) => { setTimeout(fail, 20000, new Error('no service worker')); }),
])"""


@pytest.fixture
def visit(browser, demo_server) -> Iterator[Visit]:
    visit = Visit(browser, demo_server, demo_server.log.with_name("state.json"), service_workers="allow")
    yield visit
    visit.context.close()


@pytest.fixture
def page(visit) -> Page:
    """A page that the service worker governs."""
    page = visit.page()
    page.evaluate(READY)
    page.reload()
    assert page.evaluate("navigator.serviceWorker.controller !== null")
    return page


def test_offline_a_page_says_so_and_comes_back_by_itself(visit, page):
    page.get_by_role("button", name="Account of").click()
    visit.context.set_offline(True)
    page.goto("/c/00000000-0000-7000-8000-000000000000/")
    expect(page.get_by_role("heading", name="You are offline")).to_be_visible()
    assert page.locator(".card").evaluate("card => getComputedStyle(card).borderRadius") == "20px"  # styled
    page.get_by_role("link", name="Try again").click()
    expect(page.get_by_role("heading", name="You are offline")).to_be_visible()
    visit.context.set_offline(False)
    expect(page.get_by_role("heading", name="This page does not exist")).to_be_visible()


def test_a_page_comes_back_by_itself_when_it_was_the_server_that_was_away(visit, page):
    page.add_init_script("addEventListener('online', (event) => event.stopImmediatePropagation())")
    visit.context.set_offline(True)
    page.goto("/c/00000000-0000-7000-8000-000000000000/")
    expect(page.get_by_role("heading", name="You are offline")).to_be_visible()
    visit.context.set_offline(False)
    expect(page.get_by_role("heading", name="This page does not exist")).to_be_visible(timeout=30_000)


def test_it_keeps_files_and_no_page_and_no_stream(page):
    ask(page, "Kept? [[speed=80]] [[length=40]]")
    wait_until_done(page)
    page.reload()
    kept = page.evaluate(KEPT)
    assert "/offline/" in kept
    assert any(re.fullmatch(r"/static/css/stillwater\.[0-9a-f]{12}\.css", address) for address in kept)
    assert [address for address in kept if address != "/offline/" and not address.startswith("/static/")] == []


def test_answers_stream_and_forms_work_beside_it(page):
    ask(page, "Stream [[speed=60]] [[length=120]]")
    lengths = {len(shown(page))}
    for _ in range(400):
        lengths.add(len(shown(page)))
        if len(lengths) > 3:
            break
        page.wait_for_timeout(20)
    assert len(lengths) > 3
    wait_until_done(page)
    ask(page, f"Another [[length=10]] {FAST}")
    wait_until_done(page)
    expect(answers(page)).to_have_count(2)


def test_an_old_cache_goes_when_a_new_worker_comes(visit, page):
    page.evaluate("caches.open('stillwater-old')")
    before = page.evaluate("caches.keys()")
    visit.context.add_cookies([{"name": "theme", "value": "dark", "url": visit.server.url}])  # another offline page
    page.evaluate("navigator.serviceWorker.ready.then((registration) => { registration.update(); })")
    for _ in range(200):
        after = page.evaluate("caches.keys()")
        if len(after) == 1 and after[0] not in before:
            break
        page.wait_for_timeout(50)
    assert len(after) == 1
    assert after[0] not in before


def test_the_first_visit_is_small_with_all_that_comes_after_it(browser, demo_server):
    """The page with its scripts, and what the service worker fetches beside it."""
    state = demo_server.log.with_name("state.json")
    visit = Visit(browser, demo_server, state, service_workers="allow")
    page = visit.context.new_page()
    session = visit.context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: dict[str, float] = {}
    session.on("Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}))
    asked: list[str] = []
    session.on("Network.requestWillBeSent", lambda event: asked.append(event["request"]["url"]))
    page.goto("/")
    page.evaluate(READY)
    page.wait_for_load_state("networkidle")
    beside = [page.request.get(path) for path in ("/sw.js", "/offline/", "/manifest.webmanifest")]
    assert 3 <= len(sizes) <= 12, asked
    assert len(sizes) + len(beside) <= 14, asked  # what the service worker fetches, nobody waits for
    assert sum(sizes.values()) + sum(len(answer.body()) for answer in beside) <= 90_000
    visit.context.close()


def test_nothing_moves_over_a_session(browser, demo_server):
    """Cumulative layout shift, without that which somebody's own key or click causes, as browsers count it."""
    visit = Visit(browser, demo_server, demo_server.log.with_name("state.json"))
    visit.context.add_init_script("""
      window.shifts = [];
      new PerformanceObserver((list) => {
        for (const { value, hadRecentInput, sources } of list.getEntries())
          if (!hadRecentInput) shifts.push([value, ...sources.map(({ node }) => node?.nodeName + node?.className)]);
      }).observe({ type: 'layout-shift', buffered: true });
    """)
    page = visit.page()
    ask(page, "Move nothing: a table, python code and math [[think=1]] [[speed=120]] [[length=300]]")
    wait_until_done(page)
    ask(page, "And again [[speed=120]] [[length=120]]")
    wait_until_done(page)
    page.locator("article.assistant").last.get_by_role("button", name="Regenerate").click()
    wait_until_done(page)
    page.get_by_role("button", name="Previous version").click()
    expect(page.locator(".count", has_text="1/2")).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-found [role=option]").first).to_be_visible()
    page.keyboard.press("Escape")
    page.wait_for_timeout(600)  # after this a key excuses nothing any more
    shifts = page.evaluate("shifts")
    assert sum(value for value, *_ in shifts) <= 0.005, shifts
    visit.context.close()
