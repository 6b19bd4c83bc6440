"""Rules in the admin: edited, refused when they cannot be bounded, tried on stored transcripts, noted."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conversations.models import AuditEntry, FilterRule
from conversations.review import openings
from conversations.safety import trials
from tests.factories import make_conversation, make_turn
from tests.filters.planted import KEYS

FIELDS = {
    "name": "Projects",
    "kind": "pattern",
    "action": "redact",
    "direction": "both",
    "position": "0",
    "source": r"PROJ-\d{3,6}",
    "ignore_case": "on",
    "timeout_seconds": "2",
    "on_failure": "open",
}


@pytest.fixture
def staff_client(client, db):
    client.force_login(get_user_model().objects.create_superuser(username="boss", password="a long password"))
    return client


def page(name: str, *args) -> str:
    return reverse(f"admin:conversations_filterrule_{name}", args=args)


def test_a_rule_starts_switched_off_and_its_changes_are_noted(staff_client):
    assert staff_client.post(page("add"), FIELDS).status_code == 302
    rule = FilterRule.objects.get()
    assert rule.enabled is False
    assert (
        staff_client.post(page("change", rule.pk), {**FIELDS, "enabled": "on", "label": "project"}).status_code == 302
    )
    assert staff_client.post(page("delete", rule.pk), {"post": "yes"}).status_code == 302
    rows = AuditEntry.objects.exclude(action="sign_in").order_by("pk")
    entries = list(rows.values_list("action", "data"))
    assert [action for action, _ in entries] == ["admin.add", "filter.switch", "admin.change", "admin.delete"]
    assert entries[1][1] == {"rule": rule.pk, "to": "on"}
    assert {data["model"] for action, data in entries if action != "filter.switch"} == {"filterrule"}
    assert "PROJ" not in str(entries)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"source": "(a{1,9}){1,9}b"}, "A quantifier cannot stand within another one"),
        ({"source": "a+"}, "Give each quantifier a bound"),
        ({"source": " "}, "Say what to look for."),
        ({"kind": "words", "source": "x" * 81}, "of at most 80 characters"),
        ({"kind": "service"}, "it cannot redact"),
        ({"kind": "service", "action": "block"}, "Give the address of the service."),
        ({"kind": "service", "action": "block", "base_url": "ftp://x"}, "Give an http(s) address"),
        ({"label": "a]b"}, "A label has no brackets."),
        ({"api_key_variable": "PATH"}, "must end in _API_KEY"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(staff_client, fields, sentence):
    html = staff_client.post(page("add"), {**FIELDS, **fields}).content.decode()
    assert sentence in html
    assert not FilterRule.objects.exists()


def test_a_rule_is_tried_on_stored_messages_and_what_it_finds_is_covered(staff_client, user):
    conversation = make_conversation(user)
    make_turn(conversation, "See PROJ-123456 please", "Nothing <b>here</b>.")
    make_turn(conversation, "And now?", "It is before PROJ-777 and PROJ-888, then.")
    rule = FilterRule.objects.create(name="Projects", kind="pattern", source=r"PROJ-\d{3,6}", direction="both")
    make_turn(make_conversation(user), "Somebody else's PROJ-555555", "Masked.")
    openings.open_transcripts(get_user_model().objects.get(username="boss"), [conversation.pk], reason="A complaint")
    html = staff_client.post(page("try", rule.pk), {"messages": "100"}).content.decode()
    assert "3 places, in 2 of 4 messages" in html
    assert "1 conversation is open to you." in html
    assert "See █████ please" in html
    assert not [number for number in ("123456", "777", "888") if f"PROJ-{number}" in html]
    entry = AuditEntry.objects.filter(action="filter.try").first()
    assert entry.data == {"rule": rule.pk, "messages": 4, "found": 3}
    newest = staff_client.post(page("try", rule.pk), {"messages": "1"}).content.decode()
    assert "2 places, in 1 of 1 messages" in newest
    FilterRule.objects.update(direction="input")
    assert (
        "1 place, in 1 of 2 messages" in staff_client.post(page("try", rule.pk), {"messages": "100"}).content.decode()
    )


def test_a_trial_tells_nothing_of_what_is_masked(staff_client, user):
    make_turn(make_conversation(user), "See PROJ-123456 please", "It is before PROJ-777, then.")
    rule = FilterRule.objects.create(name="Projects", kind="pattern", source=r"PROJ-\d{3,6}", direction="both")
    html = staff_client.post(page("try", rule.pk), {"messages": "100"}).content.decode()
    assert "0 places, in 0 of 0 messages" in html
    assert "0 conversations are open to you." in html
    assert "█" not in html


def test_a_trial_shows_its_form_first_and_refuses_nonsense(staff_client):
    rule = FilterRule.objects.create(name="Keys", kind="secrets")
    assert "Its time was over" not in staff_client.get(page("try", rule.pk)).content.decode()
    assert "less than or equal" in staff_client.post(page("try", rule.pk), {"messages": "999999"}).content.decode()
    assert not AuditEntry.objects.filter(action="filter.try").exists()


def test_a_trial_ends_when_its_time_is_over(staff_client, user, monkeypatch):
    conversation = make_conversation(user)
    make_turn(conversation, answer=KEYS["github"])
    openings.open_transcripts(get_user_model().objects.get(username="boss"), [conversation.pk], reason="A trial")
    monkeypatch.setattr(trials, "MOST_SECONDS", -1)
    rule = FilterRule.objects.create(name="Keys", kind="secrets")
    html = staff_client.post(page("try", rule.pk), {"messages": "100"}).content.decode()
    assert "Its time was over" in html
    assert "in 0 of 0 messages" in html


def test_a_trial_asks_as_little_for_many_messages_as_for_few(db, user):
    rule = FilterRule.objects.create(name="Keys", kind="secrets")
    counts, readable = [], set()
    for turns in (1, 3):
        for _ in range(turns):
            readable.add(make_turn(make_conversation(user), answer=KEYS["github"]).message.conversation_id)
        with CaptureQueriesContext(connection) as queries:
            assert trials.try_rule(rule, 40, readable=readable).found > 0
        counts.append(len(queries))
    assert counts == [2, 2]


def test_a_trial_is_only_for_those_who_may_read_messages(client, db):
    rule = FilterRule.objects.create(name="Keys", kind="secrets")
    someone = get_user_model().objects.create_user(username="ada", password="a long password", is_staff=True)
    someone.user_permissions.add(Permission.objects.get(codename="view_filterrule"))
    client.force_login(someone)
    assert client.post(page("try", rule.pk), {"messages": "1"}).status_code == 403
    someone.user_permissions.add(Permission.objects.get(codename="view_message"))
    assert client.post(page("try", rule.pk), {"messages": "1"}).status_code == 200
    FilterRule.objects.update(kind="service")
    assert client.get(page("try", rule.pk)).status_code == 403


def test_the_list_opens_with_a_constant_number_of_queries(staff_client):
    counts = []
    for rules in (1, 2):
        for number in range(rules):
            FilterRule.objects.create(name=f"Rule {rules} {number}", kind="secrets")
        with CaptureQueriesContext(connection) as queries:
            assert "Try this rule" in staff_client.get(page("changelist")).content.decode()
        counts.append(len(queries))
    assert counts[0] == counts[1]
