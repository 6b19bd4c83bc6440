"""Long conversations: what is read to show a part of them, and what a page lacks."""

from __future__ import annotations

import re
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conversations.live.state import dom_id
from conversations.models import Message, paths
from conversations.reading import rendered, transcript, windows
from conversations.reading.outlines import outline
from conversations.reading.windows import Shown
from tests.factories import make_conversation, make_running, make_turn
from tests.long_conversation import make_long


@pytest.fixture
def long(user):
    return make_long(user, 100, filler="")


@pytest.fixture
def signed_in(client, user):
    client.force_login(user)
    return client


def url(name: str, *args) -> str:
    return reverse(f"conversations:{name}", args=args)


def ids(conversation) -> list[uuid.UUID]:
    return list(conversation.messages.order_by("pk").values_list("pk", flat=True))


def shown(conversation) -> list[Shown]:
    return [Shown(view.dom_id, view.tag) for view in windows.latest(conversation).views]


def report(rows: list[Shown]) -> dict[str, str]:
    return {"Stillwater-Shown": " ".join(f"{row.dom_id}.{row.tag}" for row in rows)}


def articles(html: str) -> list[str]:
    return re.findall(r'<article class="message \w+" id="(\w+)"', html)


def test_a_way_leads_up_to_the_root_or_as_far_as_is_asked(long):
    everything = ids(long)
    assert paths.upward(everything[-1]) == everything[::-1]
    assert paths.upward(everything[-1], limit=3) == everything[:-4:-1]
    assert paths.upward(everything[-1], until=everything[90]) == everything[:89:-1]
    assert paths.upward(uuid.uuid4()) == []


def test_the_way_down_takes_the_newest_version_at_each_step(user):
    conversation = make_conversation(user)
    question = make_turn(conversation).message.parent
    conversation.active_leaf = question
    newer = Message.objects.create(conversation=conversation, parent=question, role="assistant")
    last = Message.objects.create(conversation=conversation, parent=newer, role="user", text="And?")
    assert paths.newest_leaf(question.pk) == last.pk
    assert paths.newest_leaf(last.pk) == last.pk


def test_a_page_opens_at_the_end_and_goes_on_upwards_without_a_gap(long):
    everything = ids(long)
    window = windows.latest(long)
    found = [view.id for view in window.views]
    while window.earlier is not None:
        window = windows.before(long, window.earlier)
        assert 0 < len(window.views) <= windows.PAGE
        found = [view.id for view in window.views] + found
    assert found == everything


def test_a_page_around_a_message_goes_on_downwards_without_a_gap(long):
    everything = ids(long)
    window = windows.around(long, everything[40])
    assert [view.id for view in window.views] == everything[30:60]
    assert window.earlier == everything[30]
    found = []
    while window.later is not None:
        window = windows.after(long, window.later)
        found += [view.id for view in window.views]
    assert found == everything[60:]


@pytest.mark.parametrize("place", [99, 90, 80])
def test_a_message_near_the_end_is_shown_at_the_end(long, place):
    window = windows.around(long, ids(long)[place])
    assert [view.id for view in window.views] == ids(long)[70:]
    assert window.later is None


def test_only_the_last_message_can_be_continued(user):
    conversation = make_conversation(user)
    make_turn(conversation, status="stopped")
    assert [view.can_continue for view in windows.latest(conversation).views] == [False, True]
    make_turn(conversation, status="stopped")
    assert [view.can_continue for view in windows.latest(conversation).views] == [False, False, False, True]


def test_opening_takes_as_much_work_for_a_long_conversation_as_for_a_short_one(signed_in, user):
    work = {}
    for messages in (40, 400):
        conversation = make_long(user, messages, filler="")
        page = url("conversation", conversation.pk)
        signed_in.get(page)  # renders what is then kept
        with CaptureQueriesContext(connection) as queries:
            html = signed_in.get(page).content
        work[messages] = (len(queries), len(articles(html.decode())))
    assert work[40] == work[400]
    assert work[400][1] == windows.PAGE


@pytest.mark.parametrize("where", ["latest", "before", "after", "around"])
def test_the_queries_do_not_grow_with_the_messages_shown(user, where, django_assert_num_queries):
    counts = []
    for messages in (40, 100):
        conversation = make_long(user, messages, filler="")
        everything = ids(conversation)
        rendered.refresh(Message.objects.filter(conversation=conversation).prefetch_related("generations"))
        find = getattr(windows, where)
        arguments = [] if where == "latest" else [everything[10]]
        with CaptureQueriesContext(connection) as queries:
            find(conversation, *arguments)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= 8


def test_the_page_names_what_is_before_and_after(signed_in, long):
    everything = ids(long)
    page = signed_in.get(url("conversation", long.pk)).content.decode()
    assert f"?before={everything[70]}" in page
    assert "Later messages" not in page
    page = signed_in.get(url("conversation", long.pk), {"before": everything[70]}).content.decode()
    assert articles(page) == [dom_id(pk) for pk in everything[40:70]]
    assert f"?before={everything[40]}" in page
    assert f"?after={everything[69]}" in page


def test_htmx_gets_only_the_messages(signed_in, long):
    everything = ids(long)
    ask = {"before": everything[20]}
    html = signed_in.get(url("conversation", long.pk), ask, headers={"HX-Request": "true"}).content.decode()
    assert articles(html) == [dom_id(pk) for pk in everything[:20]]
    assert "Earlier messages" not in html
    assert "<html" not in html


@pytest.mark.parametrize("name", ["nonsense", "", "01a1fd83-589f-7025-ae69-701f72cd90d5"])
@pytest.mark.parametrize("way", ["before", "after", "message"])
def test_a_message_that_is_not_in_the_conversation_is_not_found(signed_in, long, way, name):
    assert signed_in.get(url("conversation", long.pk), {way: name}).status_code == 404


def test_foreign_messages_are_not_found(signed_in, long, stranger):
    foreign = make_running(make_conversation(stranger))
    place = url("conversation", long.pk)
    assert signed_in.get(place, {"before": foreign.message_id}).status_code == 404
    assert signed_in.get(url("message", foreign.message_id)).status_code == 404
    assert signed_in.get(url("fresh", foreign.message.conversation_id)).status_code == 404
    assert signed_in.get(url("progress", foreign.pk)).status_code == 404


def test_readers_need_a_sign_in(client, long):
    generation = make_running(long)
    pages = [url("fresh", long.pk), url("message", generation.message_id), url("progress", generation.pk)]
    assert [client.get(page).status_code for page in pages] == [302, 302, 302]


def test_a_link_leads_to_its_message(signed_in, long):
    message = ids(long)[41]
    response = signed_in.get(url("message", message))
    assert response.url == f"{url('conversation', long.pk)}?message={message}#{dom_id(message)}"
    assert dom_id(message) in articles(signed_in.get(response.url).content.decode())


def test_a_link_to_another_branch_shows_that_branch(signed_in, user):
    conversation = make_conversation(user)
    question = make_turn(conversation, answer="Old.").message.parent
    old = conversation.active_leaf
    conversation.active_leaf = question
    new = Message.objects.create(conversation=conversation, parent=question, role="assistant")
    conversation.active_leaf = new
    conversation.save()
    signed_in.get(url("message", new.pk))
    conversation.refresh_from_db()
    assert conversation.active_leaf == new
    page = signed_in.get(url("message", old.pk), follow=True).content.decode()
    assert articles(page) == [dom_id(question.pk), dom_id(old.pk)]
    conversation.refresh_from_db()
    assert conversation.active_leaf == old


def test_a_page_that_shows_the_truth_gets_nothing(signed_in, long, django_assert_max_num_queries):
    headers = report(shown(long))
    with django_assert_max_num_queries(8):
        assert signed_in.get(url("fresh", long.pk), headers=headers).status_code == 204


def test_a_page_gets_what_was_said_elsewhere(signed_in, long):
    headers = report(shown(long))
    answer = make_turn(long, "Elsewhere?", "Yes.").message
    html = signed_in.get(url("fresh", long.pk), headers=headers).content.decode()
    assert articles(html) == [dom_id(answer.parent_id), dom_id(answer.pk)]
    assert 'hx-target="#thread" hx-swap="beforeend"' in html
    assert "delete" not in html


def test_an_answer_that_ended_elsewhere_is_left_to_its_stream(signed_in, user):
    conversation = make_conversation(user)
    generation = make_running(conversation)
    headers = report(shown(conversation))
    generation.status = "completed"
    generation.save()
    assert signed_in.get(url("fresh", conversation.pk), headers=headers).status_code == 204


def test_a_message_whose_versions_changed_is_replaced(signed_in, long):
    rows = shown(long)
    last = long.active_leaf
    Message.objects.create(conversation=long, parent=last.parent, role="assistant")
    html = signed_in.get(url("fresh", long.pk), headers=report(rows)).content.decode()
    assert articles(html) == [dom_id(last.pk)]
    assert f'hx-target="#{dom_id(last.pk)}" hx-swap="outerHTML"' in html


def test_a_page_on_another_branch_keeps_what_both_have(signed_in, long):
    rows = shown(long)
    long.active_leaf = Message.objects.get(pk=ids(long)[95])
    answer = make_turn(long, "Another way?", "Yes.").message
    html = signed_in.get(url("fresh", long.pk), headers=report(rows)).content.decode()
    kept = ids(long)[95]
    assert f'hx-target="#{dom_id(kept)} ~ *" hx-swap="delete"' in html
    assert articles(html) == [dom_id(answer.parent_id), dom_id(answer.pk)]


def test_a_page_that_shows_more_than_there_is_loses_it(signed_in, long):
    rows = shown(long)
    end = ids(long)[97]
    long.active_leaf_id = end
    long.save()
    html = signed_in.get(url("fresh", long.pk), headers=report(rows)).content.decode()
    assert f'hx-target="#{dom_id(end)} ~ *" hx-swap="delete"' in html


@pytest.mark.parametrize("lacking", [1, 2, 20])
def test_a_page_that_lacks_messages_between_others_gets_all_from_there_on(signed_in, long, lacking):
    rows = shown(long)
    del rows[-2 - lacking : -2]
    html = signed_in.get(url("fresh", long.pk), headers=report(rows)).content.decode()
    assert f'hx-target="#{rows[-3].dom_id} ~ *" hx-swap="delete"' in html
    assert articles(html) == [row.dom_id for row in shown(long)[-2 - lacking :]]


@pytest.mark.parametrize("header", ["", "-", "m0123456789.ab", "<script>", "x" * 5000])
def test_a_page_that_shows_nothing_known_gets_the_end(signed_in, long, header):
    html = signed_in.get(url("fresh", long.pk), headers={"Stillwater-Shown": header}).content.decode()
    assert articles(html) == [dom_id(pk) for pk in ids(long)[70:]]
    assert 'hx-target="#thread" hx-swap="innerHTML"' in html


def test_a_nonce_that_is_none_is_not_repeated(signed_in, long):
    html = signed_in.get(url("fresh", long.pk), headers={"Stillwater-Nonce": '"><script>'}).content.decode()
    assert 'hx-nonce=""' in html
    good = signed_in.get(url("fresh", long.pk), headers={"Stillwater-Nonce": "a" * 24}).content.decode()
    assert f'hx-nonce="{"a" * 24}"' in good


def test_an_outline_lists_the_headings_of_an_answer_that_has_several():
    html = '<h3 id="m1-h1" dir="auto">One &amp; <em>only</em></h3><h4 id="m1-h2" dir="auto">Two</h4>'
    assert outline(html) == []
    found = outline(html + '<p>Text</p><h3 id="m1-h3" dir="auto">Three</h3>')
    assert [(row.id, row.text, row.depth) for row in found] == [
        ("m1-h1", "One & only", 0),
        ("m1-h2", "Two", 1),
        ("m1-h3", "Three", 0),
    ]


def test_the_outline_of_a_rendered_answer_leads_to_its_headings(user):
    conversation = make_conversation(user)
    make_turn(conversation, answer="# A\n\ntext\n\n## B <img>\n\ntext\n\n## C\n\ntext")
    view = transcript.thread(conversation)[-1]
    assert [row.text for row in view.outline] == ["A", "B <img>", "C"]
    assert all(f'id="{row.id}"' in view.html for row in view.outline)
