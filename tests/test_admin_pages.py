"""The way around in the admin: which pages are offered to whom, what a list says of itself, what operators read."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from conversations.measuring import figures
from conversations.models import AuditEntry, Breaker, Flag, FlagNote
from conversations.review import flags, openings
from tests.factories import make_conversation, make_model, make_running, make_turn
from tests.reviewers import make_staff, page, signed_in, text

PLACES = re.compile(r'<nav class="places".*?</nav>', re.DOTALL)


def places(html: str) -> list[str]:
    """Return the names of the pages that the navigation offers."""
    return re.findall(r">([^<>]+)</a>", PLACES.search(html)[0])


@pytest.mark.parametrize(
    ("role", "offered", "kept"),
    [
        (
            "reviewer",
            {"Review queue", "Messages", "Feedback", "Audit trail"},
            {"What runs now", "Users", "Filter rules"},
        ),
        ("operator", {"What runs now", "Breakers", "Chat models", "Deployment"}, {"Messages", "Feedback", "Users"}),
        ("owner", {"Review queue", "What runs now", "Filter rules", "Legal holds", "Users", "Groups"}, set()),
    ],
)
def test_each_role_is_led_to_its_pages(db, role, offered, kept):
    html = text(signed_in(make_staff("sam", role)), "/admin/")
    found = set(places(html))
    assert offered <= found
    assert not kept & found
    assert len(places(html)) == len(found)


def test_every_page_says_where_one_is(db):
    client = signed_in(make_staff("sam", "owner"))
    for name, label in (("flag_changelist", "Review queue"), ("auditentry_changelist", "Audit trail")):
        html = text(client, page(name))
        assert re.search(rf'aria-current="page">{label}</a>', PLACES.search(html)[0])
        assert f"<h1>{label}</h1>" in html


def test_what_is_edited_in_a_list_is_named_by_column_and_row(db):
    make_model(label='<img src=x> "\\1" big')
    html = text(signed_in(make_staff("sam", "owner")), page("chatmodel_changelist"))
    assert 'aria-label="Enabled: &lt;img src=x&gt; &quot;\\1&quot; big"' in html
    assert '<td data-label="Base URL" class="field-base_url">' in html
    assert "<img src=x>" not in html


def test_a_list_says_by_what_it_is_narrowed_down(user):
    client = signed_in(make_staff("rita", "reviewer"))
    html = text(client, page("conversation_changelist"), owner="<b>", status="failed")
    assert 'aria-label="Without user: &lt;b&gt;"' in html
    assert 'aria-label="Without answers: failed"' in html
    assert "Nothing matches." in html
    plain = text(client, page("conversation_changelist"))
    assert "Without" not in plain
    assert "Nothing here yet." in plain


def test_no_page_leads_to_a_history_that_is_closed(user):
    generation = make_turn(make_conversation(user))
    html = text(signed_in(make_staff("rita", "reviewer")), page("generation_change", generation.pk))
    assert "/replay/" in html
    assert "/history/" not in html


def test_a_decision_and_its_note_are_one_step_and_the_next_flag_follows(user):
    rita = make_staff("rita", "reviewer")
    message = make_turn(make_conversation(user)).message
    first, second, taken = (flags.raise_flag(message, source="rule", reason=word) for word in ("a", "b", "c"))
    flags.assign(taken, make_staff("rolf", "reviewer"), by=rita)
    client = signed_in(rita)
    assert page("flag_change", second.pk) in text(client, page("flag_change", first.pk))
    client.post(page("flag_step", first.pk), {"state": "resolved", "text": "Parents informed"})
    assert Flag.objects.get(pk=first.pk).state == Flag.State.RESOLVED
    assert FlagNote.objects.get().text == "Parents informed"
    client.post(page("flag_step", second.pk), {"state": "dismissed", "text": ""})
    assert "Nothing else waits for you." in text(client, page("flag_change", second.pk))


def test_operators_read_what_is_wrong_and_since_when(user):
    client = signed_in(make_staff("otto", "operator"))
    assert "Nothing that this page can see." in text(client, "/admin/operations/")
    ago = timezone.now() - timedelta(hours=3)
    Breaker.objects.create(base_url="http://a/v1", is_open=True, last_error="overloaded", changed_at=ago, retry_at=ago)
    Breaker.objects.create(base_url="http://b/v1", mode="open")
    Breaker.objects.create(base_url="http://c/v1", mode="closed")
    make_model(out_of_service_message="Until Monday.")
    conversation = make_conversation(user)
    make_turn(conversation, status="failed", error_code="timeout", created_at=ago, ended_at=timezone.now())
    make_running(make_conversation(user), status="queued", created_at=ago)
    figures.roll_up(most_seconds=10)
    html = " ".join(text(client, "/admin/operations/").split())
    for sentence in (
        "http://a/v1 has not answered for 3\xa0hours",
        "http://b/v1 is not asked: its breaker is forced open",
        "Demo: 1 answer failed in this hour and the last one",
        "the oldest for 3\xa0hours.",
        "Demo is out of service",
    ):
        assert sentence.replace("\xa0", " ") in html.replace("\xa0", " "), sentence
    assert "http://c/v1" not in html


def test_a_selection_is_opened_without_taking_it_along(user):
    rita = make_staff("rita", "reviewer")
    row, other = make_conversation(user), make_conversation(user)
    sent = {"ids": str(row.pk), "reason": "To try a rule", "form": "open"}
    response = signed_in(rita).post(page("conversation_export"), sent)
    assert (response.status_code, response["Location"]) == (302, page("conversation_changelist"))
    assert list(openings.opened_by(rita).values_list("conversation_id", flat=True)) == [row.pk]
    assert not AuditEntry.objects.filter(action="transcripts.exported").exists()
    operator = signed_in(make_staff("otto", "operator"))
    assert operator.post(page("conversation_export"), sent | {"ids": str(other.pk)}).status_code == 403


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("conversation", {"updated_at__gte": "9999-12-31T23:59:59-14:00"}),
        ("auditentry", {"at__lt": "9999-12-31T23:59:59-14:00"}),
        ("generation", {"model": "99999999999999999999"}),
    ],
)
def test_a_list_that_is_asked_for_what_cannot_be_is_shown_from_its_beginning(db, name, sent):
    client = signed_in(make_staff("sam", "owner", "reviewer", "operator"))
    response = client.get(page(f"{name}_changelist"), sent, follow=True)  # some databases know such times and numbers
    assert (response.status_code, response.request["PATH_INFO"]) == (200, page(f"{name}_changelist"))


@pytest.mark.parametrize(("name", "action"), [("conversation", "export"), ("flag", "take")])
def test_a_selection_of_what_is_no_id_is_refused_with_a_sentence(db, name, action):
    client = signed_in(make_staff("sam", "owner", "reviewer"))
    sent = {"action": action, "_selected_action": "junk"}
    response = client.post(page(f"{name}_changelist"), sent, follow=True)
    assert response.redirect_chain == [(f"{page(f'{name}_changelist')}?e=1", 302)]
    assert "This could not be looked up, and nothing was changed." in response.content.decode()
