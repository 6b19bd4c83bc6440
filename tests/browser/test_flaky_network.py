"""Networks that are slow, that cut, and that let no stream through: nothing is lost or doubled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.actions import answers, ask, body, enter, shown, wait_until_done
from tests.browser.conftest import Visit
from tests.browser.network import BadNetwork
from tests.server import Server

QUESTION = "Flaky [[speed=50]] [[length=250]]"


@pytest.fixture
def visits(browser: Browser, demo_server: Server) -> Iterator[Callable[[int], Visit]]:
    """Visits to the demo server by way of another port; what the browser says about lost connections is expected."""
    made: list[Visit] = []

    def visit(port: int) -> Visit:
        state = demo_server.log.with_name("state.json")
        visit = Visit(browser, demo_server, state, viewport={"width": 900, "height": 600})
        storage = visit.context.storage_state()
        visit.context.close()
        visit.context = browser.new_context(base_url=f"http://127.0.0.1:{port}", storage_state=storage)
        made.append(visit)
        return visit

    yield visit
    for each in made:
        each.context.close()


def expect_nothing_lost_or_doubled(page: Page, server: Server) -> None:
    here, answer = shown(page), answers(page).count()
    page.goto(server.url + "/c/" + re.search(r"/c/([0-9a-f-]{36})/", page.url)[1] + "/")
    assert shown(page) == here
    assert answers(page).count() == answer


def test_the_state_of_the_connection_is_told_and_forgotten(visits, demo_server):
    with BadNetwork(demo_server.port) as network:
        page = visits(network.port).page()
        ask(page, "Told [[speed=40]] [[length=400]]")
        expect(body(page)).not_to_be_empty()
        notice = page.get_by_text("Connection lost, trying again")
        expect(notice).to_be_hidden()
        page.context.set_offline(True)
        network.cut_all()
        expect(notice).to_be_visible(timeout=15_000)
        page.context.set_offline(False)
        expect(notice).to_be_hidden(timeout=20_000)
        page.keyboard.press("Escape")
        wait_until_done(page, 30)
        expect_nothing_lost_or_doubled(page, demo_server)


def test_where_no_stream_comes_through_the_page_asks(visits, demo_server):
    with BadNetwork(demo_server.port, block=b"/generations/") as network:
        page = visits(network.port).page()
        ask(page, "Blocked [[speed=20]] [[length=600]]")
        expect(body(page)).not_to_be_empty(timeout=30_000)
        expect(page.locator(".stream[data-polled]")).to_have_count(1, timeout=30_000)
        before, used = len(shown(page)), page.locator("#window").get_attribute("data-used")
        expect(body(page)).to_contain_text(re.compile(rf"[\s\S]{{{before + 100},}}"), timeout=30_000)
        page.keyboard.press("Escape")
        wait_until_done(page, 15)
        page.wait_for_function("used => document.querySelector('#window').dataset.used !== used", arg=used)
        expect_nothing_lost_or_doubled(page, demo_server)
        page.goto(page.url.replace(str(demo_server.port), str(network.port)))
        ask(page, "Once more [[speed=100]] [[length=200]]")
        wait_until_done(page, 30)
        expect_nothing_lost_or_doubled(page, demo_server)


def test_slow_and_losing_connections_lose_and_double_nothing(visits, demo_server):
    """A page that came through is used over 300 ms, 2 % loss, 50 kB a second and connections that are cut."""
    with BadNetwork(demo_server.port, delay=0.3, loss=0.02, rate=50_000) as network:
        page = visits(network.port).page()
        ask(page, QUESTION)
        page.wait_for_load_state("load")
        network.cut_chance = 0.02
        for _ in range(3):
            before = answers(page).count()
            enter(page, QUESTION)
            expect(answers(page)).to_have_count(before + 1, timeout=60_000)
            expect(page.locator(".stream")).to_have_count(0, timeout=60_000)
        assert network.cuts > 0
        network.cut_chance = 0
        assert answers(page).count() == 4
        expect_nothing_lost_or_doubled(page, demo_server)


def test_a_message_whose_answer_was_lost_is_sent_again_and_once(visits, demo_server):
    with BadNetwork(demo_server.port) as network:
        page = visits(network.port).page()
        ask(page, QUESTION)
        wait_until_done(page)
        network.lose = 2
        enter(page, QUESTION)
        expect(page.get_by_text("The connection was lost; sending again")).to_be_visible()
        expect(answers(page)).to_have_count(2, timeout=30_000)
        expect(page.locator("#composer-hint")).to_be_empty()
        expect(page.get_by_role("textbox", name="Message")).to_have_value("")
        wait_until_done(page)
        assert network.cuts >= 2
        expect_nothing_lost_or_doubled(page, demo_server)


def test_a_message_that_never_gets_through_is_kept(visits, demo_server):
    with BadNetwork(demo_server.port) as network:
        page = visits(network.port).page()
        ask(page, QUESTION)
        wait_until_done(page)
        network.lose = 100
        enter(page, QUESTION)
        expect(page.get_by_text("You seem to be offline")).to_be_visible(timeout=40_000)
        expect(page.get_by_role("textbox", name="Message")).to_have_value(QUESTION)
        network.lose = 0
        page.keyboard.press("Enter")
        expect(answers(page)).to_have_count(2)
        wait_until_done(page)
        expect_nothing_lost_or_doubled(page, demo_server)


def test_a_stream_that_fell_silent_is_replaced(visit, page):
    """As when a router forgets a connection: nobody is told, and nothing comes any more."""
    page.add_init_script(
        """const plain = window.fetch;
        window.fetch = async (url, options) => {
          const answer = await plain(url, options);
          if (window.mute && String(url).includes('/stream')) {
            window.mute = false;
            return new Response(new ReadableStream({}), { headers: { 'Content-Type': 'text/event-stream' } });
          }
          return answer;
        };
        window.mute = true;"""
    )
    page.reload()
    ask(page, "Silent [[speed=60]] [[length=500]]")
    expect(body(page)).not_to_be_empty(timeout=30_000)
    expect(page.locator(".stream[data-polled]")).to_have_count(0)
    wait_until_done(page, 30)
    whole = shown(page)
    page.reload()
    assert shown(page) == whole
