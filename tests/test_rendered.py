"""Finished answers keep their HTML."""

from __future__ import annotations

import pytest
from django.urls import reverse

from conversations.models import Generation, Message
from conversations.reading import rendered
from conversations.rendering.markdown import RENDERER_VERSION
from conversations.threads import reader
from tests.factories import make_conversation, make_running, make_turn, make_user

pytestmark = pytest.mark.django_db


def stored(message: Message) -> Message:
    return Message.objects.prefetch_related("generations").get(pk=message.pk)


def test_an_answer_is_rendered_once(user, django_assert_num_queries):
    answer = make_turn(make_conversation(user), answer="**Yes**").message
    rendered.refresh([stored(answer)])
    kept = stored(answer)
    assert kept.html == '<p dir="auto"><strong>Yes</strong></p>'
    assert kept.rendered_as.startswith(f"{RENDERER_VERSION}-")
    with django_assert_num_queries(0):
        rendered.refresh([kept])


def test_a_long_answer_opens_without_being_rendered_again(user, client):
    client.force_login(user)
    conversation = make_conversation(user)
    answer = make_turn(conversation, answer="Some **words** of many. " * 9_000).message
    rendered.refresh([stored(answer)])
    Message.objects.filter(pk=answer.pk).update(html="<p>What is kept is shown.</p>")
    page = client.get(reverse("conversations:conversation", args=[conversation.pk])).content.decode()
    assert "What is kept is shown." in page
    assert "of many" not in page


@pytest.mark.parametrize("change", ["another renderer", "another image host", "another generation"])
def test_an_answer_is_rendered_anew_when_it_must_be(user, settings, change):
    turn = make_turn(make_conversation(user), answer="![x](https://img.example/x.png)")
    rendered.refresh([stored(turn.message)])
    if change == "another renderer":
        Message.objects.filter(pk=turn.message_id).update(html="old", rendered_as="0-x-1-y")
    elif change == "another image host":
        settings.IMAGE_HOSTS = ["img.example"]
    else:
        more = [{"kind": "text", "text": " And more.", "from_ms": 0, "to_ms": 1}]
        Generation.objects.create(message=turn.message, kind="continue", status="completed", output=more)
    message = stored(turn.message)
    rendered.refresh([message])
    assert ("<img" in message.html) == (change == "another image host")
    assert ("And more." in message.html) == (change == "another generation")
    assert stored(turn.message).html == message.html != "old"


def test_an_answer_that_is_being_written_is_left_alone(user):
    generation = make_running(make_conversation(user))
    rendered.refresh([stored(generation.message)])
    assert stored(generation.message).rendered_as == ""


async def test_an_answer_is_rendered_when_it_ends(process):
    answer = await reader.call(lambda: make_turn(make_conversation(make_user("ada")), answer="Done."))
    await rendered.keep(answer.pk)
    message = await reader.call(lambda: stored(answer.message))
    assert message.html == '<p dir="auto">Done.</p>'
