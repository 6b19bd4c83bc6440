"""What several parts of the application must get right together."""

from __future__ import annotations

import io
import json
import uuid
import zipfile

import pytest
from django.core.files.base import ContentFile
from django.test import Client

from conversations import turns
from conversations.keeping import purge
from conversations.models import Attachment, Generation, Job, JobResult, Message, QueuedMessage
from conversations.process import jobs
from conversations.reading import library
from conversations.search import index_messages
from conversations.transfer.personal import write_everything
from tests.factories import make_conversation, make_model, make_running, make_turn

pytestmark = pytest.mark.django_db


def imported(user, content: bytes) -> Job:
    job = Job(owner=user, kind="import")
    job.file.save("import", ContentFile(content), save=False)
    job.save(force_insert=True)
    jobs.run(job.pk)
    job.refresh_from_db()
    return job


def import_messages(user, *messages: dict[str, object]) -> Job:
    return imported(user, json.dumps({"id": "abcdefghij", "title": "A title", "messages": messages}).encode())


def count_found(user, query: str) -> int:
    return len(library.found(user, library.Filters(query=query)).found)


def text_file(user, **fields) -> Attachment:
    values = {"kind": "text", "name": "a.txt", "content_type": "text/plain", "size": 5, "text": "zebra"}
    return Attachment.objects.create(owner=user, **values, **fields)


@pytest.mark.parametrize("query", ["until=9999-12-31", "since=0001-01-01", "q=a&until=9999-12-31"])
def test_days_out_of_the_calendar_filter_nothing(client, user, query):
    client.force_login(user)
    assert client.get(f"/conversations/?{query}").status_code == 200


def test_undo_of_a_moment_out_of_the_calendar_is_too_late(client, user):
    client.force_login(user)
    assert client.post("/conversations/undo/", {"at": "0001-01-01T00:00:00+14:00"}).status_code == 302


def test_text_file_of_a_shared_message_can_be_read(user):
    conversation = make_conversation(user)
    attachment = text_file(user, message=make_turn(conversation).message.parent)
    share = turns.share(conversation, follows=False, named=False)
    response = Client().get(f"/s/{share.token}/files/{attachment.pk}/")
    assert (response.status_code, response.content) == (200, b"zebra")


def test_everything_has_the_text_files_too(user):
    text_file(user)
    job = Job.objects.create(owner=user, kind="export", parameters={"everything": True})
    file = io.BytesIO()
    write_everything(job, file, lambda _done, _total: None)
    assert zipfile.ZipFile(file).read("attachments/a.txt") == b"zebra"


def test_what_was_undone_is_found_no_more(user):
    first = make_turn(make_conversation(user), answer="alpha", finish_reason="length")
    output = [{"kind": "text", "text": " zebra", "from_ms": 0, "to_ms": 1}]
    second = Generation.objects.create(message=first.message, kind="continue", status="completed", output=output)
    index_messages([Message.objects.get(pk=first.message_id)])
    assert count_found(user, "zebra") == 1
    turns.undo_continue(first.message, generation_id=second.pk)
    assert (count_found(user, "zebra"), count_found(user, "alpha")) == (0, 1)


def test_what_waits_is_sent_although_its_form_was_used_elsewhere(user, ending_process):
    conversation = make_conversation(user)
    running = make_running(conversation)
    key = uuid.uuid4()
    turns.send_or_queue(conversation, text="Next", model=None, request_key=key)
    turns.start(user, text="Next", model=make_model(), request_key=key)
    Generation.objects.filter(pk=running.pk).update(status="completed")
    assert turns.send_due(conversation) is not None
    assert not QueuedMessage.objects.exists()


def test_image_does_not_wait_for_a_model_that_cannot_see(user, ending_process):
    conversation = make_conversation(user, model=make_model("http://blind/v1", "blind"))
    make_running(conversation)
    image = Attachment.objects.create(owner=user, kind="image", name="a.png", content_type="image/png", size=3)
    with pytest.raises(turns.CannotSee):
        turns.send_or_queue(conversation, text="See", model=None, request_key=uuid.uuid4(), attachments=[image.pk])
    assert not QueuedMessage.objects.exists()


def test_imported_cost_that_no_column_holds_breaks_no_page(client, user):
    generation = {"cost": "99999999.9999999999", "output": [{"kind": "text", "text": "x"}]}
    job = import_messages(user, {"id": 1, "role": "assistant", "generations": [generation]})
    assert job.status == "completed"
    client.force_login(user)
    assert client.get(f"/c/{user.conversations.get().pk}/").status_code == 200


def test_import_with_a_deep_header_fails_with_a_sentence(user):
    job = imported(user, b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"conversations":[]}')
    assert job.status == "failed"
    assert job.error_message


def test_import_forgets_the_title_of_what_is_purged(user):
    import_messages(user, {"id": 1, "role": "user", "text": "q"})
    conversation = user.conversations.get()
    turns.delete(conversation)
    assert purge.purge(conversation.pk)
    assert list(JobResult.objects.values_list("title", flat=True)) == [""]


def test_what_is_imported_or_forked_is_found_at_once(user):
    answer = {"id": 2, "parent": 1, "role": "assistant", "generations": [{"output": [{"kind": "text", "text": "ok"}]}]}
    import_messages(user, {"id": 1, "role": "user", "text": "zebra"}, answer)
    assert count_found(user, "zebra") == 1
    turns.fork(Message.objects.get(role="assistant"), request_key=uuid.uuid4())
    assert count_found(user, "zebra") == 2


@pytest.mark.parametrize("htmx", [True, False])
def test_a_message_that_is_taken_back_brings_its_files(client, user, htmx):
    conversation = make_conversation(user)
    running = make_running(conversation)
    queued = QueuedMessage.objects.create(conversation=conversation, text="", after=running)
    file = text_file(user, queued_message=queued)
    client.force_login(user)
    address = f"/c/{conversation.pk}/"
    assert "a.txt" in client.get(address).content.decode()
    headers = {"HX-Request": "true"} if htmx else {}
    answer = client.post(f"{address}queue/{queued.pk}/edit/", headers=headers)
    assert answer.status_code == 200
    assert f'name="attachment" value="{file.pk}"' in answer.content.decode()
    file.refresh_from_db()
    assert file.queued_message is None
