"""What is sent while something else happens: nothing is shown twice, lost, or sent twice."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.actions import FAST, answers, ask, body, enter, shown, wait_until_done
from tests.browser.conftest import OFFLINE, Visit

SHORT = f"{FAST} [[length=10]]"
SEND = re.compile(r"/send/$")


@pytest.fixture
def page(visit: Visit) -> Iterator[Page]:
    """A page; what the browser says about the requests that these tests lose is expected."""
    yield visit.page()
    visit.problems[:] = [problem for problem in visit.problems if not any(lost in problem for lost in OFFLINE)]


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
    assert order[:2] == ["sent", "fresh"]
    wait_until_done(page)
    expect_each_message_once(page)
    expect(answers(page)).to_have_count(2)


def answering(page: Page, *ways) -> list[Route]:
    """Have each of the first messages sent be answered in its way; return all that were sent."""
    sent: list[Route] = []

    def answer(route: Route) -> None:
        sent.append(route)
        if len(sent) <= len(ways):
            ways[len(sent) - 1](route)
        else:
            route.continue_()

    page.route(SEND, answer)
    return sent


def lose_the_answer(route: Route) -> None:
    route.fetch()
    route.abort()


def lose_the_question(route: Route) -> None:
    route.abort()


def cut_the_answer(route: Route) -> None:
    route.fetch()
    route.fulfill(status=200, body="")


def refuse_as_busy(route: Route) -> None:
    html = '<hx-partial hx-target="#composer-hint" hx-swap="innerHTML">Busy</hx-partial>'
    route.fulfill(status=503, content_type="text/html", body=html)


def attach(page: Page, name: str) -> None:
    file = {"name": name, "mimeType": "text/plain", "buffer": b"some words"}
    page.locator("#pick").set_input_files([file])
    expect(page.locator(".chip", has_text=name).locator("[name=attachment]")).to_have_count(1)


def go_offline(page: Page) -> None:
    """As far as the script can tell: it does not send again by itself."""
    page.evaluate("Object.defineProperty(navigator, 'onLine', { get: () => false, configurable: true })")


def test_a_refusal_does_not_make_a_message_be_sent_twice(page):
    """The server has it, but its answer is lost, and what is sent again meets a server that is busy."""
    begin(page)
    sent = answering(page, lose_the_answer, refuse_as_busy)
    enter(page, f"Once only {SHORT}")
    expect(hint(page)).to_have_text("Busy")
    box(page).press("Enter")
    expect(questions(page)).to_have_count(2)
    expect(box(page)).to_have_value("")
    wait_until_done(page)
    assert len(sent) == 3
    assert asked_on_the_server(page) == 2


def test_what_is_typed_after_a_loss_stays_and_what_was_tried_is_sent(page):
    begin(page)
    sent = answering(page, lose_the_answer)
    enter(page, f"Second {SHORT}")
    expect(hint(page)).to_contain_text("sending again")
    box(page).press_sequentially(" and more")
    expect(questions(page)).to_have_count(2)
    expect(box(page)).to_have_value(" and more")
    expect(hint(page)).to_be_empty()
    wait_until_done(page)
    assert len(sent) == 2
    assert asked_on_the_server(page) == 2


def test_a_message_that_had_arrived_is_not_in_the_next_one(page):
    """Its answer was lost, one went on typing, and sends all: only what is new may go."""
    begin(page)
    go_offline(page)
    answering(page, lose_the_answer)
    enter(page, f"Second {SHORT}")
    expect(hint(page)).to_contain_text("offline")
    box(page).press_sequentially(" and more")
    box(page).press("Enter")
    expect(questions(page)).to_have_count(2)
    expect(box(page)).to_have_value(" and more")
    wait_until_done(page)
    assert asked_on_the_server(page) == 2
    box(page).fill(f"Third {SHORT}")
    box(page).press("Enter")
    expect(questions(page)).to_have_count(3)
    wait_until_done(page)


def test_a_message_goes_with_its_files_also_when_it_is_sent_again(page):
    begin(page)
    attach(page, "note.txt")
    sent = answering(page, lambda route: route.fulfill(status=200, body=""))
    enter(page, f"With a file {SHORT}")
    expect(questions(page)).to_have_count(2)
    expect(questions(page).last).to_contain_text("note.txt")
    expect(page.locator(".chip")).to_have_count(0)
    wait_until_done(page)
    assert len(sent) == 2


def test_files_without_words_are_sent_again(page):
    begin(page)
    attach(page, "note.txt")
    sent = answering(page, cut_the_answer)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(questions(page)).to_have_count(2)
    expect(page.locator(".chip")).to_have_count(0)
    wait_until_done(page)
    assert len(sent) == 2
    assert asked_on_the_server(page) == 2


def test_a_file_that_was_added_too_late_stays_for_the_next_message(page):
    begin(page)
    go_offline(page)
    answering(page, lose_the_answer)
    enter(page, f"Look at this {SHORT}")
    expect(hint(page)).to_contain_text("offline")
    attach(page, "late.txt")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(questions(page)).to_have_count(2)
    expect(box(page)).to_have_value("")
    expect(page.locator(".chip")).to_have_count(1)
    wait_until_done(page)
    assert asked_on_the_server(page) == 2


def test_a_file_for_the_next_message_stays_when_enter_comes_too_early(page):
    begin(page)

    def slow(route: Route) -> None:
        answer = route.fetch()
        attach(page, "next.txt")
        box(page).press("End")
        box(page).press_sequentially(" more")
        box(page).press("Enter")
        route.fulfill(response=answer)

    sent = answering(page, slow)
    enter(page, f"First {SHORT}")
    expect(questions(page)).to_have_count(2)
    expect(box(page)).to_have_value(" more")
    expect(page.locator(".chip")).to_have_count(1)
    wait_until_done(page)
    assert len(sent) == 1


def test_an_empty_refusal_is_not_taken_for_a_lost_answer(page):
    begin(page)
    sent = answering(page, lambda route: route.fulfill(status=413, body=""))
    enter(page, f"Too long {SHORT}")
    expect(hint(page)).to_contain_text("(413)")
    expect(box(page)).to_have_value(f"Too long {SHORT}")
    page.keyboard.press("Enter")
    expect(questions(page)).to_have_count(2)
    wait_until_done(page)
    assert len(sent) == 2


def test_a_message_that_was_found_before_it_is_sent_again_is_not_said_to_wait(page):
    begin(page)
    page.evaluate(
        """window.said = []; new MutationObserver(() => said.push(document.querySelector('#status').textContent))
        .observe(document.querySelector('#status'), { childList: true, characterData: true, subtree: true })"""
    )
    answering(page, lose_the_answer)
    enter(page, f"Again {SHORT}")
    expect(hint(page)).to_contain_text("sending again")
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(questions(page)).to_have_count(2)
    expect(box(page)).to_have_value("")
    expect_each_message_once(page)
    wait_until_done(page)
    assert not [sentence for sentence in page.evaluate("said") if "waits" in sentence]


def test_a_refused_action_moves_neither_the_reader_nor_the_focus(visit, page):
    page.set_viewport_size({"width": 1000, "height": 500})
    ask(page, f"Long {FAST} [[length=400]]")
    wait_until_done(page)
    begin(page)
    refused = '<hx-partial hx-target="#composer-hint" hx-swap="innerHTML">You have reached a limit.</hx-partial>'
    page.route(
        re.compile("/regenerate/"), lambda route: route.fulfill(status=429, content_type="text/html", body=refused)
    )
    again = answers(page).first.get_by_role("button", name="Regenerate this answer")
    again.scroll_into_view_if_needed()
    again.evaluate("button => scrollBy({ top: -100, behavior: 'instant' })")
    before = page.evaluate("scrollY")
    again.press("Enter")
    expect(hint(page)).to_have_text("You have reached a limit.")
    assert abs(page.evaluate("scrollY") - before) < 60  # the hint takes a line
    page.unroute(re.compile("/regenerate/"))
    elsewhere = visit.page(page.url)
    elsewhere.get_by_role("button", name="Regenerate this answer").first.click()
    wait_until_done(elsewhere)
    expect(answers(elsewhere)).to_have_count(1)
    elsewhere.close()
    page.locator("#search").focus()
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(answers(page)).to_have_count(1)
    expect(page.locator("#search")).to_be_focused()


def waits(page: Page, text: str) -> None:
    """Have a message wait behind a long answer."""
    ask(page, "Long [[speed=40]] [[length=4000]]")
    expect(body(page)).not_to_be_empty()
    enter(page, text)
    expect(page.locator("#queue li")).to_have_count(1)


def take_back(page: Page) -> None:
    page.get_by_role("button", name="Take this message back").click()


@pytest.mark.parametrize("lose", [lose_the_answer, cut_the_answer])
def test_a_message_taken_back_is_not_lost_with_the_answer(page, lose):
    waits(page, "A thought of many words")
    page.route(re.compile("/queue/.*/edit/"), lose)
    take_back(page)
    expect(hint(page)).to_contain_text("offline")
    expect(box(page)).to_have_value("A thought of many words")
    with page.expect_request(re.compile("/draft/")) as kept:
        box(page).press_sequentially(", hm")
    expect(box(page)).to_have_value("A thought of many words, hm")
    assert kept.value.response().ok
    page.get_by_role("button", name="Stop", exact=True).click()
    wait_until_done(page)


def test_a_message_that_cannot_be_taken_back_leaves_the_composer_as_it_was(page):
    waits(page, "Too late")
    box(page).fill("Another one")
    html = '<hx-partial hx-target="#composer-hint" hx-swap="innerHTML">Sent already.</hx-partial>'
    page.route(
        re.compile("/queue/.*/edit/"), lambda route: route.fulfill(status=409, content_type="text/html", body=html)
    )
    take_back(page)
    expect(hint(page)).to_have_text("Sent already.")
    expect(box(page)).to_have_value("Another one")
    page.get_by_role("button", name="Stop", exact=True).click()
    wait_until_done(page)


def edit(page: Page, text: str):
    page.get_by_role("link", name="Edit this message").last.click()
    area = page.locator(".edit textarea")
    area.fill(text)
    return area


def test_an_edit_is_kept_until_it_is_sent_or_given_up(page):
    begin(page)
    words = f"A long careful rewording {SHORT}"
    edit(page, words)
    page.route(re.compile("/edit/"), lambda route: route.abort())
    page.keyboard.press("Control+Enter")
    expect(hint(page)).to_contain_text("your text is kept")
    page.unroute(re.compile("/edit/"))
    page.reload()
    expect(page.locator(".edit textarea")).to_have_value(words)
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".edit")).to_have_count(0)
    wait_until_done(page)
    expect(questions(page)).to_contain_text("careful rewording")
    edit(page, "Given up")
    page.keyboard.press("Escape")
    page.reload()
    page.get_by_role("link", name="Edit this message").click()
    expect(page.locator(".edit textarea")).to_have_value(words)


def test_an_edit_whose_answer_was_lost_can_be_sent_in_other_words(page):
    begin(page)
    area = edit(page, f"Reworded {SHORT}")
    lost: list[Route] = []

    def lose_the_first(route: Route) -> None:
        lost.append(route)
        if len(lost) == 1:
            lose_the_answer(route)
        else:
            route.continue_()

    page.route(re.compile("/edit/"), lose_the_first)
    page.keyboard.press("Control+Enter")
    expect(hint(page)).to_contain_text("your text is kept")
    area.fill(f"Better {SHORT}")
    page.keyboard.press("Control+Enter")
    expect(hint(page)).to_contain_text("send it again")
    expect(page.locator(".stream")).to_have_count(0)
    answer = re.compile(r'data-status="(queued|in_progress)"')
    while answer.search(page.request.get(page.url).text()):
        page.wait_for_timeout(100)
    page.keyboard.press("Control+Enter")
    expect(questions(page)).to_contain_text("Better")
    wait_until_done(page)


def test_what_was_sent_from_the_queue_is_shown_although_the_queue_was_replaced_meanwhile(page):
    """As when the answer to another message that has to wait comes between the question and the answer about it."""
    ask(page, "Short [[speed=60]] [[length=300]]")
    expect(body(page)).not_to_be_empty()
    replaced: list[Route] = []

    def replace_meanwhile(route: Route) -> None:
        answer = route.fetch()
        if answer.status == 200 and not replaced:
            replaced.append(route)
            page.evaluate(
                """() => {
                  const queue = document.querySelector('#queue').outerHTML.replace(', every 15s', '');
                  const text = `<hx-partial hx-target="#queue" hx-swap="outerHTML">${queue}</hx-partial>`;
                  htmx.swap({ text, sourceElement: document.body, swap: 'none' });
                }"""
            )
        route.fulfill(response=answer)

    page.route(re.compile("/queue/$"), replace_meanwhile)
    enter(page, f"Next {SHORT}")
    expect(page.locator("#queue li")).to_have_count(1)
    expect(questions(page)).to_have_count(2, timeout=30_000)
    assert len(replaced) == 1
    wait_until_done(page)
    expect_each_message_once(page)
