"""Requests that no form of ours makes: ids of others inside one's own, foreign sites, broken bodies."""

from __future__ import annotations

import json
import uuid

import pytest
from django.test import Client

from conversations.models import Attachment, Conversation, Generation, Message, Preset
from tests.factories import make_conversation, make_model, make_turn


@pytest.fixture
def eve(stranger) -> Client:
    make_model()
    client = Client(raise_request_exception=False)
    client.force_login(stranger)
    return client


def counts() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Conversation, Message, Generation))


def test_things_of_others_cannot_be_named_within_ones_own(eve, user, stranger):
    theirs, own = make_conversation(user), make_conversation(stranger)
    answer = make_turn(theirs).message
    make_turn(own)
    text = {"kind": "text", "name": "a.txt", "content_type": "text/plain", "size": 3, "text": "secret"}
    attachment = Attachment.objects.create(owner=user, **text)
    preset = Preset.objects.create(owner=user, name="Mine", system_prompt="secret")
    before = counts()
    key = str(uuid.uuid4())
    attempts = [
        eve.post(f"/c/{own.pk}/send/", {"text": "x", "attachment": attachment.pk, "request_key": key}),
        eve.post(f"/c/{own.pk}/settings/preset/", {"preset": preset.pk}),
        eve.post(f"/c/{theirs.pk}/send/", {"text": "x", "parent": answer.pk, "request_key": key}),
        eve.post(f"/messages/{answer.pk}/fork/"),
        eve.get(f"/c/{own.pk}/fresh/?near={answer.pk}"),
        eve.get(f"/c/{own.pk}/?at={answer.pk}"),
    ]
    assert all(response.status_code < 500 for response in attempts)
    assert not any(b"secret" in response.content for response in attempts)
    assert counts() == before
    assert Attachment.objects.get().message is None


@pytest.mark.parametrize("token", ["", "x", "A" * 64])
@pytest.mark.parametrize("headers", [{}, {"origin": "https://evil.example"}, {"x-http-method-override": "POST"}])
def test_no_form_of_another_site_changes_anything(eve, stranger, token, headers):
    conversation = make_conversation(stranger)
    client = Client(enforce_csrf_checks=True)
    client.force_login(stranger)
    fields = {"text": "x", "csrfmiddlewaretoken": token, "_method": "DELETE"}
    for path in ("/c/", f"/c/{conversation.pk}/delete/", "/account/delete/", "/settings/", "/accounts/logout/"):
        assert client.post(path, fields, headers=headers).status_code == 403, path
        body = client.post(path, json.dumps(fields), content_type="application/json", headers=headers)
        assert body.status_code == 403, path
    assert Conversation.objects.get().deleted_at is None


BROKEN = {
    "many fields": ("application/x-www-form-urlencoded", "&".join(f"a{n}=1" for n in range(10_000)).encode()),
    "not UTF-8": ("application/x-www-form-urlencoded", b"text=\xff\xfe%ff%fe"),
    "NUL": ("application/x-www-form-urlencoded", b"text=a%00&request_key=%00"),
    "no boundary": ("multipart/form-data", b"x"),
    "half a part": ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=text\r\n"),
    "unknown charset": ("application/x-www-form-urlencoded; charset=none", b"text=a"),
    "JSON": ("application/json", b"[" * 10_000),
    "lists": ("application/x-www-form-urlencoded", b"text[]=a&text=&attachment=x&attachment=y&model=z"),
}


@pytest.mark.parametrize(("kind", "body"), BROKEN.values(), ids=BROKEN)
def test_a_broken_body_is_refused_without_a_mistake_of_ours(eve, stranger, kind, body):
    conversation = make_conversation(stranger)
    make_turn(conversation)
    before = counts()
    here = f"/c/{conversation.pk}"
    for path in (
        "/c/",
        f"{here}/send/",
        f"{here}/rename/",
        "/settings/",
        "/conversations/bulk/",
        "/imports/",
        "/draft/",
    ):
        response = eve.generic("POST", path, body, content_type=kind)
        assert response.status_code < 500, path
    assert counts() == before


def test_a_file_of_nested_lists_imports_nothing(eve):
    from django.core.files.uploadedfile import SimpleUploadedFile

    for content in (b"[" * 100_000, b'{"a":' * 50_000, b"[1e999999]", b'[{"mapping": {"a": {"parent": "a"}}}]'):
        file = SimpleUploadedFile("conversations.json", content, "application/json")
        assert eve.post("/imports/", {"file": file}).status_code < 500
    assert Conversation.objects.count() == 0


ODD = {
    "digits": "9" * 5_000,
    "more than a column holds": "9" * 17,
    "NUL": "\0",
    "no number": "\u00b2\u0663",
    "no address": "http://[bad",
    "no id": "{urn:uuid:" + "g" * 32 + "}",
    "the last moment": "9999-12-31T23:59:59Z",
    "the first day": "0001-01-01",
    "a place behind time": f"0.253402300799000000.{'0' * 32}",
}
READ = (
    ("/", "q"),
    ("/conversations/", "tag", "model", "since", "until", "place", "after"),
    ("/conversations/", "q", "after"),
    ("/conversations/list/", "after"),
    ("/conversations/search/", "q", "tag", "since"),
    ("/conversations/state/", "open"),
    ("/palette/", "q"),
    ("/shares/", "page"),
    ("{here}", "before"),
    ("{here}", "message"),
    ("{here}title/", "attempt"),
)
WRITTEN = (
    ("/c/", "model", "attachment", "request_key", "draft_key"),
    ("/conversations/undo/", "at"),
    ("/conversations/bulk/", "action"),
    ("/settings/", "model", "preset"),
    ("{here}tags/", "remove"),
    ("{here}tags/", "name"),
    ("{here}settings/", "temperature", "max_tokens"),
    ("{here}settings/preset/", "preset"),
)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_values_are_no_mistakes_of_ours(eve, stranger, settings, odd):
    settings.TIME_ZONE = "Europe/Berlin"  # in which the last moment is beyond what can be told
    conversation = make_conversation(stranger)
    make_turn(conversation)
    here, page = f"/c/{conversation.pk}/", {"HX-Request": "true", "HX-Current-URL": odd.replace("\0", "%00")}
    answers = []
    for path, *names in READ:
        headers = page if "/conversations/" in path else {}
        answers.append((path, names, eve.get(path.format(here=here), dict.fromkeys(names, odd), headers=headers)))
    for path, *names in WRITTEN:
        fields = {"ids": [conversation.pk, odd], **dict.fromkeys(names, odd)}
        answers.append((path, names, eve.post(path.format(here=here), fields)))
    for action in ("tag", "untag"):
        fields = {"ids": [conversation.pk, odd], "action": action, "name": odd}
        answers.append(("bulk", action, eve.post("/conversations/bulk/", fields)))
    assert [(path, names) for path, names, answer in answers if answer.status_code >= 500] == []
    assert {path for path, _, answer in answers if answer.status_code == 404} <= {"{here}", "{here}tags/"}
