"""The admin: staff read transcripts as users saw them, edit models, and nothing else."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conversations.models import ChatModel, Conversation
from tests.factories import make_conversation, make_model, make_turn


@pytest.fixture
def staff_client(client, db):
    client.force_login(get_user_model().objects.create_superuser(username="boss", password="a long password"))
    return client


def page(name: str, *args) -> str:
    return reverse(f"admin:conversations_{name}", args=args)


def test_a_transcript_is_shown_by_the_same_renderer(staff_client, user):
    conversation = make_conversation(user, title="<b>Title</b>")
    make_turn(conversation, "What is <b>?", "It is **bold** and <script>alert(1)</script>.")
    html = staff_client.get(page("conversation_change", conversation.pk)).content.decode()
    assert "<strong>bold</strong>" in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "What is &lt;b&gt;?" in html
    assert "<b>Title</b>" not in html


@pytest.mark.parametrize("name", ["conversation", "message", "generation", "auditentry"])
def test_lists_open_with_a_constant_number_of_queries(staff_client, user, name):
    counts = []
    for turns in (1, 3):
        conversation = make_conversation(user)
        for _ in range(turns):
            make_turn(conversation)
        with CaptureQueriesContext(connection) as queries:
            assert staff_client.get(page(f"{name}_changelist")).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


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
