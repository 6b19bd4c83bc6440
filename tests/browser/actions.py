"""What somebody does in the chat, for the tests that drive it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

FAST = "[[speed=0]]"


def enter(page: Page, text: str) -> None:
    """Type a message and press Enter."""
    page.get_by_role("textbox", name="Message").fill(text)
    page.keyboard.press("Enter")


def ask(page: Page, text: str) -> None:
    """Send a message and wait until the page shows it, together with the place of its answer."""
    questions = page.locator("article.user")
    before = questions.count()
    enter(page, text)
    expect(questions).to_have_count(before + 1)


def answers(page: Page):
    return page.locator("article.assistant")


def body(page: Page, number: int = -1):
    return answers(page).nth(number).locator("[id$='-body']")


def wait_until_done(page: Page, seconds: float = 20) -> None:
    expect(page.locator(".stream")).to_have_count(0, timeout=seconds * 1000)


def shown(page: Page, number: int = -1) -> str:
    prose = answers(page).nth(number).locator(".prose").filter(has=page.locator("[id$='-body']"))
    return " ".join(prose.inner_text().split())


def source(page: Page) -> str:
    """The Markdown of the last answer, as Copy gives it."""
    return page.request.get(answers(page).last.locator(".copy-answer").get_attribute("href")).text()


def expect_version(page: Page, version: str, role: str = "assistant") -> None:
    number, of = version.split("/")
    expect(page.locator(f"article.{role} .versions .count").first).to_have_text(re.compile(rf"{number}\D+{of}"))
