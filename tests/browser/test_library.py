"""The list, driven: with pointer and keyboard, with scripts and without, wide and narrow."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import FAST, ask, wait_until_done
from tests.browser.conftest import Visit

SHORT = f"{FAST} [[length=10]]"
MANY = """
from django.contrib.auth import get_user_model
from django.utils import timezone
from datetime import timedelta
from conversations.models import Conversation
from conversations.search import index_titles
owner = get_user_model().objects.get(username="owner")
now = timezone.now() - timedelta(days=800)
rows = [Conversation(owner=owner, title=f"Old number {n}", updated_at=now - timedelta(minutes=n)) for n in range(130)]
Conversation.objects.bulk_create(rows)
index_titles([row.pk for row in rows])
"""


def begin(page: Page, title: str) -> None:
    """A conversation that is called by its first words."""
    page.goto("/")
    ask_first(page, f"{title} {SHORT}")
    wait_until_done(page)
    page.request.get("/")
    rename(page, title)


def ask_first(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Message").fill(text)
    page.keyboard.press("Enter")
    page.wait_for_url("**/c/*/")


def rename(page: Page, title: str) -> None:
    """By the form of the page itself, so that no model changes the title any more."""
    page.get_by_role("button", name="More about this conversation").click()
    page.get_by_label("Title").fill(title)
    page.locator("#conversation-menu").get_by_role("button", name="Rename").click()
    expect(page.locator("#title")).to_have_text(title)


def row(page: Page, title: str):
    return page.locator("#conversations .row").filter(has=page.locator(f".label:text-is('{title}')"))


def unique(words: str) -> str:
    return f"{words} {uuid.uuid4().hex[:8]}"


def open_menu(page: Page, title: str) -> None:
    row(page, title).hover()
    row(page, title).get_by_role("link", name="Options").click()
    expect(page.locator("#item-menu")).to_be_visible()


def choose(page: Page, title: str, action: str) -> None:
    open_menu(page, title)
    page.locator("#item-menu").get_by_text(action, exact=True).click()


def test_rename_in_place_with_the_keyboard(page):
    title, other = unique("Before"), unique("After")
    begin(page, title)
    row(page, title).locator(".place").focus()
    page.keyboard.press("F2")
    field = page.locator(".rename-row input[name=title]")
    expect(field).to_be_focused()
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    expect(row(page, title)).to_have_count(1)
    choose(page, title, "Rename")
    field.fill(other)
    page.keyboard.press("Enter")
    expect(row(page, other)).to_have_count(1)
    expect(page.locator("#title")).to_have_text(other)
    expect(page).to_have_title(f"{other} · Stillwater")


def test_pin_tag_and_archive(page):
    title, tag = unique("Pinned"), unique("tag")
    begin(page, title)
    choose(page, title, "Pin to the top")
    pinned = page.get_by_role("region", name="Pinned")
    expect(pinned.locator(".label").first).to_have_text(title)
    open_menu(page, title)
    page.get_by_label("Add a tag").fill(tag)
    page.keyboard.press("Enter")
    expect(page.locator("#item-menu .tag")).to_have_text(re.compile(tag))
    page.keyboard.press("Escape")
    choose(page, title, "Archive")
    expect(row(page, title)).to_have_count(0)
    page.goto("/conversations/?place=archived")
    expect(page.locator(".managed li").filter(has_text=title)).to_contain_text(tag)


def test_delete_and_undo(page):
    shown, title = unique("Shown"), unique("Deleted")
    begin(page, title)
    begin(page, shown)
    choose(page, title, "Delete")
    expect(row(page, title)).to_have_count(0)
    toast = page.locator(".toast")
    expect(toast).to_contain_text("deleted")
    toast.get_by_role("button", name="Undo").click()
    expect(row(page, title)).to_have_count(1)
    expect(page.locator("#title")).to_have_text(shown)


def test_deleting_the_open_conversation_while_it_is_answered(visit):
    page = visit.page()
    ask_first(page, "A long one [[speed=30]] [[length=900]]")
    place = page.url
    other = visit.page(place)
    expect(other.locator(".stream")).to_have_count(1)
    page.get_by_role("button", name="More about this conversation").click()
    page.locator("#conversation-menu").get_by_role("button", name="Delete").click()
    expect(page.locator(".toast")).to_be_visible()
    assert page.url.rstrip("/") == visit.server.url
    expect(other.locator("article").get_by_text("This answer cannot be shown here any more")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast")).to_have_count(0)
    assert page.goto(place).status == 200
    expect(page.locator("article.assistant")).to_contain_text("Stopped")


def test_the_list_goes_on_as_one_scrolls(visit):
    visit.server.manage("shell", "-c", MANY)
    page = visit.page()
    rows = page.locator("#conversations .row")
    expect(rows).to_have_count(40)
    last = page.locator("#conversations .label:text-is('Old number 129')")
    for _ in range(12):
        page.locator("#conversations").evaluate("element => element.scrollTo(0, element.scrollHeight)")
        page.wait_for_timeout(250)
        if last.count():
            break
    expect(last).to_have_count(1)
    labels = page.locator("#conversations .label").all_inner_texts()
    old = [label for label in labels if label.startswith("Old number")]
    assert old == [f"Old number {number}" for number in range(130)]


def test_search_as_one_types_and_jump_to_the_message(page):
    title, needle = unique("Found"), f"needle{uuid.uuid4().hex[:8]}"
    page.goto("/")
    ask_first(page, f"Where is the {needle}? {SHORT}")
    wait_until_done(page)
    rename(page, title)
    page.goto("/")
    page.get_by_role("searchbox", name="Search conversations").press_sequentially(needle[:-2])
    hit = page.locator("#results .hit").first
    expect(hit.locator("mark")).to_have_text(needle)
    expect(page.locator("#conversations")).to_be_hidden()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(hit).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/c/.*#m"))
    expect(page.locator(f"article#{page.url.partition('#')[2]}")).to_contain_text(needle)
    search = page.get_by_role("searchbox", name="Search conversations")
    search.fill(f"nothing{uuid.uuid4().hex}")
    expect(page.locator("#results")).to_contain_text("Nothing was found.")
    search.press("Escape")
    expect(page.locator("#conversations")).to_be_visible()


def test_a_conversation_answered_elsewhere_is_marked_live(visit):
    page = visit.page()
    other = visit.page()
    ask_first(other, "Live [[speed=20]] [[length=2000]]")
    name = other.url.rstrip("/").rsplit("/", 1)[1]
    dot = page.locator(f"#row-{name} .dot")
    page.reload()
    expect(dot).to_be_visible()
    other.get_by_role("button", name="Stop", exact=True).click()
    wait_until_done(other)
    expect(dot).to_be_hidden(timeout=15_000)


def test_a_temporary_conversation_is_kept_or_gone(page):
    page.get_by_role("link", name="Temporary").click()
    expect(page.locator("#temporary")).to_contain_text("not listed")
    ask_first(page, f"Between us {SHORT}")
    wait_until_done(page)
    assert page.locator("#conversations .place[aria-current]").count() == 0
    page.reload()
    expect(page.locator("article.assistant")).to_have_count(1)
    title = page.locator("#title").inner_text()
    page.get_by_role("button", name="Keep this conversation").click()
    expect(page.locator("#temporary")).to_have_count(0)
    expect(page.locator("#conversations .place[aria-current]")).to_have_text(re.compile(re.escape(title[:9])))


def test_what_is_typed_for_a_temporary_conversation_comes_into_no_other(visit):
    page = visit.page("/?temporary=on")
    box = page.get_by_role("textbox", name="Message")
    box.press_sequentially("Between us")
    page.goto("/")
    expect(box).not_to_have_value("Between us")
    page.goto("/?temporary=on")
    expect(box).to_have_value("Between us")  # this tab knows it
    ask_first(page, f"Between us {SHORT}")
    page.goto("/?temporary=on")
    expect(box).to_have_value("")


def test_leaving_a_temporary_conversation_is_told_to_the_server(visit):
    page = visit.page("/?temporary=on")
    ask_first(page, f"Between us {SHORT}")
    wait_until_done(page)
    name = page.url.rstrip("/").rsplit("/", 1)[1]
    left = f"from conversations.models import Conversation as C; print(C.objects.get(pk='{name}').left_at)"
    assert visit.server.manage("shell", "--no-imports", "-c", left).strip() == "None"
    page.goto("/")
    page.wait_for_timeout(500)  # a beacon is sent behind the page's back
    assert visit.server.manage("shell", "--no-imports", "-c", left).strip() != "None"
    page.go_back()
    expect(page.locator("#temporary")).to_be_visible()
    page.wait_for_timeout(500)
    assert visit.server.manage("shell", "--no-imports", "-c", left).strip() == "None"


def test_a_temporary_conversation_stays_while_one_reads_about_it(page):
    page.goto("/?temporary=on")
    ask_first(page, f"Between us {SHORT}")
    wait_until_done(page)
    address = page.url
    reports = []
    page.on("request", lambda request: reports.append(request) if request.url.endswith("/presence/") else None)
    for name in ("share", "export", "print"):
        with page.expect_request(lambda request: "yes" in (request.post_data or "") and "/presence/" in request.url):
            page.goto(f"{address}{name}/")
    assert {request.url for request in reports} == {f"{address}presence/"}


def test_on_a_phone(visit):
    page = visit.page()
    page.set_viewport_size({"width": 390, "height": 800})
    page.reload()
    page.get_by_role("button", name="Conversations").click()
    page.locator("#conversations .options").first.click()
    menu = page.locator("#item-menu")
    expect(menu).to_be_visible()
    box = menu.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    menu.get_by_text("Rename", exact=True).click()
    expect(page.locator(".rename-row input[name=title]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".rename-row")).to_have_count(0)
    expect(page.locator("#sidebar")).to_be_visible()
    page.goto("/conversations/")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.fixture
def plain(browser, demo_server) -> Iterator[Page]:
    visit = Visit(browser, demo_server, demo_server.log.with_name("state.json"), java_script_enabled=False)
    yield visit.page()
    visit.context.close()


def test_everything_without_javascript(plain):
    page, title, tag = plain, unique("Plain"), unique("tag")
    page.get_by_role("textbox", name="Message").fill(f"{title} {SHORT}")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".stream")).to_have_count(0, timeout=20_000)
    page.locator("#conversations .row .place[aria-current] + .options").click()
    page.get_by_label("Title").fill(title)
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Add a tag").fill(tag)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".tag")).to_contain_text(tag)
    page.get_by_role("button", name="Pin to the top").click()
    expect(page.get_by_role("button", name="Unpin")).to_be_visible()
    page.get_by_role("link", name="All conversations").click()
    page.get_by_label("Search titles and messages").fill(title)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("checkbox", name=f"Select {title}").check()
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(page.locator(".flash")).to_contain_text("Done with 1 conversation.")
    page.goto("/conversations/?place=archived")
    page.get_by_role("checkbox", name=f"Select {title}").check()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(".managed li").filter(has_text=title)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    page.goto("/conversations/?place=archived")
    expect(page.locator(".managed li").filter(has_text=title)).to_have_count(1)


def test_bulk_selection_with_a_range(page):
    titles = [unique(f"Range {number}") for number in range(3)]
    for title in titles:
        begin(page, title)
    page.goto("/conversations/")
    ticks = page.locator("#bulk [name=ids]")
    ticks.nth(0).check()
    ticks.nth(2).click(modifiers=["Shift"])
    expect(page.locator("#bulk [name=ids]:checked")).to_have_count(3)
    page.get_by_label("All on this page").check()
    expect(page.locator("#bulk [name=ids]:not(:checked)")).to_have_count(0)
    page.get_by_label("All on this page").uncheck()
    expect(page.locator("#bulk [name=ids]:checked")).to_have_count(0)


def test_the_menu_of_a_conversation_pins_and_archives_it(page: Page) -> None:
    ask(page, f"To be pinned {FAST} [[length=20]]")
    wait_until_done(page)
    for action, back in (("Pin to the top", "Unpin"), ("Archive", "Back into the list")):
        for name in (action, back):
            page.get_by_role("button", name="More about this conversation").click()
            page.locator("#conversation-menu").get_by_role("button", name=name).click()
        page.get_by_role("button", name="More about this conversation").click()
        expect(page.locator("#conversation-menu").get_by_role("button", name=action)).to_be_visible()
        page.keyboard.press("Escape")
    page.get_by_role("button", name="More about this conversation").click()
    page.locator("#conversation-menu").get_by_role("link", name="Add a tag").click()
    expect(page.get_by_role("combobox", name="Add a tag")).to_be_visible()
