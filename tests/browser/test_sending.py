"""What is sent while something else happens: nothing is shown twice, lost, or sent twice."""

from __future__ import annotations

import re

from playwright.sync_api import Page, Route, expect

from tests.browser.actions import FAST, answers, ask, enter, shown, wait_until_done

SHORT = f"{FAST} [[length=10]]"
SEND = re.compile(r"/send/$")


def box(page: Page):
    return page.get_by_role("textbox", name="Message")


def questions(page: Page):
    return page.locator("article.user")


def hint(page: Page):
    return page.locator("#composer-hint")


def asked_on_the_server(page: Page) -> int:
    return page.request.get(page.url).text().count('class="message user"')


def expect_each_message_once(page: Page) -> None:
    ids = page.evaluate("[...document.querySelectorAll('.message')].map((message) => message.id)")
    assert len(ids) == len(set(ids))


def begin(page: Page) -> None:
    """Begin a conversation whose first answer is complete."""
    ask(page, f"Begin {SHORT}")
    wait_until_done(page)


def test_a_turn_that_a_refresh_brought_first_is_not_added_again(page):
    """The page has asked what it lacks, and then the late answer to a message comes."""
    begin(page)
    nonce = page.evaluate("document.querySelector('script[nonce]').nonce")

    def late(route: Route) -> None:
        answer = route.fetch()
        fresh = re.sub(r'hx-nonce="[^"]*"', f'hx-nonce="{nonce}"', answer.text())
        page.evaluate(
            "fresh => htmx.swap({ text: fresh, sourceElement: document.querySelector('#thread'), swap: 'none' })", fresh
        )
        route.fulfill(response=answer)

    page.route(SEND, late)
    enter(page, "Slow [[speed=15]] [[length=60]]")
    expect(questions(page)).to_have_count(2)
    expect(box(page)).to_have_value("")
    expect_each_message_once(page)
    wait_until_done(page, 30)
    expect_each_message_once(page)
    before = shown(page)
    page.reload()
    assert shown(page) == before


def test_a_page_does_not_refresh_while_it_sends_but_afterwards(page):
    begin(page)
    order: list[str] = []

    def late(route: Route) -> None:
        page.evaluate("dispatchEvent(new Event('focus'))")
        answer = route.fetch()
        order.append("sent")
        route.fulfill(response=answer)

    page.on("request", lambda request: order.append("fresh") if "/fresh/" in request.url else None)
    page.route(SEND, late)
    order.clear()
    with page.expect_request(re.compile("/fresh/")):
        enter(page, f"Slow {SHORT}")
    assert order == ["sent", "fresh"]
    wait_until_done(page)
    expect_each_message_once(page)
    expect(answers(page)).to_have_count(2)
