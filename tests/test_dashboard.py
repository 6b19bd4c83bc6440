"""The sums of the dashboard, and the page that shows them."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.files.base import ContentFile
from django.db import connection
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from conversations import turns
from conversations.admin.charts import Series, bars, figure, lines
from conversations.measuring import figures
from conversations.models import ActiveUser, Conversation, Generation, HourlyFigures
from conversations.process import jobs
from tests.factories import make_conversation, make_model, make_turn, make_user

HOUR = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _today(monkeypatch):
    """A quarter past twelve, so that hours are what they seem."""
    monkeypatch.setattr(timezone, "now", lambda: HOUR + timedelta(minutes=15))


@pytest.fixture
def staff_client(client, db):
    client.force_login(get_user_model().objects.create_superuser(username="boss", password="a long password"))
    return client


def url() -> str:
    return reverse("admin:conversations_hourlyfigures_changelist")


def ended(conversation, minutes_ago: float = 5, **fields) -> Generation:
    ended_at = HOUR + timedelta(minutes=15 - minutes_ago)
    values = {
        "created_at": ended_at - timedelta(seconds=11),
        "ended_at": ended_at,
        "time_to_first_token_ms": 1_000,
        "input_tokens": 100,
        "output_tokens": 500,
        "cost": Decimal("0.25"),
        **fields,
    }
    return make_turn(conversation, **values)


def test_an_hour_is_summed_up(user):
    conversation = make_conversation(user)
    ended(conversation, painted_ms=250)
    ended(conversation, status="stopped", finish_reason="")
    ended(conversation, status="failed", finish_reason="", error_code="overloaded", output_tokens=None, cost=None)
    ended(conversation, minutes_ago=30)  # the hour before
    figures.roll_up()
    rows = {row.starts_at: row for row in HourlyFigures.objects.all()}
    assert set(rows) == {HOUR, HOUR - figures.HOUR}
    row = rows[HOUR]
    assert (row.ended, row.completed, row.stopped, row.failed, row.interrupted) == (3, 1, 1, 1, 0)
    assert (row.model, row.arm, row.errors) == ("Demo", "", {"overloaded": 1})
    assert (row.input_tokens, row.output_tokens, row.cost) == (300, 1000, Decimal("0.5"))
    assert (row.writing_tokens, row.writing_ms) == (500, 10_000)
    assert sum(row.first_token) == 3
    assert row.first_token[figures.BOUNDS_MS.index(1_000)] == 3
    assert row.painted[figures.BOUNDS_MS.index(300)] == 1
    assert list(ActiveUser.objects.values_list("starts_at", "user_id")) == [
        (HOUR - figures.HOUR, user.pk),
        (HOUR, user.pk),
    ]


def test_rolling_up_again_doubles_nothing_and_takes_in_what_came_late(user):
    conversation = make_conversation(user)
    ended(conversation)
    figures.roll_up()
    ended(conversation, minutes_ago=20)
    figures.roll_up()
    figures.roll_up()
    assert sorted(HourlyFigures.objects.values_list("ended", flat=True)) == [1, 1]
    assert ActiveUser.objects.count() == 2


def test_what_ended_while_nobody_rolled_up_is_caught_up_with(user):
    conversation = make_conversation(user)
    for days in (1, 3, 40):
        ended(conversation, minutes_ago=days * 24 * 60)
    figures.roll_up(most_seconds=0)
    assert HourlyFigures.objects.count() == 1  # its time was over after one hour
    figures.roll_up()
    assert HourlyFigures.objects.count() == 2  # what is too old is left out


def test_sums_go_when_they_are_old_and_active_users_with_their_account(user):
    HourlyFigures.objects.create(starts_at=HOUR - timedelta(days=figures.KEPT_DAYS + 1))
    ended(make_conversation(user))
    figures.roll_up()
    assert HourlyFigures.objects.count() == 1
    user.delete()
    assert ActiveUser.objects.count() == 0


def imported(user, ended_at: str) -> Conversation:
    """A conversation out of a file that says what somebody likes."""
    answer = {"status": "completed", "ended_at": ended_at, "cost": "9999999", "input_tokens": 2**31 - 1}
    messages = [
        {"id": 1, "role": "user", "text": "Why?"},
        {"id": 2, "parent": 1, "role": "assistant", "generations": [answer]},
    ]
    document = {"id": "imported-1", "title": "From elsewhere", "updated_at": ended_at, "messages": messages}
    job = turns.start_import(user, ContentFile(json.dumps([document]).encode(), "export"))
    jobs.run(job.pk)
    return user.conversations.get(origin="imported-1")


@pytest.mark.parametrize("ended_at", [HOUR.isoformat(), "2099-01-01T00:30:00+00:00"])
def test_what_was_imported_is_in_no_sum(user, stranger, ended_at):
    """Whatever it says of itself, and what is written here is summed up as before."""
    imported(user, ended_at)
    figures.roll_up()
    assert not HourlyFigures.objects.exists()
    assert not ActiveUser.objects.exists()
    ended(make_conversation(stranger))
    figures.roll_up()
    figures.roll_up()
    assert [row.cost for row in figures.lately()] == [Decimal("0.25")]


def test_what_was_imported_is_not_from_the_future(user):
    """So that a rule of retention finds it, whatever it says."""
    conversation = imported(user, "2099-01-01T00:30:00+00:00")
    row = Generation.objects.get()
    assert {conversation.updated_at, row.ended_at} == {timezone.now()}


def test_a_copy_is_in_no_sum(user):
    generation = ended(make_conversation(user))
    turns.fork(generation.message, request_key=uuid.uuid4())
    assert Generation.objects.count() == 2
    figures.roll_up()
    assert HourlyFigures.objects.get().completed == 1


def test_sums_of_hours_to_come_hold_up_nothing(user):
    """As an import could once leave them."""
    HourlyFigures.objects.create(starts_at=datetime(2099, 1, 1, tzinfo=UTC))
    ended(make_conversation(user), minutes_ago=180)
    figures.roll_up()
    assert HourlyFigures.objects.get().starts_at == HOUR - timedelta(hours=3)


def test_quantiles_lie_within_their_class():
    classes = [0] * (len(figures.BOUNDS_MS) + 1)
    assert figures.quantile(classes, 0.5) is None
    classes[figures.BOUNDS_MS.index(200)] = 90
    classes[figures.BOUNDS_MS.index(1_000)] = 10
    assert 150 < figures.quantile(classes, 0.5) < 200
    assert 700 < figures.quantile(classes, 0.95) <= 1_000
    assert figures.quantile([0] * len(figures.BOUNDS_MS) + [1], 0.5) == figures.BOUNDS_MS[-1]


def test_the_dashboard_tells_the_sums(staff_client, user):
    conversation = make_conversation(user)
    ended(conversation, arm="fast", painted_ms=300)
    ended(conversation, arm="slow", status="stopped", finish_reason="")
    ended(conversation, status="failed", finish_reason="", error_code="cut", output_tokens=None)
    figures.roll_up()
    html = staff_client.get(url()).content.decode()
    summary = dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", html))
    assert summary["Answers"] == "3"
    assert summary["Completed"] == "33.3 %"
    assert summary["Tokens per second"] == "50"
    assert summary["Cost"] == "0.75 USD"
    assert summary["Active users"] == "1"
    assert "<code>cut</code>" in html
    assert {">fast<", ">slow<"} <= set(re.findall(r">fast<|>slow<", html))
    assert html.count('<svg class="chart-drawing"') == 7


@pytest.mark.parametrize(("period", "steps"), [("24h", 24), ("7d", 7), ("30d", 30), ("nonsense", 24)])
def test_each_period_has_its_steps(staff_client, user, period, steps):
    ended(make_conversation(user))
    figures.roll_up()
    html = staff_client.get(url(), {"period": period}).content.decode()
    table = html.split("<tbody>")[1].split("</tbody>")[0]
    assert table.count("<tr>") == steps


def test_a_model_can_be_looked_at_alone(staff_client, user):
    ended(make_conversation(user, model=make_model(model_name="large", label="Large")))
    ended(make_conversation(user))
    figures.roll_up()
    html = staff_client.get(url(), {"model": "Large"}).content.decode()
    assert "<dt>Answers</dt><dd>1</dd>" in html
    assert '<option value="Large" selected>' in html
    assert "<dt>Answers</dt><dd>0</dd>" in staff_client.get(url(), {"model": "<b>"}).content.decode()


def test_the_dashboard_asks_a_constant_number_of_queries(staff_client, user):
    counts = []
    for number in (1, 3):
        for _ in range(number):
            model = make_model(model_name=f"model-{number}-{_}")
            ended(make_conversation(user, model=model), minutes_ago=60 * number)
        figures.roll_up()
        with CaptureQueriesContext(connection) as queries:
            assert staff_client.get(url(), {"period": "30d"}).status_code == 200
        counts.append(len(queries))
        assert not any("conversations_generation" in query["sql"] for query in queries)
    assert counts[0] == counts[1]


def test_the_dashboard_is_for_those_who_may_see_generations(client, user):
    client.force_login(user)
    assert client.get(url()).status_code == 302
    get_user_model().objects.filter(pk=user.pk).update(is_staff=True)
    assert client.get(url()).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_generation"))
    assert client.get(url()).status_code == 200
    assert client.post(reverse("admin:conversations_hourlyfigures_add")).status_code == 403


def test_the_link_to_the_dashboard_is_for_the_same_people(user):
    request = RequestFactory().get("/")
    request.user = user
    template = "admin/conversations/_dashboard_link.html"
    assert url() not in render_to_string(template, request=request)
    request.user = get_user_model().objects.create_superuser(username="boss", password="a long password")
    assert url() in render_to_string(template, request=request)


def test_charts_are_drawn_within_their_frame():
    chart = lines("x", "X", "s", [str(n) for n in range(24)], Series("a", [None, *range(23)]))
    points = [tuple(map(float, point.split(","))) for line in chart.drawn[0].lines for point in line.split()]
    assert len(points) == 23
    assert all(chart.left <= x <= chart.right and 0 <= y <= chart.bottom for x, y in points)
    assert len(chart.labels) <= 6
    assert bars("x", "X", "", ["1"], Series("a", [0])).is_empty
    assert [figure(value) for value in (None, 0, 0.01234, 12.345, 1234567)] == [
        "\u2013",
        "0",
        "0.0123",
        "12.3",
        "1\u202f234\u202f567",
    ]


@pytest.mark.parametrize("language", ["en", "de", "zh-hans"])
def test_drawings_are_valid_whatever_the_language(staff_client, user, language):
    ended(make_conversation(user))
    figures.roll_up()
    html = staff_client.get(url(), headers={"accept-language": language}).content.decode()
    drawings = re.findall(r"<svg class=\"chart-drawing\".*?</svg>", html, re.S)
    assert drawings
    for drawing in drawings:
        for element in ET.fromstring(drawing).iter():
            for name in {"x", "y", "cx", "cy", "width", "height", "x1", "y1"} & set(element.attrib):
                float(element.attrib[name])
    assert " style=" not in html.split('id="content-main"')[1].split("</main>")[0]


def test_active_users_are_counted_once_in_a_day(staff_client, user):
    conversation = make_conversation(user)
    for minutes in (5, 65, 125):
        ended(conversation, minutes_ago=minutes)
    ended(make_conversation(make_user("grace")))
    figures.roll_up()
    html = staff_client.get(url(), {"period": "7d"}).content.decode()
    assert "<dt>Active users</dt><dd>2</dd>" in html
