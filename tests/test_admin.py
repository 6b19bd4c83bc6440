"""The admin: its lists, models and accounts. Transcripts: `test_admin_review.py`; roles: `test_admin_roles.py`."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conversations import audit
from conversations.models import ChatModel, Conversation, Feedback, Preset
from conversations.review import flags
from tests.factories import make_conversation, make_model, make_running, make_turn


@pytest.fixture
def staff_client(client, db):
    client.force_login(get_user_model().objects.create_superuser(username="boss", password="a long password"))
    return client


def page(name: str, *args) -> str:
    return reverse(f"admin:conversations_{name}", args=args)


@pytest.mark.parametrize("name", ["conversation", "message", "generation", "auditentry", "feedback", "flag"])
def test_lists_open_with_a_constant_number_of_queries(staff_client, user, name):
    counts = []
    for turns in (1, 3):
        conversation = make_conversation(user)
        for _ in range(turns):
            message = make_turn(conversation).message
            Feedback.objects.create(owner=user, message=message, value=1)
            flags.raise_flag(message, source="rule", reason="a rule")
        with CaptureQueriesContext(connection) as queries:
            assert staff_client.get(page(f"{name}_changelist")).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_the_trail_is_filtered_by_action_without_reading_it_all(staff_client):
    for action in ("conversation.start", "flag.note", "conversation.start", "sign_out"):
        audit.record(None, action)
    with CaptureQueriesContext(connection) as queries:
        answer = staff_client.get(page("auditentry_changelist"), {"action": "conversation.start"})
    assert [row.action for row in answer.context["cl"].result_list] == ["conversation.start"] * 2
    assert "?action=flag.note" in answer.content.decode()
    assert audit.actions() == ["conversation.start", "flag.note", "sign_in", "sign_out"]
    asked = [query["sql"] for query in queries if "conversations_auditentry" in query["sql"]]
    assert not [sql for sql in asked if "DISTINCT" in sql]
    if connection.vendor == "sqlite":  # PostgreSQL reads so short a table as a whole
        plans = [row for sql in asked for row in _plan(sql)]
        assert not [row for row in plans if row.startswith("SCAN conversations_auditentry")], plans
        assert [row for row in plans if "audit_entries_by_action (action=?)" in row]


def _plan(sql: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + sql.replace("%", "%%"))
        return [row[-1] for row in cursor.fetchall()]


def test_the_list_of_presets_opens_with_a_constant_number_of_queries(staff_client):
    counts = []
    for number in range(4):
        Preset.objects.create(name=f"Preset {number}", model=make_model(model_name=f"model-{number}"))
        with CaptureQueriesContext(connection) as queries:
            assert staff_client.get(page("preset_changelist")).status_code == 200
        counts.append(len(queries))
    assert len(set(counts)) == 1


def test_staff_cannot_change_or_delete_a_conversation(staff_client, user):
    conversation = make_conversation(user)
    assert staff_client.post(page("conversation_change", conversation.pk), {"title": "Mine"}).status_code == 403
    assert staff_client.post(page("conversation_delete", conversation.pk), {"post": "yes"}).status_code == 403
    assert Conversation.objects.get().title == "A conversation"


def test_a_user_without_staff_status_is_kept_out(client, user):
    client.force_login(user)
    assert client.get(page("conversation_changelist")).status_code in {302, 403}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"api_key_variable": "SECRET_KEY"}, "must end in _API_KEY"),
        ({"base_url": "file:///etc/passwd"}, "Give an http(s) address"),
        ({"base_url": "http://user@host/v1"}, "Give an http(s) address"),
        ({"base_url": "gopher://x"}, "Give an http(s) address"),
        ({"base_url": "http://[bad"}, "This is not a complete address"),
        ({"base_url": "http://host:99999/v1"}, "This is not a complete address"),
    ],
)
def test_a_model_with_a_dangerous_field_is_refused(staff_client, fields, sentence):
    values = {"label": "M", "base_url": "http://127.0.0.1:9/v1", "model_name": "m", "position": "0", "prefill": ""}
    response = staff_client.post(page("chatmodel_add"), {**values, **fields})
    assert sentence in response.content.decode()
    assert ChatModel.objects.count() == 0


def test_a_model_can_be_added_and_is_offered(staff_client):
    make_model()
    values = {
        "label": "Mine",
        "base_url": "http://127.0.0.1:9/v1",
        "model_name": "m",
        "position": "0",
        "prefill": "",
        "enabled": "on",
    }
    assert staff_client.post(page("chatmodel_add"), values).status_code == 302
    html = staff_client.get("/").content.decode()
    assert ">Mine</option>" in html
    assert ">Demo</option>" not in html


def test_an_account_can_be_deleted_with_all_that_it_owns(staff_client, user):
    make_turn(make_conversation(user))
    make_running(make_conversation(user))
    url = reverse("admin:accounts_user_delete", args=[user.pk])
    asked = staff_client.get(url).content.decode()
    assert "Conversations: 2" in asked
    assert "A conversation" not in asked  # titles are masked here, too
    assert staff_client.post(url, {"post": "yes"}).status_code == 302
    assert not get_user_model().objects.filter(pk=user.pk).exists()
    assert Conversation.objects.count() == 0


@pytest.mark.parametrize("name", ["conversation", "generation", "auditentry", "chatmodel"])
@pytest.mark.parametrize("query", ["nonsense", "'", "%", "00000000-0000-7000-8000-000000000000"])
def test_no_search_fails(staff_client, name, query):
    assert staff_client.get(page(f"{name}_changelist"), {"q": query}).status_code == 200
