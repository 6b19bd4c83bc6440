"""What a user can do, in the database; what is to be answered stays queued."""

from __future__ import annotations

import threading
import uuid

import pytest
from django.db import connections

from conversations import turns
from conversations.asking.context import request_for
from conversations.generating import claims
from conversations.keeping import purge
from conversations.models import AuditEntry, Conversation, Delta, Generation, Message
from tests.factories import make_conversation, make_model, make_turn, make_user

pytestmark = pytest.mark.usefixtures("ending_process")


def start(user, text: str = "Why is the sky blue?", key: uuid.UUID | None = None) -> turns.Turn:
    return turns.start(user, text=text, model=make_model(), request_key=key or uuid.uuid4())


@pytest.mark.django_db(transaction=True)
def test_start_makes_everything_in_one_transaction(user):
    turn = start(user, "  Why is\nthe sky blue?  ")
    conversation = Conversation.objects.get()
    question, answer = Message.objects.order_by("pk")
    assert (conversation.owner, conversation.title) == (user, "Why is the sky blue?")
    assert (question.role, answer.role, answer.parent) == ("user", "assistant", question)
    assert conversation.active_leaf == answer
    assert turn.generation.status == "queued"
    assert claims.claimable(0, 10) == [turn.generation.pk]
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "conversation.start",
        "generation.new",
    ]


@pytest.mark.django_db(transaction=True)
def test_the_same_request_makes_one_message(user):
    key = uuid.uuid4()
    first, second = start(user, key=key), start(user, key=key)
    assert (first.repeated, second.repeated) == (False, True)
    assert second.generation == first.generation
    assert Conversation.objects.count() == 1
    assert claims.claimable(0, 10) == [first.generation.pk]


@pytest.mark.django_db(transaction=True)
def test_a_request_key_of_somebody_else_is_refused(user, stranger):
    key = uuid.uuid4()
    start(stranger, key=key)
    with pytest.raises(turns.TurnRefused, match="Reload the page"):
        start(user, key=key)
    assert user.conversations.count() == 0


@pytest.mark.django_db(transaction=True)
def test_send_is_refused_while_an_answer_runs(user):
    turn = start(user)
    with pytest.raises(turns.AnswerRunning):
        turns.send(turn.conversation, text="More", model=None, request_key=uuid.uuid4())
    assert Message.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_send_can_stop_the_running_answer_first(user):
    turn = start(user)
    Generation.objects.update(status="in_progress")
    turns.send(turn.conversation, text="More", model=None, request_key=uuid.uuid4(), stop_first=True)
    first, second = Generation.objects.order_by("pk")
    assert first.stop_requested_at is not None
    assert second.message.parent.text == "More"
    assert second.message.parent.parent == turn.answer


@pytest.mark.django_db(transaction=True)
def test_two_sends_at_once_make_one_running_answer(transactional_db):
    conversation = make_conversation(make_user("ada"))
    barrier, outcomes = threading.Barrier(2), []

    def send(text: str) -> None:
        barrier.wait()
        try:
            turns.send(conversation, text=text, model=None, request_key=uuid.uuid4())
            outcomes.append("sent")
        except turns.AnswerRunning:
            outcomes.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send, args=[text]) for text in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "sent"]
    assert Generation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_start_twice_at_once_makes_one_conversation(transactional_db):
    user, model, key = make_user("ada"), make_model(), uuid.uuid4()
    barrier, outcomes = threading.Barrier(4), []

    def begin() -> None:
        barrier.wait()
        try:
            outcomes.append(turns.start(user, text="Hello", model=model, request_key=key).repeated)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, True, True, True]
    assert Conversation.objects.count() == Generation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_regenerate_adds_a_version_and_keeps_the_old_one(user):
    generation = make_turn(make_conversation(user))
    turn = turns.regenerate(generation.message, request_key=uuid.uuid4())
    assert turn.answer.parent == generation.message.parent
    assert turn.conversation.active_leaf == turn.answer
    assert Message.objects.filter(parent=generation.message.parent).count() == 2


@pytest.mark.django_db(transaction=True)
def test_edit_makes_a_branch_beside_the_old_question(user):
    conversation = make_conversation(user)
    generation = make_turn(conversation, "First words")
    turn = turns.edit(generation.message.parent, text="Other words", request_key=uuid.uuid4())
    assert turn.answer.parent.text == "Other words"
    assert turn.answer.parent.parent is None
    assert Message.objects.filter(parent=None).count() == 2


@pytest.mark.django_db(transaction=True)
def test_continue_adds_a_generation_to_the_same_message(user):
    generation = make_turn(make_conversation(user), status="stopped", finish_reason="")
    turn = turns.continue_(generation.message, request_key=uuid.uuid4())
    assert turn.answer == generation.message
    assert turn.generation.kind == "continue"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("fields", "partial"),
    [
        ({"status": "completed", "finish_reason": "stop"}, False),
        ({"status": "completed", "finish_reason": "length"}, True),
        ({"status": "stopped"}, True),
        ({"status": "interrupted"}, True),
        ({"status": "failed", "answer": ""}, False),
        ({"status": "in_progress", "answer": ""}, False),
    ],
)
def test_only_partial_answers_can_be_continued(user, fields, partial):
    generation = make_turn(make_conversation(user), **fields)
    assert generation.message.is_partial is partial


@pytest.mark.django_db(transaction=True)
def test_a_continuation_that_failed_before_its_first_word_can_be_tried_again(user):
    message = make_turn(make_conversation(user), answer="Half of", status="stopped", finish_reason="").message
    Generation.objects.create(message=message, kind="continue", status="failed", error_code="busy")
    assert message.is_partial
    assert turns.continue_(message, request_key=uuid.uuid4()).answer == message


@pytest.mark.django_db(transaction=True)
def test_what_was_answered_since_is_not_cut_off_by_continue(user):
    conversation = make_conversation(user)
    early = make_turn(conversation, status="stopped", finish_reason="").message
    make_turn(conversation, "And then?")
    with pytest.raises(turns.NothingToContinue):
        turns.continue_(early, request_key=uuid.uuid4())


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_is_being_stopped_is_continued_later(user):
    turn = start(user)
    Generation.objects.update(status="in_progress")
    turns.stop(turn.conversation)
    with pytest.raises(turns.StillStopping):
        turns.continue_(turn.answer, request_key=uuid.uuid4())


@pytest.mark.django_db(transaction=True)
def test_a_key_is_not_taken_for_another_message(user):
    key = uuid.uuid4()
    turn = start(user, "A", key=key)
    Generation.objects.update(status="completed")
    with pytest.raises(turns.KeyUsed):
        turns.send(turn.conversation, text="B", model=None, request_key=key)
    with pytest.raises(turns.KeyUsed):
        start(user, "C", key=key)
    assert list(Message.objects.filter(role="user").values_list("text", flat=True)) == ["A"]


@pytest.mark.django_db(transaction=True)
def test_the_model_gets_what_the_user_has_seen_of_an_answer_that_is_being_stopped(user):
    turn = start(user, "A")
    Generation.objects.update(status="in_progress")
    Delta.objects.create(generation=turn.generation, seq=0, kind="text", text="Seen by the user", at_ms=5)
    second = turns.send(turn.conversation, text="B", model=None, request_key=uuid.uuid4(), stop_first=True)
    messages = request_for(Generation.objects.get(pk=second.generation.pk)).messages
    assert [(message.role, message.content) for message in messages] == [
        ("user", "A"),
        ("assistant", "Seen by the user"),
        ("user", "B"),
    ]


@pytest.mark.django_db(transaction=True)
def test_a_conversation_that_was_deleted_meanwhile_is_gone(user):
    conversation = make_conversation(user)
    answer = make_turn(conversation).message
    Conversation.objects.all().delete()
    for act in (
        lambda: turns.send(conversation, text="x", model=None, request_key=uuid.uuid4()),
        lambda: turns.regenerate(answer, request_key=uuid.uuid4()),
        lambda: turns.activate(answer),
        lambda: turns.delete(conversation),
    ):
        with pytest.raises(turns.Gone):
            act()


@pytest.mark.django_db(transaction=True)
def test_stop_ends_a_queued_generation_at_once(user):
    turn = start(user)
    assert turns.stop(turn.conversation) == 1
    turn.generation.refresh_from_db()
    assert turn.generation.status == "stopped"
    assert turn.generation.ended_at is not None


@pytest.mark.django_db(transaction=True)
def test_stop_twice_asks_once_and_after_the_end_does_nothing(user):
    turn = start(user)
    Generation.objects.update(status="in_progress")
    turns.stop(turn.conversation)
    asked_at = Generation.objects.get().stop_requested_at
    turns.stop(turn.conversation)
    assert Generation.objects.get().stop_requested_at == asked_at
    Generation.objects.update(status="completed")
    assert turns.stop(turn.conversation) == 0


@pytest.mark.django_db(transaction=True)
def test_activate_shows_a_version_with_its_own_continuation(user):
    conversation = make_conversation(user)
    old = make_turn(conversation, "Question").message
    continuation = make_turn(conversation, "And then?").message
    turns.regenerate(old, request_key=uuid.uuid4())
    turns.activate(old)
    conversation.refresh_from_db()
    assert conversation.active_leaf == continuation


@pytest.mark.django_db(transaction=True)
def test_delete_leaves_no_message_and_an_audit_entry(user):
    conversation = make_conversation(user)
    make_turn(conversation)
    pk = conversation.pk
    turns.delete(conversation)
    assert Message.objects.exclude(conversation__deleted_at=None).count() == 2
    assert purge.purge(pk)
    assert Message.objects.count() == Generation.objects.count() == 0
    assert AuditEntry.objects.filter(action="conversation.delete", conversation_id=pk).count() == 1


@pytest.mark.django_db(transaction=True)
def test_rename_is_final_for_the_model(user):
    conversation = make_conversation(user)
    turns.rename(conversation, title="My title [[with=signs]]")
    conversation.refresh_from_db()
    assert (conversation.title, conversation.title_source) == ("My title [[with=signs]]", "user")
