"""Files of users: what they are, how they go with a message, who is served them, and when they are gone."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conversations import turns
from conversations.asking.context import fenced
from conversations.files.inspection import Unacceptable, clean_name, inspect
from conversations.files.storage import forget_unsent, unnamed, written
from conversations.models import Attachment, Conversation, StoredFile
from tests.factories import make_conversation, make_model, make_turn, make_user, picture


def file(name: str, data: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data, content_type="image/png")  # whatever it is: nobody believes it


def url(name: str, *args) -> str:
    return reverse(f"conversations:{name}", args=args)


@pytest.fixture
def owner_client(client, user, ending_process):
    make_model(sees_images=True)
    client.force_login(user)
    return client


# What files are


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP"])
def test_an_image_is_known_by_its_content(form):
    found = inspect("x.txt", picture(form))
    assert (found.is_image, found.content_type) == (True, f"image/{form.lower()}")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cut.png", picture()[:30]),
        ("bomb.png", picture()[:16] + b"\xff\xff\xff\x0f\xff\xff\xff\x0f" + picture()[24:]),
        ("fake.jpg", b"\xff\xd8\xff" + b"<script>" * 20),
        ("page.png", b"\x89PNG\r\n\x1a\n<html>"),
        ("program.exe", b"MZ\x00\x01"),
        ("latin.txt", "naïve".encode("latin-1")),
        ("bell.txt", b"ding\x07"),
        ("empty.txt", b""),
    ],
)
def test_what_is_neither_an_image_nor_text_is_refused_by_name(name, data):
    with pytest.raises(Unacceptable, match=name):
        inspect(name, data)


def test_an_svg_is_text():
    found = inspect("x.svg", b"<svg onload='alert(1)'/>")
    assert (found.is_image, found.content_type) == (False, "text/plain; charset=utf-8")


def test_limits_of_size_and_tokens_are_told(settings):
    settings.ATTACHMENT_BYTES, settings.ATTACHMENT_TOKENS = 20, 3
    with pytest.raises(Unacceptable, match="too large"):
        inspect("a.txt", b"a" * 21)
    with pytest.raises(Unacceptable, match="about 5 tokens, and at most 3"):
        inspect("a.txt", b"a" * 17)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.txt", "a.txt"),
        ("a\u202egnp.exe", "agnp.exe"),
        ("<script>.png", "<script>.png"),
        ("x\x00\n y.txt", "x y.txt"),
        ("...", "file"),
    ],
)
def test_hostile_names_become_harmless(name, clean):
    assert clean_name(name) == clean


def test_a_long_name_keeps_its_ending():
    name = clean_name("a" * 10_000 + ".png")
    assert len(name) == 120
    assert name.endswith("….png")


def test_fences_are_longer_than_any_in_the_file():
    assert fenced("a.md", "```\nx\n````") == "a.md:\n`````\n```\nx\n````\n`````"


# Files of users


def upload(client, *files) -> list[str]:
    response = client.post(url("upload"), {"files": list(files)})
    assert response.status_code == 201, response.content
    return [kept["id"] for kept in response.json()["files"]]


def test_files_go_with_a_message_and_are_shown_in_its_bubble(owner_client, user):
    image, text = upload(owner_client, file("<script>.png", picture()), file("a.md", b"# Notes"))
    owner_client.post(url("start"), {"text": "", "attachment": [image, text]})
    conversation = Conversation.objects.get()
    assert conversation.title == "<script>.png"
    question = conversation.active_leaf.parent
    assert list(question.attachments.values_list("name", flat=True)) == ["<script>.png", "a.md"]
    page = owner_client.get(url("conversation", conversation.pk)).content.decode()
    assert 'alt="&lt;script&gt;.png"' in page
    assert "<script>.png" not in page


def test_files_reach_the_message_without_javascript(owner_client):
    owner_client.post(url("start"), {"text": "Look", "files": [file("a.png", picture()), file("b.txt", b"words")]})
    assert Attachment.objects.exclude(message=None).count() == 2
    conversation = Conversation.objects.get()
    conversation.active_leaf.generations.update(status="stopped")
    owner_client.post(url("send", conversation.pk), {"text": "And?", "files": file("c.txt", b"more")})
    assert Attachment.objects.exclude(message=None).count() == 3


def test_a_refused_form_keeps_its_text_and_files(owner_client):
    files = [file("good.txt", b"words"), file("bad.exe", b"MZ\0")]
    response = owner_client.post(url("start"), {"text": "My words", "files": files})
    page = response.content.decode()
    assert response.status_code == 422
    assert "“bad.exe” is neither" in page
    assert "My words" in page
    kept = Attachment.objects.get()
    assert f'name="attachment" value="{kept.pk}"' in page


def test_unsent_files_stay_in_the_composer_that_they_were_added_in(owner_client, user):
    conversation, other = (make_conversation(user) for _ in range(2))
    upload(owner_client, file("start.txt", b"words"))
    owner_client.post(url("upload_in", conversation.pk), {"files": file("here.txt", b"words")})
    client = Client()
    client.force_login(user)  # somewhere else

    def chips(name, *args):
        return re.findall(r'class="chip-name">([^<]+)<', client.get(url(name, *args)).content.decode())

    assert chips("home") == ["start.txt"]
    assert chips("conversation", conversation.pk) == ["here.txt"]
    assert chips("conversation", other.pk) == []
    here = Attachment.objects.get(name="here.txt")
    client.post(url("send", conversation.pk), {"text": "Look", "attachment": str(here.pk)})
    assert chips("conversation", conversation.pk) == []
    here.refresh_from_db()
    assert here.unsent_in is None


def test_files_are_gone_as_soon_as_their_conversation_is(owner_client, user):
    conversation = make_conversation(user)
    make_turn(conversation)
    (sent,) = upload(owner_client, file("sent.txt", b"words"))
    turns.attach_files(user, [uuid.UUID(sent)], message=conversation.active_leaf.parent)
    owner_client.post(url("upload_in", conversation.pk), {"files": file("unsent.txt", b"words")})
    upload(owner_client, file("other.txt", b"words"))

    def found() -> list[str]:
        rows = Attachment.objects.order_by("name")
        return [row.name for row in rows if owner_client.get(url("attachment", row.pk)).status_code == 200]

    assert found() == ["other.txt", "sent.txt", "unsent.txt"]
    turns.delete(conversation)
    assert found() == ["other.txt"]


def test_a_file_is_removed_without_javascript_and_the_text_stays(owner_client, user):
    conversation = make_conversation(user)
    owner_client.post(url("upload_in", conversation.pk), {"files": file("here.txt", b"words")})
    form = {"text": "Half a thought", "request_key": str(uuid.uuid4())}
    response = owner_client.post(url("remove_attachment", Attachment.objects.get().pk), form, follow=True)
    assert response.redirect_chain == [(url("conversation", conversation.pk), 302)]
    assert "Half a thought" in response.content.decode()
    assert Attachment.objects.count() == 0


def test_no_file_comes_into_a_foreign_conversation(owner_client, stranger):
    foreign = make_conversation(stranger)
    response = owner_client.post(url("upload_in", foreign.pk), {"files": file("a.txt", b"words")})
    assert response.status_code == 404
    assert Attachment.objects.count() == 0


def test_bad_uploads_are_answered_with_a_sentence(owner_client, settings):
    for files in ([], [file("x.bin", b"\0\1")], [file("cut.png", picture()[:20])]):
        response = owner_client.post(url("upload"), {"files": files})
        assert response.status_code == 422
        assert response.json()["error"].endswith(".")
    settings.UPLOAD_BYTES = 10
    assert owner_client.post(url("upload"), {"files": file("a.txt", b"a" * 5000)}).status_code in {400, 413}
    settings.ATTACHMENTS_PER_MESSAGE = 0
    settings.UPLOAD_BYTES = 10_000
    assert owner_client.post(url("upload"), {"files": file("a.txt", b"a")}).status_code == 422
    assert Attachment.objects.count() == 0


@pytest.mark.parametrize("value", ["nonsense", str(uuid.uuid4())])
def test_an_unknown_file_cannot_be_sent(owner_client, value):
    response = owner_client.post(url("start"), {"text": "Look", "attachment": value})
    assert response.status_code in {409, 422}
    assert Conversation.objects.count() == 0


def test_foreign_files_are_not_found_and_cannot_be_sent(owner_client, stranger):
    theirs = turns.upload_file(stranger, file("a.png", picture()))
    assert owner_client.get(url("attachment", theirs.pk)).status_code == 404
    assert owner_client.post(url("remove_attachment", theirs.pk)).status_code == 404
    assert owner_client.post(url("start"), {"text": "Look", "attachment": str(theirs.pk)}).status_code == 409
    assert Attachment.objects.get().message is None


def test_a_file_is_served_so_that_it_can_do_nothing(owner_client, user):
    image = turns.upload_file(user, file("a.png", picture()))
    response = owner_client.get(url("attachment", image.pk))
    assert (response.content, response["Content-Type"]) == (picture(), "image/png")
    assert response["Content-Disposition"].startswith("inline")
    assert "sandbox" in response["Content-Security-Policy"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"].startswith("private")
    text = turns.upload_file(user, file("a.svg", b"<svg onload='alert(1)'/>"))
    response = owner_client.get(url("attachment", text.pk))
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Disposition"].startswith("attachment")


def test_an_unsent_file_can_be_taken_back_and_a_sent_one_cannot(owner_client, user):
    unsent, sent = (turns.upload_file(user, file(name, picture())) for name in ("a.png", "b.png"))
    turns.attach_files(user, [sent.pk], message=make_turn(make_conversation(user)).message.parent)
    assert owner_client.post(url("remove_attachment", unsent.pk)).status_code == 302
    assert owner_client.post(url("remove_attachment", sent.pk)).status_code == 404
    assert StoredFile.objects.count() == 1


def test_bytes_go_with_the_message_and_with_the_user(user):
    for _ in range(2):
        conversation = make_conversation(user)
        question = make_turn(conversation).message.parent
        turns.attach_files(user, [turns.upload_file(user, file("a.png", picture())).pk], message=question)
    assert StoredFile.objects.count() == 2
    conversation.delete()
    assert StoredFile.objects.count() == 1
    user.delete()
    assert (Attachment.objects.count(), StoredFile.objects.count()) == (0, 0)


def test_what_is_never_sent_is_forgotten_after_a_day(user):
    old, new = (turns.upload_file(user, file(name, picture())) for name in ("a.png", "b.png"))
    past = timezone.now() - timedelta(hours=25)
    Attachment.objects.filter(pk=old.pk).update(created_at=past)
    with written("orphan") as orphan:
        orphan.write(b"x")
    StoredFile.objects.update(created_at=past)
    assert forget_unsent() == 1
    assert [row.pk for row in Attachment.objects.all()] == [new.pk]
    assert StoredFile.objects.count() == 1


def test_files_that_no_row_names_are_found_without_reading_all_rows_for_each(db):
    plan = unnamed().explain()
    if connection.vendor == "postgresql":
        assert plan.count("Anti Join") == 2
    else:
        assert "USING COVERING INDEX attachments_by_file (file=?)" in plan


def _note_a_write(reached: threading.Event) -> Callable[..., Any]:
    """Tell when a connection begins what makes it wait for other writers."""

    def wrapper(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if sql.startswith(("BEGIN", "DELETE")) or "FOR UPDATE" in sql:
            reached.set()
        return execute(sql, *arguments)

    return wrapper


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["forgotten", "removed"])
def test_a_file_that_is_being_sent_is_not_deleted(way):
    user = make_user("ada")
    row = turns.upload_file(user, file("a.png", picture()))
    message = make_turn(make_conversation(user)).message.parent
    Attachment.objects.update(created_at=timezone.now() - timedelta(hours=25))
    reached, answers = threading.Event(), []

    def delete() -> None:
        try:
            with connection.execute_wrapper(_note_a_write(reached)):
                answers.append(forget_unsent() if way == "forgotten" else turns.remove_file(row))
        except turns.FileGone as refusal:
            answers.append(type(refusal))
        finally:
            connection.close()

    other = threading.Thread(target=delete)
    with transaction.atomic():
        turns.attach_files(user, [row.pk], message=message)
        other.start()
        assert reached.wait(30)
    other.join(30)
    assert answers == [0 if way == "forgotten" else turns.FileGone]
    assert [attachment.message for attachment in Attachment.objects.all()] == [message]
    assert row.file.storage.exists(row.file.name)


def test_an_edit_keeps_copies_of_the_files(user, ending_process):
    conversation = make_conversation(user, model=make_model(sees_images=True))
    question = make_turn(conversation).message.parent
    turns.attach_files(user, [turns.upload_file(user, file("a.png", picture())).pk], message=question)
    turn = turns.edit(question, text="Otherwise", request_key=uuid.uuid4())
    copy = turn.answer.parent.attachments.get()
    assert copy.file.read() == picture()
    question.delete()
    assert Attachment.objects.get().file.read() == picture()


def test_images_are_refused_for_a_model_that_cannot_see(user, ending_process):
    image = turns.upload_file(user, file("a.png", picture()))
    with pytest.raises(turns.CannotSee):
        turns.start(user, text="Look", model=make_model(), request_key=uuid.uuid4(), attachments=[image.pk])
    assert Conversation.objects.count() == 0
    assert Attachment.objects.get().message is None


def test_a_question_larger_than_the_window_is_refused_and_kept(owner_client):
    make_model().__class__.objects.update(context_window=1000)
    response = owner_client.post(url("start"), {"text": "word " * 2000})
    assert response.status_code == 409
    assert "the model reads 1,000" in response.content.decode()
    assert "word word" in response.content.decode()
    assert Conversation.objects.count() == 0


def test_the_number_of_queries_does_not_grow_with_files(owner_client, user):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    counts = []
    for number in (1, 3):
        conversation = make_conversation(user)
        for _ in range(number):
            question = make_turn(conversation, input_tokens=10, output_tokens=5).message.parent
            turns.attach_files(user, [turns.upload_file(user, file("a.png", picture())).pk], message=question)
        owner_client.get(url("conversation", conversation.pk))
        with CaptureQueriesContext(connection) as queries:
            owner_client.get(url("conversation", conversation.pk))
        counts.append(len(queries))
    assert counts[0] == counts[1]
