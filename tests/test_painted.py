"""What browsers report of the first text on the screen, and what is not believed."""

from __future__ import annotations

import pytest

from conversations import metrics
from conversations.models import Generation
from tests.factories import make_conversation, make_turn


@pytest.fixture
def own(user):
    return make_turn(make_conversation(user))


def report(client, generation, ms, **headers):
    return client.post(f"/generations/{generation.pk}/painted", {"ms": ms}, headers=headers)


def test_a_browser_reports_once_when_text_was_painted(client, user, own):
    client.force_login(user)
    before = metrics.registry.get_sample_value("stillwater_painted_first_text_seconds_count", {"arm": "none"}) or 0
    assert report(client, own, "340").status_code == 204
    assert report(client, own, "9").status_code == 204
    own.refresh_from_db()
    assert own.painted_ms == 340
    assert (
        metrics.registry.get_sample_value("stillwater_painted_first_text_seconds_count", {"arm": "none"}) == before + 1
    )


@pytest.mark.parametrize("ms", ["", "-1", "1e3", "٣", "9999999", "x", "60000"])  # the last: older than the answer
def test_a_report_that_cannot_be_true_is_refused(client, user, own, ms):
    client.force_login(user)
    assert report(client, own, ms).status_code == 400
    own.refresh_from_db()
    assert own.painted_ms is None


def test_a_report_is_for_ones_own_generation_and_page(user, stranger, own):
    from django.test import Client as Browser

    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(user)
    assert report(browser, own, "5").status_code == 403  # no token of the page
    other = Browser()
    assert report(other, own, "5").status_code == 302  # nobody
    other.force_login(stranger)
    assert report(other, own, "5").status_code == 404
    assert other.get(f"/generations/{own.pk}/painted").status_code == 405
    assert Generation.objects.get(pk=own.pk).painted_ms is None


def test_reports_are_limited_for_each_user(client, user, own, monkeypatch):
    monkeypatch.setattr("conversations.views.measuring.REPORTS_PER_MINUTE", 3)
    monkeypatch.setattr("conversations.views.measuring._reports", type(_empty())())
    client.force_login(user)
    statuses = [report(client, own, "5").status_code for _ in range(5)]
    assert statuses == [204, 204, 204, 429, 429]


def _empty():
    from conversations.views.measuring import _reports

    return _reports
