"""Answers in progress without a stream: what is asked for a piece at a time is what a stream would have brought."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from conversations.models import Delta
from conversations.rendering.markdown import render
from tests.factories import make_conversation, make_running
from tests.viewer import PARTIAL, parse, shown_text

POSITION = re.compile(r'data-position="([^"]+)"')


@pytest.fixture
def generation(user):
    return make_running(make_conversation(user))


@pytest.fixture
def ask(client, user, generation):
    client.force_login(user)

    def ask(start: str, *, polled: bool = True):
        url = reverse("conversations:progress", args=[generation.pk])
        return client.get(url, {"from": start, **({"polled": ""} if polled else {})})

    return ask


def write(generation, seq: int, text: str) -> None:
    Delta.objects.create(generation=generation, seq=seq, kind="text", text=text, at_ms=seq * 10)


def finish(generation, text: str) -> None:
    Delta.objects.filter(generation=generation).delete()
    generation.output = [{"kind": "text", "text": text, "from_ms": 0, "to_ms": 100}]
    generation.status, generation.finish_reason = "completed", "stop"
    generation.save()


def letters(html: str) -> str:
    return "".join(shown_text(parse(html)).split())


def position(client, generation) -> str:
    page = client.get(reverse("conversations:conversation", args=[generation.message.conversation_id]))
    return POSITION.search(page.content.decode())[1]


def test_asking_brings_what_is_new_and_where_to_go_on(client, generation, ask):
    write(generation, 0, "First paragraph.\n\n")
    start = position(client, generation)
    assert ask(start).status_code == 204
    write(generation, 1, "Second paragraph.\n\nThird")
    answer = ask(start).content.decode()
    assert "Second paragraph" in answer
    assert "First paragraph" not in answer
    assert "data-polled" in answer
    assert "hx-sse:connect" not in answer
    assert ask(POSITION.search(answer)[1]).status_code == 204


def test_a_page_that_does_not_poll_is_given_a_stream_from_where_it_is(client, generation, ask):
    start = position(client, generation)
    write(generation, 0, "One paragraph.\n\n")
    answer = ask(start, polled=False).content.decode()
    here = POSITION.search(answer)[1]
    assert f"stream?from={here}" in answer
    assert here != start


def test_a_tail_that_the_stream_showed_is_taken_away_with_what_is_new(client, generation, ask):
    start = position(client, generation)
    assert ask(f"{start}.5").status_code == 204
    write(generation, 0, "One paragraph.\n\n")
    assert '-tail" hx-swap="delete"' in ask(f"{start}.5").content.decode()


@pytest.mark.parametrize("start", ["", "nonsense", "zz.9", "r1.999999999"])
def test_from_an_unknown_position_everything_is_replaced(generation, ask, start):
    write(generation, 0, "One paragraph.\n\n")
    answer = ask(start).content.decode()
    assert "One paragraph" in answer
    assert '-body" hx-swap="innerHTML"' in answer


def test_the_end_brings_the_rest_and_the_footer(client, generation, ask):
    start = position(client, generation)
    finish(generation, "Whole *answer*, [linked].\n\n[linked]: https://example.com/\n")
    answer = ask(start).content.decode()
    assert '-footer" hx-swap="outerHTML"' in answer
    assert "data-position" not in answer
    assert "https://example.com/" in answer


def test_pieces_asked_for_add_up_to_the_reload(client, generation, ask):
    start, body = position(client, generation), ""
    text = "# Title\n\nSome *text* here.\n\n- one\n- two\n\n```python\nprint(1)\n```\n\nThe end."
    for seq, begin in enumerate(range(0, len(text), 7)):
        write(generation, seq, text[begin : begin + 7])
        answer = ask(start).content.decode()
        if answer:
            start = POSITION.search(answer)[1]
            body += "".join(html for target, _, html in PARTIAL.findall(answer) if "-body" in target)
    finish(generation, text)
    body += "".join(html for target, _, html in PARTIAL.findall(ask(start).content.decode()) if "-body" in target)
    assert letters(body) == letters(render(text))
