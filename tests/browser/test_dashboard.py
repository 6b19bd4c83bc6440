"""The dashboard of the admin in a real browser: for everybody, at every width, in light and dark."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import Visit

FILL = """
import random
from datetime import timedelta
from decimal import Decimal
from django.utils import timezone
from django.contrib.auth import get_user_model
from conversations.measuring import figures
from conversations.models import *
owner = get_user_model().objects.order_by("pk").first()
conversation = Conversation.objects.create(owner=owner, title="Measured", deleted_at=timezone.now())
models = list(ChatModel.objects.all()) + [
    ChatModel.objects.create(
        label="A large model with a long name", base_url="http://x/v1", model_name="large", enabled=False
    )
]
random.seed(3)
now = timezone.now()
for number in range(400):
    message = Message.objects.create(conversation=conversation, role="assistant")
    at = now - timedelta(hours=random.random() * 24 * 29)
    status = random.choices(["completed", "stopped", "interrupted", "failed"], [85, 8, 4, 3])[0]
    first = random.lognormvariate(6, 0.8)
    Generation.objects.create(
        message=message, epoch=1, model=random.choice(models), status=status, arm=random.choice(["steady", "fast"]),
        created_at=at - timedelta(seconds=12), started_at=at - timedelta(seconds=12), ended_at=at,
        time_to_first_token_ms=first, painted_ms=first + 80, input_tokens=300, output_tokens=400,
        cost=Decimal("0.0123"), error_code=random.choice(["cut", "overloaded"]) if status == "failed" else "",
    )
HourlyFigures.objects.all().delete()  # with none, the hours of a month are summed up, not only the last ones
figures.roll_up(most_seconds=60)
"""
URL = "/admin/conversations/hourlyfigures/?period=30d"


@pytest.fixture(scope="module")
def filled(demo_server):
    demo_server.manage("shell", "-c", FILL)
    return demo_server


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (820, "light"), (1440, "light")])
def test_the_dashboard_is_for_everybody(visit: Visit, filled, scheme, width):
    page = visit.page("/")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(URL)
    assert page.locator(".chart-drawing").count() == 7
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator(".chart-table summary").first.click()
    found = Axe().run(page, context="#content-main")
    assert found.response["violations"] == [], found.generate_report()
    if directory := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(directory) / f"dashboard-{scheme}-{width}.png", full_page=True)


def test_the_dashboard_is_used_by_keyboard(visit: Visit, filled):
    page = visit.page(URL)
    page.locator("[name=period]:checked").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**period=7d*")
    assert page.locator(".chart-table tbody").first.locator("tr").count() == 7


def test_a_browser_reports_when_the_first_text_was_painted(visit: Visit):
    page = visit.page("/")
    page.locator("#text").fill("Tell me. [[length=150]]")
    with page.expect_request("**/painted") as first:
        page.keyboard.press("Enter")
    assert first.value.method == "POST"
    page.locator("article.assistant .foot[data-status=completed]").wait_for()
    page.locator("#text").fill("And then? [[length=150]]")
    with page.expect_request("**/painted") as second:
        page.keyboard.press("Enter")
    assert second.value.url != first.value.url
    assert second.value.response().status == 204
