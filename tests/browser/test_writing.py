"""Files, settings and the model's window in a real browser, with and without its script."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.actions import FAST, ask, wait_until_done
from tests.browser.conftest import Visit
from tests.server import Server


@pytest.fixture
def small_server(tmp_path) -> Iterator[Server]:
    """A server whose models are taken to read very little."""
    with Server(tmp_path, DEFAULT_CONTEXT_WINDOW="2000") as server:
        yield server


@pytest.fixture(autouse=True)
def _no_file_is_left(page: Page) -> Iterator[None]:
    """All tests are the same person, whose next message files would wait for."""
    yield
    page.goto("/")
    while page.locator(".chip").count():
        with page.expect_response(re.compile("/remove/$")):
            page.locator(".chip-remove").first.click()


def picture(name: str = "lake.png") -> dict:
    data = io.BytesIO()
    Image.new("RGB", (40, 30), (30, 120, 140)).save(data, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": data.getvalue()}


def notes(name: str = "notes.md") -> dict:
    return {"name": name, "mimeType": "text/markdown", "buffer": b"# Notes\n" + b"word " * 700}


def attached(page: Page):
    return page.locator(".chip input[name=attachment]")


def test_files_are_uploaded_shown_and_sent(page: Page) -> None:
    page.set_input_files("#pick", [picture("<b>lake.png"), notes()])
    expect(attached(page)).to_have_count(2)
    expect(page.locator(".chip-name").first).to_have_text("<b>lake.png")
    page.get_by_role("button", name="Remove notes.md").click()
    expect(attached(page)).to_have_count(1)
    page.get_by_role("textbox", name="Message").fill(f"What is this? {FAST} [[length=20]]")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article.user img")).to_have_attribute("alt", "<b>lake.png")
    wait_until_done(page)
    width = page.locator("article.user img").evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert width == 40
    page.set_input_files("#pick", notes())
    expect(attached(page)).to_have_count(1)
    ask(page, f"And this? {FAST} [[length=20]]")
    expect(page.locator("article.user .file")).to_have_text("notes.md")
    expect(page.locator(".chip")).to_have_count(0)
    wait_until_done(page)


def test_attached_files_survive_a_reload(page: Page) -> None:
    page.set_input_files("#pick", picture())
    expect(attached(page)).to_have_count(1)
    page.reload()
    expect(attached(page)).to_have_count(1)
    expect(page.locator(".chip-name")).to_have_text("lake.png")
    with page.expect_response(re.compile("/remove/$")):
        page.get_by_role("button", name="Remove lake.png").click()
    page.reload()
    expect(page.locator(".chip")).to_have_count(0)


def test_a_refused_file_is_told_and_leaves_nothing(page: Page) -> None:
    page.set_input_files("#pick", {"name": "x.bin", "mimeType": "application/octet-stream", "buffer": b"\0\1"})
    expect(page.locator("#composer-hint")).to_contain_text("“x.bin” is neither")
    expect(page.locator(".chip")).to_have_count(0)


@pytest.mark.parametrize("how", ["paste", "drop"])
def test_images_are_pasted_and_dropped(page: Page, how: str) -> None:
    page.get_by_role("textbox", name="Message").evaluate(
        """(text, [how, bytes]) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], 'lake.png', { type: 'image/png' }));
          const options = { bubbles: true, cancelable: true };
          text.dispatchEvent(how === 'paste'
            ? new ClipboardEvent('paste', { ...options, clipboardData: data })
            : new DragEvent('drop', { ...options, dataTransfer: data }));
        }""",
        [how, list(picture()["buffer"])],
    )
    expect(attached(page)).to_have_count(1)


def test_the_window_fills_with_what_is_typed_and_after_each_answer(page: Page) -> None:
    button = page.locator(".window-button")
    expect(button).to_have_accessible_name(re.compile("Context: 0 %"))
    page.get_by_role("textbox", name="Message").fill("word " * 15_000)
    expect(button).to_have_accessible_name(re.compile("Context: [67]. %"))
    page.get_by_role("textbox", name="Message").fill("")
    expect(button).to_have_accessible_name(re.compile("Context: 0 %"))
    page.get_by_role("textbox", name="Message").fill(f"Hello {FAST} [[length=900]]")
    page.keyboard.press("Enter")
    wait_until_done(page)
    expect(button).to_have_accessible_name(re.compile("Context: [1-9] %"))
    button.click()
    expect(page.locator("#window-panel .window-used")).to_have_text(re.compile("[0-9]"))
    page.keyboard.press("Escape")
    page.get_by_role("button", name="More for this answer").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Details of this answer")).to_contain_text("900")


def test_a_line_shows_from_where_on_messages_are_sent(browser: Browser, small_server: Server) -> None:
    visit = Visit(browser, small_server, small_server.log.with_name("state.json"))
    page = visit.page()
    page.get_by_role("textbox", name="Message").fill(f"First {FAST} [[length=900]]")
    page.keyboard.press("Enter")
    expect(page.locator("article.user")).to_have_count(1)
    wait_until_done(page)
    for number in range(2):
        ask(page, f"Question {number} {FAST} [[length=900]]")
        wait_until_done(page)
    expect(page.locator(".window.full .percent")).to_be_visible()
    expect(page.locator("#window[data-begins]")).to_have_count(1)
    page.reload()
    expect(page.locator("article.user:has(#window-line)")).to_have_count(1)
    expect(page.locator("article.user").first.locator("#window-line")).to_have_count(0)
    expect(page.locator("#window-line")).to_contain_text("Messages above this line")
    visit.context.close()
    assert visit.problems == []


def test_settings_open_beside_the_conversation_and_are_kept(page: Page) -> None:
    ask_first(page)
    link = page.get_by_role("link", name="Settings of this conversation")
    link.click()
    panel = page.get_by_role("dialog")
    panel.get_by_label("System prompt").fill("Be kind.")
    panel.get_by_label("Temperature").fill("7")
    panel.get_by_role("button", name="Save", exact=True).click()
    expect(panel.locator(".field-error")).to_be_visible()
    expect(panel.get_by_label("System prompt")).to_have_value("Be kind.")
    panel.get_by_label("Temperature").fill("0.7")
    panel.get_by_label("Name of a new preset").fill("Kindness")
    panel.get_by_role("button", name="Save as a preset").click()
    expect(panel.locator(".presets .applied")).to_contain_text("Kindness")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    page.reload()
    page.get_by_role("link", name="some are set").click()
    expect(panel.get_by_label("Temperature")).to_have_value("0.7")
    page.goto("/settings/")
    page.locator("summary", has_text="Kindness").click()
    page.get_by_role("button", name="Delete the preset Kindness").click()
    expect(page.get_by_text("None yet.")).to_be_visible()


def ask_first(page: Page) -> None:
    page.get_by_role("textbox", name="Message").fill(f"Hello {FAST} [[length=20]]")
    page.keyboard.press("Enter")
    expect(page.locator("article.user")).to_have_count(1)
    wait_until_done(page)


def test_files_and_settings_work_without_javascript(browser: Browser, demo_server: Server) -> None:
    visit = Visit(browser, demo_server, demo_server.log.with_name("state.json"), java_script_enabled=False)
    page = visit.page()
    page.get_by_role("link", name="Settings of this conversation").click()
    page.get_by_label("System prompt").fill("Be kind.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("It holds from the next answer on.")).to_be_visible()
    page.set_input_files("#pick", [picture(), notes()])
    page.get_by_role("textbox", name="Message").fill(f"Look {FAST} [[length=20]]")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("article.user img")).to_have_attribute("alt", "lake.png")
    expect(page.locator("article.user .file")).to_have_text("notes.md")
    page.get_by_role("link", name="some are set").click()
    expect(page.get_by_label("System prompt")).to_have_value("Be kind.")
    visit.context.close()
