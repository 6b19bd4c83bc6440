"""Pages and actions through Django's client: ownership, methods, refusals, what works without JavaScript."""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from django.urls import reverse

from conversations.models import Conversation, Generation, Message
from tests.database import other_connection
from tests.factories import make_conversation, make_model, make_turn

pytestmark = pytest.mark.usefixtures("ending_process")


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


def test_a_send_while_an_answer_runs_waits_for_its_end(owner_client, user):
    conversation = make_conversation(user)
    make_turn(conversation, answer="", status="in_progress", finish_reason="")
    response = owner_client.post(url("send", conversation.pk), {"text": "My second question"})
    page = owner_client.get(response.url).content.decode()
    assert response.status_code == 302
    assert "Will be sent when the answer has ended." in page
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
        url_of = url("conversation", conversation.pk)
        owner_client.get(url_of)  # renders what was never shown
        with CaptureQueriesContext(connection) as queries:
            assert owner_client.get(url_of).status_code == 200
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
    assert Conversation.objects.visible().count() == 0


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


HTMX = {"HX-Request": "true"}


def test_a_repeated_send_brings_a_new_key(owner_client, user):
    conversation = make_conversation(user)
    key = str(uuid.uuid4())
    for _ in range(2):
        page = owner_client.post(url("send", conversation.pk), {"text": "A", "request_key": key}, headers=HTMX)
        assert page.status_code == 200
        assert 'id="composer-key"' in page.content.decode()
        assert key not in page.content.decode()
    page = owner_client.post(url("send", conversation.pk), {"text": "B", "request_key": key}, headers=HTMX)
    assert page.status_code == 409
    assert "send it again" in page.content.decode()
    assert 'id="composer-key"' in page.content.decode()


def test_an_answer_in_another_version_can_be_stopped(owner_client, user):
    conversation = make_conversation(user)
    shown = make_turn(conversation)
    other = Message.objects.create(conversation=conversation, parent=shown.message.parent, role="assistant")
    Generation.objects.create(message=other, status="in_progress", model=conversation.model)
    page = owner_client.get(url("conversation", conversation.pk)).content.decode()
    assert 'id="elsewhere" method="post"' in page
    assert "hidden" not in page.partition('id="elsewhere"')[2].partition(">")[0]
    Generation.objects.update(status="completed")
    page = owner_client.get(url("conversation", conversation.pk)).content.decode()
    assert "hidden" in page.partition('id="elsewhere"')[2].partition(">")[0]


def test_continue_is_offered_at_the_end_of_the_branch_only(owner_client, user):
    conversation = make_conversation(user)
    make_turn(conversation, status="stopped", finish_reason="")
    assert "Continue</button>" in owner_client.get(url("conversation", conversation.pk)).content.decode()
    make_turn(conversation)
    assert "Continue</button>" not in owner_client.get(url("conversation", conversation.pk)).content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("action", ["send", "delete"])
def test_an_action_on_what_was_deleted_meanwhile_is_not_found(owner_client, user, action):
    conversation = make_conversation(user)
    sql = "UPDATE conversations_conversation SET deleted_at = CURRENT_TIMESTAMP"
    with contextlib.closing(other_connection()) as deleting, ThreadPoolExecutor(1) as browser:
        deleting.execute("BEGIN")
        deleting.execute(sql)  # nobody sees it yet, and whoever wants to write waits for it
        answer = browser.submit(owner_client.post, url(action, conversation.pk), {"text": "x"})
        time.sleep(0.7)
        assert not answer.done()
        deleting.execute("COMMIT")
        assert answer.result(10).status_code == 404
        browser.submit(connections.close_all).result(10)
    assert Message.objects.count() == 0


def selected(response) -> list[str]:
    page = response.content.decode()
    return re.findall(
        r'<option value="(\d+)"[^>]* selected>', page.partition('id="model"')[2].partition("</select>")[0]
    )


def test_a_refused_message_keeps_the_model_that_was_chosen(owner_client, user):
    other = make_model(model_name="other", position=9)
    conversation = make_conversation(user)
    for page in (url("start"), url("send", conversation.pk)):
        response = owner_client.post(page, {"text": "  \n", "model": other.pk, "stop_first": "on"})
        assert response.status_code == 422
        assert selected(response) == [str(other.pk)]
    assert 'name="stop_first" value="on" form="composer" checked>' in response.content.decode()
    response = owner_client.post(url("send", conversation.pk), {"text": "", "model": "9" * 5000})
    assert selected(response) == [str(conversation.model_id)]
    assert 'form="composer" checked>' not in response.content.decode()


def test_the_deployment_page_is_for_staff(owner_client, user):
    assert owner_client.get(url("deployment")).status_code == 302
    user.is_staff = True
    user.save()
    assert owner_client.get(url("deployment")).status_code == 200
