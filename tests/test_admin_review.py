"""Transcripts in the admin: masked until a reason was given, then as the user saw them, with all branches."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.contrib.admin import site
from django.db import connection
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations import search, turns
from conversations.models import AuditEntry, Conversation, Feedback, Flag, Generation, Message, Opening
from conversations.review import flags, openings
from conversations.transfer.selections import FORMS
from tests.factories import make_conversation, make_model, make_running, make_turn, make_user
from tests.reviewers import make_staff, open_transcript, page, signed_in, text

SECRET = "Marmalade"


@pytest.fixture
def reviewer(db):
    return make_staff("reviewer", "reviewer")


@pytest.fixture
def client(reviewer):
    return signed_in(reviewer)


@pytest.fixture
def conversation(user):
    """A conversation in which everything that can be masked says the secret word."""
    row = make_conversation(user, title=f"{SECRET} title", system_prompt=f"{SECRET} prompt")
    generation = make_turn(row, f"{SECRET} question", f"{SECRET} **answer**", error_message=f"{SECRET} error")
    turns.give_feedback(user, generation.message, value=-1, comment=f"{SECRET} comment")
    flags.add_note(Flag.objects.get(), f"{SECRET} note", by=user)
    search.index_conversation(row)
    return row


def every_page(conversation) -> list[str]:
    message = conversation.active_leaf
    return [
        "/admin/",
        page("conversation_changelist"),
        page("conversation_changelist") + f"?q={SECRET.lower()}",  # found, and still not shown
        page("conversation_change", conversation.pk),
        page("message_changelist"),
        page("message_change", message.pk),
        page("generation_changelist"),
        page("generation_change", message.generations.get().pk),
        page("feedback_changelist"),
        page("feedback_change", Feedback.objects.get().pk),
        page("flag_changelist"),
        page("flag_change", Flag.objects.get().pk),
        page("auditentry_changelist"),
    ]


def test_nothing_is_read_before_a_reason_was_given(client, conversation):
    for url in every_page(conversation):
        assert SECRET not in client.get(url).content.decode(), url


def test_superusers_are_held_to_the_same(conversation):
    boss = make_staff("boss")
    boss.is_superuser = True
    boss.save()
    client = signed_in(boss)
    for url in every_page(conversation):
        assert SECRET not in client.get(url).content.decode(), url
    open_transcript(client, conversation)
    assert f"{SECRET} title" in text(client, page("conversation_change", conversation.pk))


def test_a_reason_opens_one_conversation_for_one_reviewer(client, conversation, user):
    other = make_conversation(user, title="Another title")
    open_transcript(client, conversation)
    html = text(client, page("conversation_change", conversation.pk))
    for shown in ("title", "prompt", "question", "<strong>answer</strong>", "comment"):
        assert f"{SECRET} {shown}" in html
    assert f"{SECRET} note" in text(client, page("flag_change", Flag.objects.get().pk))
    assert "Another title" not in text(client, page("conversation_changelist"))
    assert "Another title" not in text(client, page("conversation_change", other.pk))
    colleague = signed_in(make_staff("colleague", "reviewer"))
    assert SECRET not in text(colleague, page("conversation_change", conversation.pk))


def test_a_reason_is_kept_and_the_trail_knows_of_it(client, conversation, reviewer):
    open_transcript(client, conversation, "A complaint by phone")
    row = Opening.objects.get()
    assert (row.conversation, row.reader, row.reason) == (conversation, reviewer, "A complaint by phone")
    entry = AuditEntry.objects.get(action="transcript.opened")
    assert (entry.actor, entry.conversation_id, entry.data) == (reviewer, conversation.pk, {})


@pytest.mark.parametrize("reason", ["", "    ", "ok", "x" * 501])
def test_a_reason_has_to_be_one(client, conversation, reason):
    response = client.post(page("conversation_open", conversation.pk), {"reason": reason})
    assert response.status_code == 422
    assert SECRET not in response.content.decode()
    assert Opening.objects.count() == 0


def test_reading_changes_nothing_and_opening_is_no_link(client, conversation):
    assert client.get(page("conversation_open", conversation.pk)).status_code == 405
    client.get(page("conversation_change", conversation.pk))
    assert Opening.objects.count() == 0


def test_an_opening_expires(client, conversation, settings):
    settings.REVIEW_ACCESS_MINUTES = 30
    open_transcript(client, conversation)
    row = Opening.objects.get()
    assert row.expires_at - row.opened_at == timedelta(minutes=30)
    Opening.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert SECRET not in text(client, page("conversation_change", conversation.pk))


def test_an_opening_ends_with_the_role(client, conversation, reviewer):
    open_transcript(client, conversation)
    reviewer.groups.clear()
    reviewer.user_permissions.set([])
    assert openings.opening_of(type(reviewer).objects.get(pk=reviewer.pk), conversation.pk) is None
    assert client.get(page("conversation_change", conversation.pk)).status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        "title__startswith=M",
        "system_prompt__contains=Marm",
        "messages__text__contains=Marm",
        "owner__password__startswith=p",
        "message__text__contains=Marm",
        "comment__startswith=Marm",
        "text__contains=Marm",
        "output__contains=Marm",
        "error_message__startswith=Marm",
    ],
)
@pytest.mark.parametrize("name", ["conversation", "message", "generation", "feedback", "flag"])
def test_no_address_guesses_at_what_is_masked(client, conversation, name, query):
    response = client.get(f"{page(f'{name}_changelist')}?{query}")
    assert response.status_code in {302, 400}, response.status_code


def test_the_history_of_an_object_shows_no_title(client, conversation):
    for name in ("conversation", "flag"):
        pk = conversation.pk if name == "conversation" else Flag.objects.get().pk
        assert client.get(page(f"{name}_history", pk)).status_code == 403


def test_branches_are_reached_by_links(client, user):
    row = make_conversation(user)
    first = make_turn(row, "Question", "First answer").message
    second = Message.objects.create(conversation=row, parent=first.parent, role="assistant")
    output = [{"kind": "text", "text": "Second answer", "from_ms": 0, "to_ms": 9}]
    Generation.objects.create(message=second, status="completed", output=output, model=row.model)
    open_transcript(client, row)
    shown = text(client, page("conversation_change", row.pk))
    assert "First answer" in shown
    assert "Second answer" not in shown
    link = re.search(r'href="(\?at=[^"]+)">Next version', shown)[1]
    other = text(client, page("conversation_change", row.pk) + link)
    assert "Second answer" in other
    assert f'href="?at={first.pk}">Previous version' in other
    row.refresh_from_db()
    assert row.active_leaf == first  # looking changes nothing for the user


def test_a_branch_of_another_conversation_is_not_shown(client, user, stranger):
    row = make_conversation(user)
    make_turn(row, "Question", "Mine")
    foreign = make_turn(make_conversation(stranger), "Question", "Foreign answer").message
    open_transcript(client, row)
    html = text(client, page("conversation_change", row.pk), at=str(foreign.pk))
    assert "Mine" in html
    assert "Foreign answer" not in html
    for nonsense in ("x", "'", str(user.pk)):
        assert "Mine" in text(client, page("conversation_change", row.pk), at=nonsense)


def test_markup_of_users_and_models_is_inert(client, user):
    """F1 and F19: title, question, answer, comment, reason and note."""
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    row = make_conversation(user, title=attack, system_prompt=attack)
    message = make_turn(row, attack, f"It is **bold** {attack}").message
    Feedback.objects.create(owner=user, message=message, value=-1, comment=attack)
    flag = flags.raise_flag(message, source="rule", reason=attack)
    flags.add_note(flag, attack, by=user)
    open_transcript(client, row, attack)
    for url in [
        page("conversation_change", row.pk),
        page("conversation_changelist"),
        page("feedback_changelist"),
        page("flag_changelist"),
        page("flag_change", flag.pk),
        page("message_changelist"),
        page("message_change", message.pk),
    ]:
        html = text(client, url)
        assert "<script>alert" not in html, url
        assert "<img src=x" not in html, url
        assert "&lt;script&gt;" in html, url
    assert "<strong>bold</strong>" in text(client, page("conversation_change", row.pk))


def test_reviewers_search_words_by_the_index_and_the_trail_knows(client, conversation, user):
    other = make_conversation(user, title="Rivers")
    search.index_conversation(other)
    with CaptureQueriesContext(connection) as queries:
        html = text(client, page("conversation_changelist"), q=SECRET)
    assert page("conversation_change", conversation.pk) in html
    assert page("conversation_change", other.pk) not in html
    assert not any(" LIKE " in query["sql"] for query in queries)
    assert AuditEntry.objects.get(action="transcripts.searched").data == {"found": 1}


@pytest.mark.parametrize("by", ["pk", "user name"])
def test_conversations_are_found_by_id_and_user(client, conversation, stranger, by):
    other = make_conversation(stranger)
    html = text(client, page("conversation_changelist"), q=str(conversation.pk) if by == "pk" else "ada")
    assert page("conversation_change", conversation.pk) in html
    assert page("conversation_change", other.pk) not in html


def test_filters_narrow_the_list_down(client, user, stranger):
    plain = make_conversation(stranger)
    make_turn(plain)
    long = make_conversation(user, model=make_model("http://127.0.0.1:9/v1", "other"))
    for _ in range(5):
        answer = make_turn(long, status="failed", cost="0.5").message
    make_running(long)
    Feedback.objects.create(owner=user, message=answer, value=-1, comment="No")
    flags.raise_flag(answer, source="rule", reason="a rule")
    for query in (
        {"owner": "ada"},
        {"model__id__exact": str(long.model_id)},
        {"status": "running"},
        {"status": "failed"},
        {"feedback": "bad"},
        {"feedback": "commented"},
        {"flags": "pending"},
        {"flags": "any"},
        {"length": "10"},
        {"cost": "1"},
        {"owner": "ada", "status": "failed", "cost": "0.1", "length": "10"},
    ):
        html = text(client, page("conversation_changelist"), **query)
        assert page("conversation_change", long.pk) in html, query
        assert page("conversation_change", plain.pk) not in html, query
    for query in ({"status": "stopped"}, {"feedback": "good"}, {"length": "50"}, {"cost": "10"}, {"owner": "nobody"}):
        html = text(client, page("conversation_changelist"), **query)
        assert page("conversation_change", long.pk) not in html, query


def test_what_was_deleted_is_nowhere(client, conversation):
    open_transcript(client, conversation)
    flag = Flag.objects.get()
    Conversation.objects.update(deleted_at=timezone.now())
    assert SECRET not in text(client, page("conversation_changelist"))
    assert client.get(page("conversation_change", conversation.pk)).status_code == 404
    assert "0 flags" in text(client, page("flag_changelist"))
    assert client.get(page("flag_change", flag.pk)).status_code == 404


def test_a_later_page_sums_nothing_for_the_rows_before_it(client, user, monkeypatch):
    monkeypatch.setattr(site.get_model_admin(Conversation), "list_per_page", 2)
    for number in range(5):
        make_turn(make_conversation(user, title=f"Number {number}"), "Hello", "Hi")
    with CaptureQueriesContext(connection) as queries:
        shown = text(client, page("conversation_changelist"), p="2")
    ids = [row.hex[-8:] for row in Conversation.objects.order_by("-updated_at", "-pk").values_list("pk", flat=True)]
    assert [end for end in ids if end in shown] == ids[2:4]
    summing = [query["sql"] for query in queries.captured_queries if "SUM(" in query["sql"]]
    assert len(summing) == 1
    assert "OFFSET" not in summing[0]


def test_a_list_counts_no_further_than_it_shows(client, user, monkeypatch):
    from conversations.admin import base

    monkeypatch.setattr(base, "PAGES_AHEAD", 1)
    model = make_model()
    Conversation.objects.bulk_create(Conversation(owner=user, model=model) for _ in range(120))
    with CaptureQueriesContext(connection) as queries:
        html = text(client, page("conversation_changelist"))
    assert "100 conversations or more" in html
    counts = [query["sql"] for query in queries if "COUNT(*)" in query["sql"] and "conversation" in query["sql"]]
    assert all("LIMIT 100" in sql for sql in counts if "FROM (SELECT" in sql)
    assert "120 conversations" in text(client, page("conversation_changelist"), p="2")


def test_opening_many_transcripts_takes_as_many_queries_as_opening_one(user, reviewer, django_assert_num_queries):
    ids = [make_conversation(user).pk for _ in range(4)]
    for chosen in (ids[:1], ids):
        with django_assert_num_queries(4):  # openings and entries, in a transaction
            openings.open_transcripts(reviewer, chosen, reason="A complaint")
    opened = AuditEntry.objects.filter(action="transcript.opened", actor=reviewer)
    assert sorted(opened.values_list("conversation_id", flat=True)) == sorted([ids[0], *ids])


def test_an_owner_is_told_who_read(client, conversation, user, settings):
    open_transcript(client, conversation, "A complaint <b>by phone</b>")
    owner = signed_in(user)
    html = text(owner, f"/c/{conversation.pk}/")
    assert "An administrator has read this conversation" in html
    assert "A complaint &lt;b&gt;by phone&lt;/b&gt;" in html
    settings.REVIEW_SHOWN_TO_USER = False
    assert "An administrator has read" not in text(owner, f"/c/{conversation.pk}/")


def test_a_flag_by_hand_needs_an_open_transcript(client, conversation, reviewer):
    sent = {"message": str(conversation.active_leaf_id), "reason": "harmful"}
    url = page("conversation_flag", conversation.pk)
    assert client.post(url, sent).status_code == 403
    open_transcript(client, conversation)
    assert client.post(url, sent).status_code == 302
    flag = Flag.objects.get(source="hand")
    assert (flag.reason, flag.message_id) == ("harmful", conversation.active_leaf_id)
    assert AuditEntry.objects.get(action="flag.raised", actor=reviewer).data["reason"] == "harmful"
    foreign = make_turn(make_conversation(make_user("eve"))).message
    assert client.post(url, {**sent, "message": str(foreign.pk)}).status_code == 404
    assert client.post(url, {**sent, "reason": "no such"}).status_code == 404


def test_a_reviewer_works_off_a_flag(client, conversation, reviewer):
    flag = Flag.objects.get()
    step = page("flag_step", flag.pk)
    client.post(step, {"state": "in_review"})
    client.post(step, {"text": "Looked at it"})
    client.post(step, {"state": "resolved"})
    flag.refresh_from_db()
    assert (flag.state, flag.assigned_to, flag.closed_at is not None) == ("resolved", reviewer, True)
    assert [note.text for note in flag.notes.all()] == [f"{SECRET} note", "Looked at it"]
    answer = client.post(step, {"state": "dismissed"}, follow=True).content.decode()
    assert "Somebody else was faster" in answer
    assert client.get(step).status_code == 405


def test_a_step_that_comes_too_late_stores_no_note_and_keeps_what_was_typed(client, conversation, reviewer):
    flag = Flag.objects.get()
    flags.move(flag, Flag.State.RESOLVED, by=make_user("faster"))
    open_transcript(client, conversation)
    notes, entries = flag.notes.count(), AuditEntry.objects.count()
    answer = client.post(page("flag_step", flag.pk), {"state": "dismissed", "text": "Not so bad, I think"})
    assert answer.status_code == 409
    html = answer.content.decode()
    assert "Somebody else was faster: nothing was changed." in html
    assert "Not so bad, I think</textarea>" in html
    assert (flag.notes.count(), AuditEntry.objects.count()) == (notes, entries)


def test_a_flag_is_not_taken_from_a_page_that_is_older_than_who_has_it(client, conversation, reviewer):
    flag, other = Flag.objects.get(), make_user("other")
    assert '<input type="hidden" name="had" value="">' in text(client, page("flag_change", flag.pk))
    flags.move(flag, Flag.State.IN_REVIEW, by=other)
    step = page("flag_step", flag.pk)
    for sent in ({"state": "in_review"}, {"to": str(reviewer.pk)}):
        answer = client.post(step, {**sent, "had": ""})
        assert "Somebody else was faster: nothing was changed." in answer.content.decode()
        assert Flag.objects.get().assigned_to == other
    chosen = {"action": "take", "_selected_action": str(flag.pk)}
    answer = client.post(page("flag_changelist"), chosen, follow=True).content.decode()
    assert "1 flag was left as it is: somebody else has it, or was faster." in answer
    assert Flag.objects.get().assigned_to == other
    # The page that was just shown says who has it: from there it can be taken over.
    assert f'<input type="hidden" name="had" value="{other.pk}">' in text(client, page("flag_change", flag.pk))
    assert client.post(step, {"state": "in_review", "had": str(other.pk)}).status_code == 302
    assert Flag.objects.get().assigned_to == reviewer


def test_the_queue_is_filtered_by_who_and_state(client, user, reviewer):
    row = make_conversation(user)
    names = ("mine", "free", "late", "done")
    mine, _, late, done = (
        flags.raise_flag(make_turn(row).message, source="rule", reason=f"reason-{name}") for name in names
    )
    flags.assign(mine, reviewer, by=reviewer)
    Flag.objects.filter(pk=late.pk).update(due_at=timezone.now() - timedelta(hours=1))
    flags.move(done, "resolved", by=reviewer)

    def shown(**query: str) -> set[str]:
        return set(re.findall(r"reason-(\w+)", text(client, page("flag_changelist"), **query)))

    assert shown() == {"mine", "free", "late"}
    assert shown(who="mine") == {"mine"}
    assert shown(who="unassigned") == {"free", "late"}
    assert shown(who="overdue") == {"late"}
    assert shown(state="resolved") == {"done"}
    assert shown(state="all") == set(names)


def test_flags_are_worked_off_together(client, user, reviewer):
    row = make_conversation(user)
    found = [flags.raise_flag(make_turn(row).message, source="rule", reason=str(n)) for n in range(3)]
    sent = {"action": "dismiss", "_selected_action": [str(flag.pk) for flag in found[:2]]}
    assert client.post(page("flag_changelist"), sent).status_code == 302
    assert sorted(Flag.objects.values_list("reason", "state")) == [
        ("0", "dismissed"),
        ("1", "dismissed"),
        ("2", "open"),
    ]
    assert AuditEntry.objects.filter(action="flag.state", actor=reviewer).count() == 2


def test_a_transcript_makes_the_same_queries_however_long_it_is(client, user):
    counts = []
    for length in (1, 3):
        row = make_conversation(user)
        for _ in range(length):
            flags.raise_flag(make_turn(row).message, source="rule", reason="a rule")
        open_transcript(client, row)
        text(client, page("conversation_change", row.pk))
        with CaptureQueriesContext(connection) as queries:
            text(client, page("conversation_change", row.pk))
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_an_export_asks_why_and_opens_what_it_takes(client, conversation):
    sent = {"action": "export", "_selected_action": [str(conversation.pk)]}
    asked = client.post(page("conversation_changelist"), sent).content.decode()
    assert str(conversation.pk) in asked
    assert SECRET not in asked
    refused = client.post(page("conversation_export"), {"ids": str(conversation.pk), "form": "csv", "reason": ""})
    assert refused.status_code == 422
    assert Opening.objects.count() == 0


def written(form: str, *rows: Conversation) -> str:
    return "".join(FORMS[form][0](rows))


def test_json_lines_hold_each_conversation_whole(user, conversation):
    other = make_conversation(user, title="Two\nlines")
    lines = written("jsonl", conversation, other).splitlines()
    documents = [json.loads(line) for line in lines]
    assert [row["title"] for row in documents] == [f"{SECRET} title", "Two\nlines"]
    assert [row["owner"] for row in documents] == ["ada", "ada"]
    assert documents[0]["messages"][1]["generations"][0]["output"][0]["text"] == f"{SECRET} **answer**"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_csv_is_a_formula(user, first):
    """F19: what a spreadsheet would compute begins with an apostrophe."""
    import csv
    import io

    attack = f"{first}cmd|' /C calc'!A0"
    row = make_conversation(user, title=attack)
    make_turn(row, attack, attack)
    cells = [cell for line in csv.reader(io.StringIO(written("csv", row), newline="")) for cell in line]
    assert cells.count(f"'{attack}") == 4  # the title in both rows, question and answer
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.django_db(transaction=True)
async def test_an_export_streams_and_is_kept():
    from asgiref.sync import sync_to_async

    def prepare():
        reviewer = make_staff("reviewer", "reviewer")
        row = make_conversation(make_user("ada"), title="Exported")
        make_turn(row, "Question", "Answer")
        return reviewer, row

    reviewer, row = await sync_to_async(prepare)()
    client = AsyncClient()
    await client.aforce_login(reviewer)
    sent = {"ids": str(row.pk), "form": "jsonl", "reason": "An order of a court"}
    response = await client.post(page("conversation_export"), sent)
    assert response.status_code == 200
    assert response.is_async
    content = b"".join([chunk async for chunk in response.streaming_content])
    assert json.loads(content)["title"] == "Exported"
    entries = AuditEntry.objects.exclude(action="sign_in").order_by("pk")
    kept = await sync_to_async(lambda: list(entries.values_list("action", flat=True)))()
    assert kept == ["transcript.opened", "transcripts.exported"]


def test_a_closed_flag_stays_closed_while_the_message_is_flagged_again(client, conversation, reviewer, user):
    closed = Flag.objects.get()
    flags.move(closed, Flag.State.RESOLVED, by=reviewer)
    turns.give_feedback(user, closed.message, value=-1, comment=f"{SECRET} still")
    entries = AuditEntry.objects.count()
    sentence = "The message was flagged again since, so this flag stays closed. Work on the new one."
    answer = client.post(page("flag_step", closed.pk), {"state": "open", "text": "Once more"})
    assert answer.status_code == 409
    assert sentence in answer.content.decode()
    chosen = {"action": "give_back", "_selected_action": str(closed.pk)}
    assert sentence in client.post(f"{page('flag_changelist')}?state=all", chosen, follow=True).content.decode()
    assert sorted(Flag.objects.values_list("state", flat=True)) == ["open", "resolved"]
    assert AuditEntry.objects.count() == entries
    flags.move(Flag.objects.get(state="open"), Flag.State.DISMISSED, by=reviewer)
    client.post(page("flag_step", closed.pk), {"state": "open"})
    assert Flag.objects.get(pk=closed.pk).state == "open"
