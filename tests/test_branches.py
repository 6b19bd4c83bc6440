"""Answers written otherwise, forks, undone continuations, versions and opinions, without a browser."""

from __future__ import annotations

import uuid

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conversations import turns
from conversations.asking.context import INSTRUCTIONS, request_for
from conversations.models import Attachment, AuditEntry, Conversation, Feedback, Generation, Message, Tag
from conversations.reading.transcript import thread
from tests.factories import make_conversation, make_running, make_turn

pytestmark = pytest.mark.usefixtures("ending_process")


def url(name: str, *args) -> str:
    return reverse(f"conversations:{name}", args=args)


def asked(generation: Generation) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in request_for(generation).messages]


# Written otherwise


@pytest.mark.django_db(transaction=True)
def test_an_instruction_goes_to_the_model_with_the_answer_it_is_about(user):
    generation = make_turn(make_conversation(user, system_prompt="Be kind."), "Why?", "Because of it.")
    turn = turns.regenerate(generation.message, request_key=uuid.uuid4(), instruction="shorter")
    row = Generation.objects.get(pk=turn.generation.pk)
    assert asked(row) == [
        ("system", "Be kind."),
        ("user", "Why?"),
        ("assistant", "Because of it."),
        ("user", INSTRUCTIONS["shorter"]),
    ]
    assert Message.objects.filter(role="user").count() == 1
    assert thread(Conversation.objects.get())[-1].status == "queued"


@pytest.mark.django_db(transaction=True)
def test_an_instruction_about_an_answer_that_says_nothing_goes_with_the_question(user):
    failed = make_turn(make_conversation(user), "Why?", "", status="failed", finish_reason="")
    turn = turns.regenerate(failed.message, request_key=uuid.uuid4(), instruction="longer")
    assert asked(turn.generation) == [("user", f"Why?\n\n{INSTRUCTIONS['longer']}")]


@pytest.mark.django_db(transaction=True)
def test_a_continuation_keeps_the_instruction(user):
    generation = make_turn(make_conversation(user), "Why?", "Because of it.")
    again = turns.regenerate(generation.message, request_key=uuid.uuid4(), instruction="more_formal").generation
    output = [{"kind": "text", "text": "It is", "from_ms": 0, "to_ms": 1}]
    Generation.objects.filter(pk=again.pk).update(status="stopped", output=output)
    continued = turns.continue_(again.message, request_key=uuid.uuid4()).generation
    assert asked(continued)[-1] == ("user", INSTRUCTIONS["more_formal"])
    assert request_for(continued).partial == "It is"


@pytest.mark.django_db(transaction=True)
def test_the_version_says_how_it_was_to_be_written(owner_client, user):
    conversation = make_conversation(user)
    make_turn(conversation, instruction="more_formal")
    page = owner_client.get(url("conversation", conversation.pk)).content.decode()
    assert '<span class="badge">More formal</span>' in page


def test_an_unknown_instruction_is_refused(owner_client, user):
    answer = make_turn(make_conversation(user)).message
    response = owner_client.post(url("regenerate", answer.pk), {"instruction": "rude"})
    assert response.status_code == 422
    assert Message.objects.count() == 2


# Forks


@pytest.mark.django_db(transaction=True)
def test_a_fork_copies_the_branch_down_to_here_with_its_settings(user):
    tag = Tag.objects.create(owner=user, name="rivers")
    source = make_conversation(
        user,
        title="Rivers",
        title_source="user",
        system_prompt="Be brief.",
        parameters={"temperature": 0.3},
        pinned=True,
    )
    source.tags.add(tag)
    first = make_turn(source, "One?", "Eins.", output_tokens=7, cost="0.1")
    attachment = Attachment(
        owner=user, message=first.message.parent, kind="text", name="a.txt", content_type="text/plain", size=3
    )
    attachment.file.save("a.txt", ContentFile(b"abc"))
    second = make_turn(source, "Two?", "Zwei.")
    turns.regenerate(second.message, request_key=uuid.uuid4())  # runs in the original meanwhile
    make_turn(source, "Three?", "Drei.")
    copy = turns.fork(second.message, request_key=uuid.uuid4())
    assert (copy.title, copy.system_prompt, copy.parameters, copy.model) == (
        "Rivers",
        "Be brief.",
        {"temperature": 0.3},
        source.model,
    )
    assert (copy.pinned, list(copy.tags.all())) == (False, [tag])
    views = thread(Conversation.objects.get(pk=copy.pk))
    assert [view.text for view in views if view.role == "user"] == ["One?", "Two?"]
    assert ["Eins." in views[1].html, "Zwei." in views[3].html] == [True, True]
    assert {view.id for view in views}.isdisjoint(source.messages.values_list("pk", flat=True))
    assert {(row.output_tokens, row.cost) for row in Generation.objects.filter(message__conversation=copy)} == {
        (None, None)
    }
    copied = Attachment.objects.get(message__conversation=copy)
    assert copied.file.name != attachment.file.name
    attachment.file.delete()
    with copied.file.open() as kept:
        assert kept.read() == b"abc"
    assert AuditEntry.objects.get(action="conversation.fork").data == {"source": str(source.pk), "messages": 4}


@pytest.mark.django_db(transaction=True)
def test_the_same_request_forks_once(user):
    answer, key = make_turn(make_conversation(user)).message, uuid.uuid4()
    assert turns.fork(answer, request_key=key) == turns.fork(answer, request_key=key)
    assert Conversation.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_is_being_written_cannot_be_forked(user):
    running = make_running(make_conversation(user))
    with pytest.raises(turns.AnswerRunning):
        turns.fork(running.message, request_key=uuid.uuid4())
    assert Conversation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_long_branch_is_forked_with_few_queries(user):
    counts = []
    for length in (1, 3):
        conversation = make_conversation(user)
        for _ in range(length):
            last = make_turn(conversation)
        with CaptureQueriesContext(connection) as queries:
            turns.fork(last.message, request_key=uuid.uuid4())
        counts.append(len(queries))
    assert counts[0] == counts[1]


# Undoing a continuation


@pytest.fixture
def continued(user):
    generation = make_turn(make_conversation(user), answer="Half", status="stopped", finish_reason="")
    text = [{"kind": "text", "text": " and the rest", "from_ms": 0, "to_ms": 5}]
    return Generation.objects.create(message=generation.message, kind="continue", status="completed", output=text)


@pytest.mark.django_db(transaction=True)
def test_a_continuation_is_undone_alone(owner_client, continued):
    conversation = continued.message.conversation
    page = owner_client.get(url("conversation", conversation.pk)).content.decode()
    assert "Half and the rest" in page
    assert "will be gone for good: 3 words." in page
    response = owner_client.post(url("undo", continued.message_id), {"generation": continued.pk})
    assert response.status_code == 302
    page = owner_client.get(url("conversation", conversation.pk)).content.decode()
    assert "Half" in page
    assert "and the rest" not in page
    assert "Undo continue" not in page
    assert AuditEntry.objects.get(action="generation.undo").generation_id == continued.pk


@pytest.mark.django_db(transaction=True)
def test_only_the_named_last_continuation_at_the_end_of_a_branch_is_undone(continued):
    first = continued.message.generations.first()
    for pk in (first.pk, uuid.uuid4()):
        with pytest.raises(turns.NothingToUndo):
            turns.undo_continue(continued.message, generation_id=pk)
    Message.objects.create(conversation=continued.message.conversation, parent=continued.message, role="user")
    with pytest.raises(turns.NothingToUndo):
        turns.undo_continue(continued.message, generation_id=continued.pk)
    assert continued.message.generations.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_continuation_that_is_being_written_is_not_undone(continued):
    Generation.objects.filter(pk=continued.pk).update(status="in_progress")
    with pytest.raises(turns.AnswerRunning):
        turns.undo_continue(continued.message, generation_id=continued.pk)


# Versions


@pytest.fixture
def versions(user):
    conversation = make_conversation(user)
    first = make_turn(conversation, "Why?", "The sky is blue & wide.").message
    rows = [first]
    for text in ("The sky is red & wide.", "A <b>third</b> answer."):
        message = Message.objects.create(conversation=conversation, parent=first.parent, role="assistant")
        output = [{"kind": "text", "text": text, "from_ms": 0, "to_ms": 1}]
        Generation.objects.create(message=message, status="completed", finish_reason="stop", output=output)
        rows.append(message)
    return rows


def test_two_versions_are_shown_with_their_differences(owner_client, versions):
    page = owner_client.get(url("versions", versions[1].pk)).content.decode()
    assert "Version 1 of 3" in page
    assert "<del>" in page and "blue " in page.split("<del>")[1].split("</del>")[0]
    assert "red " in page.split("<ins>")[1].split("</ins>")[0]
    page = owner_client.get(
        f"{url('versions', versions[0].pk)}?old={versions[1].pk}&new={versions[2].pk}"
    ).content.decode()
    assert "&lt;b&gt;" in page
    assert "<b>third" not in page


@pytest.mark.parametrize("query", ["?old=x&new=y", "?old={stranger}", "?new={stranger}", "?old={self}&new={self}"])
def test_a_strange_choice_of_versions_falls_back(owner_client, versions, stranger, query):
    foreign = make_turn(make_conversation(stranger), answer="Private").message
    query = query.format(stranger=foreign.pk, self=versions[1].pk)
    response = owner_client.get(url("versions", versions[1].pk) + query)
    assert response.status_code == 200
    assert "Private" not in response.content.decode()


def test_a_single_version_says_so(owner_client, user):
    answer = make_turn(make_conversation(user)).message
    assert "There is only one version." in owner_client.get(url("versions", answer.pk)).content.decode()


def test_versions_cost_a_constant_number_of_queries(owner_client, versions, user):
    single = make_turn(make_conversation(user)).message
    counts = []
    for message in (single, versions[0]):
        with CaptureQueriesContext(connection) as queries:
            owner_client.get(url("versions", message.pk))
        counts.append(len(queries))
    assert counts[0] == counts[1]


# Opinions


def test_an_opinion_is_given_changed_and_withdrawn(owner_client, user):
    answer = make_turn(make_conversation(user)).message
    where = url("feedback", answer.pk)
    assert owner_client.post(where, {"value": "1"}).status_code == 302
    owner_client.post(where, {"value": "1", "comment": "Well <said>"})
    owner_client.post(where, {"value": "-1"})
    row = Feedback.objects.get()
    assert (row.owner, row.value, row.comment) == (user, -1, "Well <said>")
    page = owner_client.get(url("conversation", answer.conversation_id)).content.decode()
    assert page.count('aria-pressed="true"') - page.count('name="theme"') <= 1
    assert "Well &lt;said&gt;" in page
    html = owner_client.post(where, {"value": ""}, headers={"HX-Request": "true"}).content.decode()
    assert 'aria-pressed="true"' not in html
    assert not Feedback.objects.exists()


@pytest.mark.parametrize("fields", [{"value": "5"}, {"value": "x"}, {"value": "1", "comment": "x" * 1001}])
def test_a_strange_opinion_is_refused(owner_client, user, fields):
    answer = make_turn(make_conversation(user)).message
    assert owner_client.post(url("feedback", answer.pk), fields).status_code == 422
    assert not Feedback.objects.exists()


def test_branches_of_others_are_not_found(owner_client, stranger):
    answer = make_turn(make_conversation(stranger)).message
    for name in ("fork", "undo", "feedback"):
        fields = {"value": "1", "generation": str(uuid.uuid4())}
        assert owner_client.post(url(name, answer.pk), fields).status_code == 404
        assert owner_client.get(url(name, answer.pk)).status_code == 405
    for name in ("versions", "again"):
        assert owner_client.get(url(name, answer.pk)).status_code == 404
    assert Conversation.objects.count() == 1
    assert not Feedback.objects.exists()


def test_a_page_costs_as_many_queries_with_three_opinions_as_with_one(owner_client, user):
    conversation, counts = make_conversation(user), []
    for _ in range(2):
        for _ in range(2):
            Feedback.objects.create(owner=user, message=make_turn(conversation).message, value=1)
        owner_client.get(url("conversation", conversation.pk))  # renders what is new
        with CaptureQueriesContext(connection) as queries:
            owner_client.get(url("conversation", conversation.pk))
        counts.append(len(queries))
    assert counts[0] == counts[1]
