"""Pages and actions through Django's client: ownership, methods, refusals, what works without JavaScript."""

from __future__ import annotations

import uuid

import pytest
from django.urls import reverse

from conversations import dispatch
from conversations.models import Conversation, Generation, Message
from tests.factories import make_conversation, make_model, make_turn


@pytest.fixture(autouse=True)
def _nothing_is_started(monkeypatch):
    for name in ("start", "hint_stop", "hint_ended"):
        monkeypatch.setattr(dispatch, name, lambda _ids: None)


@pytest.fixture
def owner_client(client, user):
    make_model()
    client.force_login(user)
    return client


def url(name: str, *args) -> str:
    return reverse(f"conversations:{name}", args=args)


ACTIONS = ("send", "stop", "rename", "delete")
MESSAGE_ACTIONS = ("regenerate", "continue", "activate")


def test_every_page_needs_a_sign_in(client, user):
    conversation = make_conversation(user)
    answer = make_turn(conversation).message
    pages = [url("home"), url("conversation", conversation.pk), url("title", conversation.pk), url("raw", answer.pk)]
    for page in [*pages, url("edit", answer.parent_id)]:
        response = client.get(page)
        assert response.status_code == 302, page
        assert response.url.startswith("/accounts/login/"), page


def test_foreign_ids_are_not_found(owner_client, stranger):
    conversation = make_conversation(stranger)
    answer = make_turn(conversation, status="stopped").message
    before = (Message.objects.count(), Generation.objects.count())
    posts = [url(name, conversation.pk) for name in ACTIONS] + [url(name, answer.pk) for name in MESSAGE_ACTIONS]
    for page in [*posts, url("edit", answer.parent_id)]:
        assert owner_client.post(page, {"text": "x", "title": "x"}).status_code == 404, page
    for page in (url("conversation", conversation.pk), url("title", conversation.pk), url("raw", answer.pk)):
        assert owner_client.get(page).status_code == 404, page
    assert (Message.objects.count(), Generation.objects.count()) == before
    assert Conversation.objects.get().title == "A conversation"


def test_actions_refuse_get(owner_client, user):
    conversation = make_conversation(user)
    answer = make_turn(conversation).message
    for page in [url(name, conversation.pk) for name in ACTIONS] + [url(name, answer.pk) for name in MESSAGE_ACTIONS]:
        assert owner_client.get(page).status_code == 405, page


def test_actions_need_a_csrf_token(user):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    conversation = make_conversation(user)
    assert client.post(url("send", conversation.pk), {"text": "x"}).status_code == 403
    assert client.post(url("delete", conversation.pk)).status_code == 403
    assert Conversation.objects.count() == 1


def test_start_redirects_to_the_conversation(owner_client):
    response = owner_client.post(url("start"), {"text": "Hello", "request_key": str(uuid.uuid4())})
    conversation = Conversation.objects.get()
    assert (response.status_code, response.url) == (302, url("conversation", conversation.pk))


@pytest.mark.parametrize("text", ["", "   \n ", None])
def test_an_empty_message_is_refused_with_a_sentence(owner_client, text):
    response = owner_client.post(url("start"), {} if text is None else {"text": text})
    assert response.status_code == 422
    assert "Write a message first." in response.content.decode()
    assert Conversation.objects.count() == 0


def test_a_message_that_is_too_long_is_kept_in_the_composer(owner_client, settings):
    text = "long " * 30_000
    response = owner_client.post(url("start"), {"text": text})
    assert response.status_code == 422
    assert "too long" in response.content.decode()
    assert text.strip()[:5000] in response.content.decode()


@pytest.mark.parametrize(
    "fields",
    [
        {"request_key": "not-a-key"},
        {"model": "999999"},
        {"model": "x' OR 1=1"},
        {"request_key": "\0"},
    ],
)
def test_broken_fields_are_refused_without_a_row(owner_client, fields):
    response = owner_client.post(url("start"), {"text": "Hello", **fields})
    assert response.status_code == 422
    assert Conversation.objects.count() == 0


def test_a_send_while_an_answer_runs_keeps_the_text(owner_client, user):
    conversation = make_conversation(user)
    make_turn(conversation, answer="", status="in_progress", finish_reason="")
    response = owner_client.post(url("send", conversation.pk), {"text": "My second question"})
    page = response.content.decode()
    assert response.status_code == 409
    assert "still being written" in page
    assert "My second question" in page
    assert Message.objects.count() == 2


def test_a_message_without_models_says_what_to_do(owner_client, user):
    from conversations.models import ChatModel

    ChatModel.objects.update(enabled=False)
    response = owner_client.post(url("start"), {"text": "Hello"})
    assert response.status_code == 422
    assert "No model is set up" in response.content.decode()


def test_htmx_send_answers_with_both_bubbles(owner_client, user):
    conversation = make_conversation(user)
    response = owner_client.post(
        url("send", conversation.pk),
        {"text": "Hello <b>", "request_key": str(uuid.uuid4())},
        headers={"HX-Request": "true"},
    )
    page = response.content.decode()
    assert response.status_code == 200
    assert "Hello &lt;b&gt;" in page
    assert "hx-sse:connect=" in page
    assert "<html" not in page


def test_nul_in_a_message_is_refused_or_dropped(owner_client):
    response = owner_client.post(url("start"), {"text": "a\0b"})
    assert response.status_code == 422
    assert Conversation.objects.count() == 0


def test_the_number_of_queries_does_not_grow_with_the_conversation(owner_client, user, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    counts = []
    for turns in (1, 3):
        conversation = make_conversation(user)
        for _ in range(turns):
            make_turn(conversation)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert owner_client.get(url("conversation", conversation.pk)).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_raw_gives_the_source(owner_client, user):
    answer = make_turn(make_conversation(user), answer="# Title\n\n<script>").message
    response = owner_client.get(url("raw", answer.pk))
    assert response.content.decode() == "# Title\n\n<script>"
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_regenerate_and_activate_without_javascript(owner_client, user):
    conversation = make_conversation(user)
    answer = make_turn(conversation, answer="The first version.").message
    response = owner_client.post(url("regenerate", answer.pk), {"request_key": str(uuid.uuid4())})
    assert (response.status_code, response.url) == (302, url("conversation", conversation.pk))
    owner_client.post(url("activate", answer.pk))
    assert "The first version." in owner_client.get(url("conversation", conversation.pk)).content.decode()


def test_edit_shows_a_page_and_makes_a_branch(owner_client, user):
    conversation = make_conversation(user)
    question = make_turn(conversation, "Old words").message.parent
    assert "Old words" in owner_client.get(url("edit", question.pk)).content.decode()
    response = owner_client.post(url("edit", question.pk), {"text": "New words", "request_key": str(uuid.uuid4())})
    assert response.status_code == 302
    assert "New words" in owner_client.get(url("conversation", conversation.pk)).content.decode()


def test_delete_removes_the_conversation(owner_client, user):
    conversation = make_conversation(user)
    assert owner_client.post(url("delete", conversation.pk)).url == url("home")
    assert Conversation.objects.count() == 0


def test_pages_have_a_strict_policy_and_no_inline_code(owner_client, user):
    conversation = make_conversation(user)
    make_turn(conversation)
    response = owner_client.get(url("conversation", conversation.pk))
    policy = response["Content-Security-Policy"]
    page = response.content.decode()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert " style=" not in page
    assert " onclick=" not in page
    assert "<script>" not in page


def test_a_title_that_asks_for_ever_is_not_possible(owner_client, user):
    conversation = make_conversation(user)
    assert "hx-get" in owner_client.get(url("title", conversation.pk), {"attempt": "1"}).content.decode()
    for attempt in ("8", "99999", "-1", "x", "٣"):
        assert "hx-get" not in owner_client.get(url("title", conversation.pk), {"attempt": attempt}).content.decode()
