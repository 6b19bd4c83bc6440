"""Messages that wait: sent once, in order, by whoever is first; and drafts, which end with what was sent."""

from __future__ import annotations

import asyncio
import threading
import uuid
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from conversations import turns
from conversations.files.storage import forget_unsent
from conversations.generating import claims
from conversations.live.state import dom_id
from conversations.models import Attachment, ChatModel, Conversation, Draft, Generation, Message, QueuedMessage
from conversations.threads import reader
from tests.factories import make_conversation, make_model, make_running, make_turn, make_user, picture


def queue(conversation: Conversation, text: str, key: uuid.UUID | None = None, **fields):
    key = key or uuid.uuid4()
    return turns.send_or_queue(conversation, text=text, model=None, request_key=key, **fields)


def questions(conversation: Conversation) -> list[str]:
    rows = Message.objects.filter(conversation=conversation, role="user").order_by("pk")
    return list(rows.values_list("text", flat=True))


def end(generation: Generation, status: str = "completed") -> None:
    Generation.objects.filter(pk=generation.pk).update(status=status)


@pytest.fixture
def running(user, ending_process):
    return make_running(make_conversation(user))


@pytest.mark.django_db(transaction=True)
def test_what_is_sent_while_an_answer_runs_waits_and_follows_it(running):
    conversation = running.message.conversation
    key = uuid.uuid4()
    queued = queue(conversation, "Next", key)
    assert isinstance(queued, QueuedMessage)
    assert turns.send_due(conversation) is None
    end(running)
    turn = turns.send_due(conversation)
    assert turn is not None
    assert (turn.generation.request_key, turn.answer.parent.text) == (key, "Next")
    assert turn.answer.parent.parent == running.message
    assert claims.claimable(0, 10) == [turn.generation.pk]
    assert not QueuedMessage.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_messages_are_sent_one_after_the_other_in_their_order(running):
    conversation = running.message.conversation
    for text in ("one", "two", "three"):
        queue(conversation, text)
    generation = running
    for _ in range(3):
        end(generation)
        generation = turns.send_due(conversation).generation
        assert turns.send_due(conversation) is None  # the next one waits for this answer
    assert questions(conversation) == ["Why?", "one", "two", "three"]


@pytest.mark.django_db(transaction=True)
def test_a_message_that_comes_between_end_and_sending_does_not_overtake(running):
    conversation = running.message.conversation
    queue(conversation, "first")
    end(running)
    assert isinstance(queue(conversation, "second"), QueuedMessage)
    end(turns.send_due(conversation).generation)
    turns.send_due(conversation)
    assert questions(conversation) == ["Why?", "first", "second"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", ["stopped", "interrupted", "failed"])
def test_a_message_is_held_when_the_answer_was_not_completed(running, status):
    conversation = running.message.conversation
    queued = queue(conversation, "Later")
    end(running, status)
    assert turns.send_due(conversation) is None
    turn = turns.send_queued(queued)
    assert turn.answer.parent.text == "Later"
    assert turn.answer.parent.parent == running.message
    with pytest.raises(turns.AlreadySent):
        turns.send_queued(queued)


@pytest.mark.django_db(transaction=True)
def test_a_held_message_follows_the_next_answer_that_is_completed(running):
    conversation = running.message.conversation
    queue(conversation, "Later")
    end(running, "stopped")
    again = turns.regenerate(running.message, request_key=uuid.uuid4())
    assert turns.send_due(conversation) is None
    end(again.generation)
    assert turns.send_due(conversation).answer.parent.parent == again.answer


@pytest.mark.django_db(transaction=True)
def test_another_version_that_is_read_meanwhile_stays(running):
    conversation = running.message.conversation
    other = Message.objects.create(conversation=conversation, parent=running.message.parent, role="assistant")
    queue(conversation, "Next")
    turns.activate(other)
    end(running)
    turn = turns.send_due(conversation)
    conversation.refresh_from_db()
    assert conversation.active_leaf == other
    assert turn.answer.parent.parent == running.message


@pytest.mark.django_db(transaction=True)
def test_many_senders_at_once_send_once(running):
    conversation = running.message.conversation
    queue(conversation, "Once")
    end(running)
    barrier, sent = threading.Barrier(6), []

    def send() -> None:
        barrier.wait()
        try:
            sent.append(turns.send_due(conversation))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(turn is not None for turn in sent) == len(claims.claimable(0, 10)) == 1
    assert questions(conversation) == ["Why?", "Once"]


@pytest.mark.django_db(transaction=True)
def test_the_same_request_queues_one_message_and_later_finds_its_answer(running):
    conversation, key = running.message.conversation, uuid.uuid4()
    assert queue(conversation, "Twice", key) == queue(conversation, "Twice", key)
    with pytest.raises(turns.KeyUsed):
        queue(conversation, "Other words", key)
    end(running)
    turn = turns.send_due(conversation)
    again = queue(conversation, "Twice", key)
    assert (again.repeated, again.generation) == (True, turn.generation)


@pytest.mark.django_db(transaction=True)
def test_a_waiting_message_can_be_taken_back_or_removed(running, user):
    conversation = running.message.conversation
    one, two = queue(conversation, "one"), queue(conversation, "two")
    turns.edit_queued(one)
    turns.remove_queued(two)
    assert not QueuedMessage.objects.exists()
    assert Draft.objects.get(owner=user, conversation=conversation).text == "one"
    for act in (turns.edit_queued, turns.remove_queued):
        with pytest.raises(turns.AlreadySent):
            act(one)


def test_files_of_a_message_taken_back_are_kept_for_a_day_from_then_on(running, user):
    conversation = running.message.conversation
    row = turns.upload_file(user, SimpleUploadedFile("a.txt", b"some notes"), conversation)
    queued = queue(conversation, "Look", attachments=[row.pk])
    Attachment.objects.update(created_at=timezone.now() - timedelta(hours=25))  # so long it has waited
    turns.edit_queued(queued)
    assert forget_unsent() == 0
    assert turns.unsent_files(user, conversation) == [row]


@pytest.mark.django_db(transaction=True)
def test_the_queue_has_an_end(running):
    from conversations.turns.queue import MOST_QUEUED

    for number in range(MOST_QUEUED):
        queue(running.message.conversation, str(number))
    with pytest.raises(turns.QueueFull):
        queue(running.message.conversation, "too much")


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_in_a_conversation_that_was_deleted(running, user):
    from django.utils import timezone

    queue(running.message.conversation, "Too late")
    end(running)
    Conversation.objects.update(deleted_at=timezone.now())
    assert not QueuedMessage.objects.due().exists()
    with pytest.raises(turns.Gone):
        turns.send_due(running.message.conversation)


@pytest.mark.django_db(transaction=True)
def test_a_disabled_model_gives_way_to_that_of_the_conversation(running):
    conversation, other = running.message.conversation, make_model(model_name="other")
    turns.send_or_queue(conversation, text="Next", model=other, request_key=uuid.uuid4())
    other.enabled = False
    other.save()
    end(running)
    assert turns.send_due(conversation).generation.model == conversation.model


@pytest.mark.django_db(transaction=True)
def test_an_image_waits_for_a_model_that_can_see_it(running, owner_client):
    conversation = running.message.conversation
    ChatModel.objects.update(sees_images=True, label="Lookout")
    image = turns.upload_file(conversation.owner, SimpleUploadedFile("sun.png", picture()), conversation)
    queue(conversation, "What is this?", attachments=[image.pk])
    ChatModel.objects.update(sees_images=False)
    end(running)
    send = reverse("conversations:queue", args=[conversation.pk])
    page = owner_client.post(send, {"seen": ""}, headers={"HX-Request": "true"}).content.decode()
    assert "Lookout cannot see its images" in page
    assert "Send now" not in page
    assert questions(conversation) == [running.message.parent.text]
    assert not QueuedMessage.objects.due().exists()
    with pytest.raises(turns.CannotSee):
        turns.send_queued(QueuedMessage.objects.get())
    ChatModel.objects.update(sees_images=True)
    assert (
        "Send now" in owner_client.get(reverse("conversations:conversation", args=[conversation.pk])).content.decode()
    )
    turn = turns.send_queued(QueuedMessage.objects.get())
    assert turn.answer.parent.attachments.get() == image


async def test_a_process_sends_what_waits_for_its_own_answer(process):
    def ask() -> Conversation:
        text = "First [[speed=100]] [[length=60]]"
        turn = turns.start(make_user("ada"), text=text, model=make_model(), request_key=uuid.uuid4())
        for name in ("Second", "Third"):
            queue(turn.conversation, f"{name} [[speed=0]] [[length=10]]")
        return turn.conversation

    conversation = await reader.call(ask)
    await _completed(conversation, 3)
    assert [text.split()[0] for text in await reader.call(questions, conversation)] == ["First", "Second", "Third"]


async def test_the_upkeep_sends_what_a_process_that_died_has_left(process):
    def leave() -> Conversation:
        generation = make_turn(make_conversation(make_user("ada")))
        QueuedMessage.objects.create(
            conversation=generation.message.conversation, text="Left [[speed=0]] [[length=10]]", after=generation
        )
        return generation.message.conversation

    conversation = await reader.call(leave)
    await _completed(conversation, 2)
    assert await QueuedMessage.objects.acount() == 0


async def _completed(conversation: Conversation, answers: int) -> None:
    async with asyncio.timeout(15):
        while True:
            rows = Generation.objects.filter(message__conversation=conversation, status="completed")
            if await rows.acount() == answers:
                return
            await asyncio.sleep(0.05)


# Drafts


@pytest.mark.django_db(transaction=True)
def test_a_draft_ends_in_the_transaction_of_its_message_and_does_not_come_back(user, ending_process):
    conversation, key = make_conversation(user), uuid.uuid4()
    turns.keep_draft(user, conversation, text="half", request_key=key)
    turns.send(conversation, text="half a thought", model=None, request_key=key)
    assert not Draft.objects.exists()
    assert turns.keep_draft(user, conversation, text="half a thou", request_key=key) is False
    assert not Draft.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_another_tab_has_typed_meanwhile_stays(user, ending_process):
    conversation = make_conversation(user)
    turns.keep_draft(user, conversation, text="of the other tab", request_key=uuid.uuid4())
    turns.send(conversation, text="mine", model=None, request_key=uuid.uuid4())
    assert turns.draft_of(user, conversation).text == "of the other tab"


@pytest.mark.django_db(transaction=True)
def test_a_message_that_was_begun_on_another_device_ends_that_draft(user, ending_process):
    conversation, key = make_conversation(user), uuid.uuid4()
    turns.keep_draft(user, conversation, text="begun there", request_key=key)
    turns.send(conversation, text="begun there, ended here", model=None, request_key=uuid.uuid4(), draft_key=key)
    assert not Draft.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_newest_draft_wins_and_an_empty_one_ends_it(user):
    for text in ("one", "two"):
        turns.keep_draft(user, None, text=text, request_key=uuid.uuid4())
    assert Draft.objects.get().text == "two"
    turns.keep_draft(user, None, text=" \n", request_key=uuid.uuid4())
    assert not Draft.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_draft_of_a_start_ends_with_it_and_others_stay(user, ending_process):
    conversation, key = make_conversation(user), uuid.uuid4()
    turns.keep_draft(user, conversation, text="elsewhere", request_key=uuid.uuid4())
    turns.keep_draft(user, None, text="a start", request_key=key)
    turns.start(user, text="a start!", model=make_model(), request_key=key)
    assert [draft.text for draft in Draft.objects.all()] == ["elsewhere"]


# Views


def url(name: str, *args) -> str:
    return reverse(f"conversations:{name}", args=args)


@pytest.mark.django_db(transaction=True)
def test_the_queue_and_drafts_of_others_are_not_found(owner_client, stranger):
    running = make_running(make_conversation(stranger))
    conversation = running.message.conversation
    queued = queue(conversation, "Private words")
    turns.keep_draft(stranger, conversation, text="Private draft", request_key=uuid.uuid4())
    mine = make_conversation(owner_client.get("/").wsgi_request.user)
    make_turn(mine)
    for name in ("queue_send", "queue_edit", "queue_remove"):
        assert owner_client.post(url(name, conversation.pk, queued.pk)).status_code == 404
        answer = owner_client.post(url(name, mine.pk, queued.pk))
        assert answer.status_code == 409
        assert "Private words" not in answer.content.decode()
        assert owner_client.get(url(name, mine.pk, queued.pk)).status_code == 405
    for name in ("queue", "draft"):
        assert owner_client.post(url(name, conversation.pk), {"text": "x"}).status_code == 404
    assert QueuedMessage.objects.get().text == "Private words"
    assert Draft.objects.get().text == "Private draft"


@pytest.mark.django_db(transaction=True)
def test_a_page_that_is_behind_gets_the_end_of_the_thread(owner_client, user, ending_process):
    running = make_running(make_conversation(user))
    conversation = running.message.conversation
    queue(conversation, "Next <b>")
    page = owner_client.get(url("conversation", conversation.pk)).content.decode()
    seen = page.split('name="seen" value="')[1].split('"')[0]
    htmx = {"HX-Request": "true"}
    assert owner_client.post(url("queue", conversation.pk), {"seen": seen}, headers=htmx).status_code == 204
    end(running)
    answer = owner_client.post(url("queue", conversation.pk), {"seen": seen}, headers=htmx)
    html = answer.content.decode()
    assert answer.status_code == 200
    assert html.count('class="message user"') == html.count('class="message assistant"') == 1
    assert "Next &lt;b&gt;" in html
    other = owner_client.post(url("queue", conversation.pk), {"seen": "garbage\0"}, headers=htmx).content.decode()
    assert 'class="message' not in other  # whoever reads another branch keeps it
    assert 'id="queue"' in other


@pytest.mark.django_db(transaction=True)
def test_a_page_that_is_behind_gets_the_end_of_the_thread_with_its_waiting_message(owner_client, user, ending_process):
    conversation = make_conversation(user)
    shown = make_turn(conversation, "One").message
    later = make_running(conversation, question="Two, from the phone").message
    before = f"{dom_id(shown.parent_id)}.0 {dom_id(shown.pk)}.0"
    reports = [before, f"{before} {dom_id(later.parent_id)}.0 {dom_id(later.pk)}.0"]
    pages = []
    for number, report in enumerate(reports):
        headers = {"HX-Request": "true", "Stillwater-Shown": report}
        fields = {"text": f"Three {number}", "request_key": uuid.uuid4()}
        pages.append(owner_client.post(url("send", conversation.pk), fields, headers=headers).content.decode())
    assert [page.count("Two, from the phone</div>") for page in pages] == [1, 0]
    assert [page.count('id="queue"') for page in pages] == [1, 1]
    assert "Three 0" in pages[0]


@pytest.mark.django_db(transaction=True)
def test_only_a_key_that_was_used_is_replaced(owner_client, user, ending_process):
    conversation = make_conversation(user)
    question = make_turn(conversation).message.parent
    htmx, key = {"HX-Request": "true"}, uuid.uuid4()

    def post(name: str, pk: object, **fields) -> str:
        return owner_client.post(url(name, pk), fields, headers=htmx).content.decode()

    assert "request_key" not in post("send", conversation.pk, text="x" * 200_001, request_key=key)
    assert 'id="composer-key"' in post("send", conversation.pk, text="One", request_key=key)
    assert "composer-key" not in owner_client.get(url("fresh", conversation.pk), headers=htmx).content.decode()
    assert 'hx-target="#composer-key"' in post("send", conversation.pk, text="Another", request_key=key)
    assert f'hx-target="#{dom_id(question.pk)}-key"' in post("edit", question.pk, text="Another", request_key=key)
    form = owner_client.get(url("edit", question.pk), headers=htmx).content.decode()
    assert f'id="{dom_id(question.pk)}-key" name="request_key"' in form
    assert questions(conversation) == ["Why?", "One"]


@pytest.mark.django_db(transaction=True)
def test_a_draft_is_kept_shown_and_limited(owner_client, user, settings, caplog):
    conversation = make_conversation(user)
    answer = owner_client.post(
        url("draft", conversation.pk), {"text": "my secret thought", "request_key": uuid.uuid4()}
    )
    assert answer.status_code == 204
    assert "my secret thought</textarea>" in owner_client.get(url("conversation", conversation.pk)).content.decode()
    assert "my secret thought" not in owner_client.get("/").content.decode()
    long = owner_client.post(url("draft", conversation.pk), {"text": "x" * (settings.MESSAGE_CHARACTERS + 1)})
    assert long.status_code == 422
    assert Draft.objects.get().text == "my secret thought"
    assert "my secret thought" not in caplog.text
    assert owner_client.get(url("draft", conversation.pk)).status_code == 405


@pytest.mark.django_db(transaction=True)
def test_a_page_costs_as_many_queries_with_three_waiting_messages_as_with_one(owner_client, user):
    running = make_running(make_conversation(user))
    conversation = running.message.conversation
    counts = []
    for texts in (("one",), ("two", "three")):
        for text in texts:
            queue(conversation, text)
        with CaptureQueriesContext(connection) as queries:
            owner_client.get(url("conversation", conversation.pk))
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.django_db(transaction=True)
def test_the_queue_works_without_javascript(owner_client, user, ending_process):
    running = make_running(make_conversation(user))
    conversation = running.message.conversation
    page = url("conversation", conversation.pk)
    for text in ("one", "two"):
        assert owner_client.post(url("send", conversation.pk), {"text": text}).url == page
    one, two = QueuedMessage.objects.all()
    assert owner_client.post(url("queue_edit", conversation.pk, one.pk)).url == page
    assert "one</textarea>" in owner_client.get(page).content.decode()
    end(running, "stopped")
    assert "Send now" in owner_client.get(page).content.decode()
    assert owner_client.post(url("queue_send", conversation.pk, two.pk)).url == page
    assert questions(conversation) == ["Why?", "two"]
    answer = owner_client.post(url("queue_remove", conversation.pk, two.pk))
    assert answer.status_code == 409
    assert "no longer waiting" in answer.content.decode()
    queue(conversation, "three")
    end(Generation.objects.order_by("pk").last())
    assert 'http-equiv="refresh"' in owner_client.get(page).content.decode()
    assert owner_client.post(url("queue", conversation.pk)).url == page
    assert questions(conversation) == ["Why?", "two", "three"]
