"""Links by which others read along: what they show, to whom, and for how long."""

from __future__ import annotations

import re

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import reverse

from conversations import turns
from conversations.models import Attachment, Conversation, Generation, Message, Share
from tests.factories import make_conversation, make_model, make_running, make_turn

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _model(db):
    make_model()


@pytest.fixture
def visitor():
    """Somebody who is not signed in."""
    return Client()


def url_of(share: Share) -> str:
    return reverse("conversations:shared", args=[share.token])


def page(visitor: Client, share: Share) -> str:
    response = visitor.get(url_of(share))
    assert response.status_code == 200
    return response.content.decode()


def test_a_link_shows_the_conversation_to_whoever_has_it(user, visitor):
    conversation = make_conversation(user, title="Lakes & <i>winds</i>")
    make_turn(conversation, "Why <b>calm</b>?", "Because of **depth**.")
    html = page(visitor, turns.share(conversation, follows=False, named=False))
    assert "<strong>depth</strong>" in html
    assert "Why &lt;b&gt;calm&lt;/b&gt;?" in html
    assert "Lakes &amp; &lt;i&gt;winds&lt;/i&gt;" in html
    assert "Demo" in html
    assert user.username not in html


def test_a_shared_page_is_for_reading_only(user, visitor):
    conversation = make_conversation(user)
    make_turn(conversation)
    response = visitor.get(url_of(turns.share(conversation, follows=False, named=False)))
    html = response.content.decode()
    for forbidden in ("<form", "<script", "<button", "hx-", "csrf"):
        assert forbidden not in html
    assert response["X-Robots-Tag"].startswith("noindex")
    assert '<meta name="robots" content="noindex' in html
    assert response["Referrer-Policy"] == "no-referrer"
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "no-store" in response["Cache-Control"]
    assert response.cookies == {}


def test_the_token_holds_128_bits(user):
    conversation = make_conversation(user)
    make_turn(conversation)
    tokens = {Share.objects.create(conversation=conversation, leaf=conversation.active_leaf).token for _ in range(50)}
    assert len(tokens) == 50
    assert {len(token) for token in tokens} == {22}  # 128 bits, 6 in each character


def test_a_snapshot_never_changes(user, visitor):
    conversation = make_conversation(user)
    generation = make_turn(conversation, answer="Half of", status="stopped", finish_reason="")
    share = turns.share(conversation, follows=False, named=False)
    before = page(visitor, share)
    output = [{"kind": "text", "text": " and CONTINUED", "from_ms": 0, "to_ms": 1}]
    Generation.objects.create(
        message=generation.message, kind="continue", status="completed", output=output, model=conversation.model
    )
    make_turn(conversation, "A LATER QUESTION", "A LATER ANSWER")
    version = Message.objects.create(conversation=conversation, parent=generation.message.parent, role="assistant")
    Generation.objects.create(message=version, status="completed", output=[{**output[0], "text": "ANOTHER VERSION"}])
    conversation.refresh_from_db()
    turns.rename(conversation, title="ANOTHER TITLE")
    assert "CONTINUED" in client_of(user).get(f"/c/{conversation.pk}/").content.decode()  # stored HTML is the whole
    assert page(visitor, share) == before
    conversation.active_leaf = version
    conversation.save()
    assert page(visitor, share) == before
    assert page(visitor, share) == before  # nor by its own reading


def client_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_a_snapshot_leaves_out_the_answer_being_written(user, visitor):
    conversation = make_conversation(user)
    make_turn(conversation)
    generation = make_running(conversation)
    share = turns.share(conversation, follows=False, named=False)
    Generation.objects.filter(pk=generation.pk).update(
        status="completed", output=[{"kind": "text", "text": "WRITTEN LATER", "from_ms": 0, "to_ms": 1}]
    )
    html = page(visitor, share)
    assert "WRITTEN LATER" not in html
    assert "There is no answer here." in html


def test_a_following_link_shows_later_messages_and_what_is_being_written(user, visitor):
    conversation = make_conversation(user)
    make_turn(conversation)
    share = turns.share(conversation, follows=True, named=False)
    make_turn(conversation, "A later question", "A later answer")
    assert "A later answer" in page(visitor, share)
    generation = make_running(conversation)
    generation.deltas.create(seq=0, kind="text", text="It begins **so**", at_ms=1)
    html = page(visitor, share)
    assert "It begins" in html
    assert "still being written" in html
    assert "hx-sse" not in html


def test_the_name_is_shown_only_when_chosen(user, visitor):
    conversation = make_conversation(user)
    make_turn(conversation)
    assert "Shared by ada" in page(visitor, turns.share(conversation, follows=False, named=True))
    assert "ada" not in page(visitor, turns.share(conversation, follows=False, named=False))


@pytest.mark.parametrize("end", ["revoked", "deleted", "soon deleted", "owner gone", "owner inactive"])
def test_a_link_that_has_ended_is_like_one_that_never_was(user, visitor, end):
    conversation = make_conversation(user)
    make_turn(conversation)
    share = turns.share(conversation, follows=end == "revoked", named=False)
    page(visitor, share)
    if end == "revoked":
        turns.revoke(share)
    elif end == "deleted":
        conversation.delete()
    elif end == "soon deleted":
        Conversation.objects.update(deleted_at=conversation.created_at)
    elif end == "owner gone":
        user.delete()
    else:
        type(user).objects.update(is_active=False)
    gone, never = visitor.get(url_of(share)), visitor.get("/s/AAAAAAAAAAAAAAAAAAAAAA/")
    assert gone.status_code == never.status_code == 404
    assert masked(gone) == masked(never)


def masked(response) -> str:
    """An answer without what differs by nature: its address, the nonce and the token of its forms."""
    whole = f"{sorted(response.items())} {response.content.decode()}"
    return re.sub(r"/s/[\w-]{22}/|nonce-[\w+/=-]+|(?<=nonce=\")[^\"]+|(?<=middlewaretoken\" value=\")\w+", "X", whole)


def test_the_same_wish_gives_the_same_link(user):
    conversation = make_conversation(user)
    make_turn(conversation)
    first = turns.share(conversation, follows=False, named=False)
    assert turns.share(conversation, follows=False, named=False) == first
    assert turns.share(conversation, follows=True, named=False) != first
    turns.revoke(first)
    assert turns.share(conversation, follows=False, named=False) != first


def test_sharing_and_revoking_by_forms(user, client, visitor):
    client.force_login(user)
    conversation = make_conversation(user)
    make_turn(conversation)
    address = reverse("conversations:share", args=[conversation.pk])
    assert client.get(address).status_code == 200
    response = client.post(address, {"follows": "on"}, follow=True)
    share = Share.objects.get()
    assert share.follows
    assert f"http://testserver{url_of(share)}" in response.content.decode()
    assert url_of(share) in client.get(reverse("conversations:shares")).content.decode()
    response = client.post(reverse("conversations:revoke", args=[share.pk]), follow=True)
    assert "leads nowhere" in response.content.decode()
    assert url_of(share) not in response.content.decode()
    assert visitor.get(url_of(share)).status_code == 404


def test_nothing_to_share_is_said(user, client):
    client.force_login(user)
    conversation = make_conversation(user)
    response = client.post(reverse("conversations:share", args=[conversation.pk]))
    assert response.status_code == 409
    assert "There is nothing to share yet." in response.content.decode()


def test_what_is_not_ones_own_cannot_be_shared_or_revoked(user, stranger, client):
    conversation = make_conversation(user)
    make_turn(conversation)
    share = turns.share(conversation, follows=False, named=False)
    client.force_login(stranger)
    assert client.post(reverse("conversations:share", args=[conversation.pk])).status_code == 404
    assert client.post(reverse("conversations:revoke", args=[share.pk])).status_code == 404
    assert Share.objects.open().count() == 1
    assert url_of(share) not in client.get(reverse("conversations:shares")).content.decode()


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_a_shared_page_takes_nothing(user, visitor, method):
    conversation = make_conversation(user)
    make_turn(conversation)
    share = turns.share(conversation, follows=True, named=False)
    assert getattr(visitor, method)(url_of(share)).status_code == 405


def test_files_of_shared_messages_can_be_seen_and_no_others(user, visitor):
    conversation = make_conversation(user)
    question = make_turn(conversation).message.parent
    share = turns.share(conversation, follows=False, named=False)
    later = make_turn(conversation, "Later").message.parent

    def attach(message, name, content_type, kind):
        row = Attachment(owner=user, message=message, name=name, content_type=content_type, kind=kind, size=5)
        row.file.save(name, ContentFile(b"bytes"), save=False)
        row.save()
        return reverse("conversations:shared_file", args=[share.token, row.pk])

    image = attach(question, "lake.png", "image/png", "image")
    script = attach(question, 'x"\r\nSet-Cookie: a=b.svg', "image/svg+xml", "image")
    other = attach(later, "secret.png", "image/png", "image")
    html = page(visitor, share)
    assert image in html
    assert other not in html
    assert visitor.get(image)["Content-Type"] == "image/png"
    response = visitor.get(script)
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"].startswith("attachment")
    assert "sandbox" in response["Content-Security-Policy"]
    assert "\n" not in response["Content-Disposition"]
    assert visitor.get(other).status_code == 404
    turns.revoke(share)
    assert visitor.get(image).status_code == 404


@pytest.mark.parametrize("count", [1, 3])
def test_reading_takes_as_many_queries_for_many_messages(user, visitor, django_assert_num_queries, count):
    conversation = make_conversation(user)
    for _ in range(count):
        make_turn(conversation)
    share = turns.share(conversation, follows=False, named=False)
    page(visitor, share)
    with django_assert_num_queries(5):
        page(visitor, share)


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_takes_as_many_queries_for_many_links(user, client, django_assert_num_queries, count):
    client.force_login(user)
    for number in range(count):
        conversation = make_conversation(user, title=f"Number {number}")
        make_turn(conversation)
        turns.share(conversation, follows=False, named=False)
    with django_assert_num_queries(4):
        html = client.get(reverse("conversations:shares")).content.decode()
    assert html.count("Number ") == count
