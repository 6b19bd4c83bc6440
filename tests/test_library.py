"""The list of conversations: its pages, what can be done with one or many, and what is left when they are gone."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from conversations import turns
from conversations.asking.titles import _untitled
from conversations.keeping import purge
from conversations.live.state import dom_id
from conversations.models import (
    Attachment,
    AuditEntry,
    Conversation,
    Delta,
    Generation,
    Message,
    QueuedMessage,
    SearchEntry,
    StoredFile,
    Tag,
)
from conversations.reading import library
from conversations.search import index_conversation
from tests.factories import make_conversation, make_model, make_running, make_turn

HTMX = {"HX-Request": "true"}


pytestmark = pytest.mark.usefixtures("ending_process")


def url(name: str, *args) -> str:
    return reverse(f"conversations:{name}", args=args)


def page(client: Client, name: str, *args, **query) -> str:
    response = client.get(url(name, *args), query)
    assert response.status_code == 200
    return response.content.decode()


def make_many(owner, count: int, **fields) -> list[Conversation]:
    """Conversations of one hour ago and earlier, the newest first; each a minute older than the one before."""
    now = timezone.now() - timedelta(hours=1)
    model = make_model()
    rows = [
        Conversation(owner=owner, title=f"Number {n}", model=model, updated_at=now - timedelta(minutes=n), **fields)
        for n in range(count)
    ]
    return Conversation.objects.bulk_create(rows)


def titles(listing: library.Listing) -> list[str]:
    return [item.title for item in listing.items]


def shown_by(paged) -> list[str]:
    """All titles, page after page."""
    listing = paged(None)
    seen = titles(listing)
    while listing.more:
        listing = paged(library.Cursor.parse(listing.more))
        seen += titles(listing)
    return seen


# The list


def test_pinned_ones_come_first_then_the_newest_by_day(user):
    old = make_conversation(user, title="Old", updated_at=timezone.now() - timedelta(days=400))
    make_conversation(user, title="New")
    make_conversation(user, title="Kept", pinned=True, updated_at=timezone.now() - timedelta(days=3))
    make_conversation(user, title="Yesterday's", updated_at=timezone.now() - timedelta(days=1))
    groups = [(group.label, [item.title for item in group.items]) for group in library.sidebar(user).groups]
    assert groups[:3] == [("Pinned", ["Kept"]), ("Today", ["New"]), ("Yesterday", ["Yesterday's"])]
    assert groups[3] == (f"{old.updated_at:%B %Y}", ["Old"])


def test_pages_go_on_behind_the_last_row_whatever_is_added_meanwhile(user):
    rows = make_many(user, 2 * library.PAGE + 5)
    Conversation.objects.filter(pk__in=[row.pk for row in rows[:3]]).update(pinned=True)
    seen: list[str] = []
    after = None
    while True:
        listing = library.sidebar(user, after=after)
        seen += titles(listing)
        make_conversation(user, title="Just begun")
        if not listing.more:
            break
        after = library.Cursor.parse(listing.more)
    assert seen == [row.title for row in rows]


@pytest.mark.parametrize("month", [1, 7])
def test_pages_go_on_where_clocks_are_set_forward(user, settings, month):
    settings.TIME_ZONE = "Europe/Berlin"
    rows = make_many(user, 2 * library.PAGE + 5)
    noon = datetime(2026, month, 1, 12, 0, 0, 123_457, tzinfo=UTC)
    for number, row in enumerate(rows):
        row.updated_at = noon - timedelta(minutes=number)
    Conversation.objects.bulk_update(rows, ["updated_at"])
    cursor = library.Cursor(False, noon, rows[0].pk)
    assert library.Cursor.parse(str(cursor)) == cursor
    assert shown_by(lambda after: library.sidebar(user, after=after)) == [row.title for row in rows]
    assert shown_by(lambda after: library.managed(user, library.Filters(), after)) == [row.title for row in rows]


def test_pages_go_on_within_the_pinned_ones(user):
    rows = make_many(user, library.PAGE + 5, pinned=True)
    first = library.sidebar(user)
    second = library.sidebar(user, after=library.Cursor.parse(first.more))
    assert titles(first) + titles(second) == [row.title for row in rows]
    assert second.groups[0].continued


def test_rows_of_one_moment_are_neither_lost_nor_doubled(user):
    moment = timezone.now()
    make_many(user, library.PAGE + 9)
    Conversation.objects.update(updated_at=moment)
    first = library.sidebar(user)
    second = library.sidebar(user, after=library.Cursor.parse(first.more))
    assert len({item.id for item in (*first.items, *second.items)}) == library.PAGE + 9


@pytest.mark.parametrize("text", ["", "x", "0.1", "1.2.3", "0.99999999999999999999999." + "0" * 32, "0.-1." + "f" * 33])
def test_a_broken_cursor_is_none(text):
    assert library.Cursor.parse(text) is None


def test_the_page_is_as_fast_with_5000_conversations_as_with_50(owner_client, user):
    costs = []
    for more in (50, 4950):
        make_many(user, more)
        for name in ("home", "manage"):
            page(owner_client, name)
            with CaptureQueriesContext(connection) as queries:
                html = page(owner_client, name)
            costs.append((name, len(queries), html.count('class="row"'), html.count('name="ids"')))
    assert costs[:2] == costs[2:]
    assert costs[0][2] == costs[1][3] == library.PAGE


def test_no_list_costs_more_queries_for_more_rows(owner_client, user):
    counts = []
    for _ in range(2):
        for n in range(2):
            conversation = make_conversation(user, title=f"Word {n}", pinned=n == 1)
            turns.tag(user, Conversation.objects.filter(pk=conversation.pk), f"tag {uuid.uuid4().hex[:5]}")
            make_running(conversation)
            index_conversation(conversation)
        count = []
        for name, query in (("home", {}), ("manage", {}), ("manage", {"q": "word"}), ("state", {})):
            with CaptureQueriesContext(connection) as queries:
                page(owner_client, name, **query)
            count.append(len(queries))
        counts.append(count)
    assert counts[0] == counts[1]


def test_lists_show_nothing_of_others(owner_client, stranger):
    conversation = make_conversation(stranger, title="Secret plan")
    make_running(conversation)
    tag = turns.tag(stranger, Conversation.objects.filter(pk=conversation.pk), "Secret tag")
    for name in ("home", "manage", "state", "listing", "search"):
        response = owner_client.get(url(name), {"q": "secret", "tag": tag.pk}, headers=HTMX)
        assert "Secret" not in response.content.decode()
        assert str(conversation.pk) not in response.content.decode()
    for name in ("options", "row"):
        assert owner_client.get(url(name, conversation.pk)).status_code == 404
    for name in ("rename", "pin", "archive", "tags", "delete", "keep", "presence"):
        assert owner_client.post(url(name, conversation.pk), {"title": "x", "name": "x"}).status_code == 404
    data = {"ids": [str(conversation.pk)], "action": "delete"}
    assert "Tick the conversations first" in owner_client.post(url("bulk"), data, follow=True).content.decode()
    owner_client.post(url("delete_all"), {"sure": "yes"})
    conversation.refresh_from_db()
    assert conversation.deleted_at is None


def test_running_ones_are_marked_and_told(owner_client, user):
    running, quiet = make_conversation(user), make_conversation(user)
    make_running(running)
    make_turn(quiet)
    assert page(owner_client, "home").count("data-live") == 1
    state = owner_client.get(url("state"), {"open": str(quiet.pk)}).json()
    assert state["running"] == [str(running.pk)]
    assert state["gone"] is False
    turns.delete(quiet)
    assert owner_client.get(url("state"), {"open": str(quiet.pk)}).json()["gone"] is True
    assert owner_client.get(url("state"), {"open": "nonsense"}).json()["gone"] is True


# One conversation


def test_pin_and_archive_and_back(owner_client, user):
    conversation = make_conversation(user, title="Mine")
    owner_client.post(url("pin", conversation.pk), {"value": "on"})
    assert library.sidebar(user).groups[0].label == "Pinned"
    owner_client.post(url("pin", conversation.pk), {"value": "off"})
    assert library.sidebar(user).groups[0].label == "Today"
    response = owner_client.post(url("archive", conversation.pk), {"value": "on"}, headers=HTMX)
    assert "Mine" not in response.content.decode()
    assert titles(library.managed(user, library.Filters(place="archived"))) == ["Mine"]
    assert "Mine" in page(owner_client, "conversation", conversation.pk)
    owner_client.post(url("archive", conversation.pk), {"value": "off"})
    assert titles(library.sidebar(user)) == ["Mine"]


def test_rename_in_place(owner_client, user):
    conversation = make_conversation(user, title="Before")
    assert 'name="title"' in owner_client.get(url("row", conversation.pk) + "?rename", headers=HTMX).content.decode()
    data = {"title": "After <b>"}
    here = {**HTMX, "HX-Current-URL": f"http://testserver{url('conversation', conversation.pk)}"}
    html = owner_client.post(url("rename", conversation.pk), data, headers=here).content.decode()
    assert f'<li class="row" id="row-{conversation.pk}"' in html
    assert "After &lt;b&gt;" in html
    assert 'hx-target="#title"' in html
    elsewhere = owner_client.post(url("rename", conversation.pk), data, headers=HTMX).content.decode()
    assert 'hx-target="#title"' not in elsewhere
    assert owner_client.post(url("rename", conversation.pk), {"title": ""}, headers=HTMX).status_code == 422


def test_tags_are_added_once_and_go_with_their_last_conversation(owner_client, user):
    conversation, other = make_conversation(user), make_conversation(user)
    for name in ("Rivers", "rivers", " #RIVERS "):
        owner_client.post(url("tags", conversation.pk), {"name": name})
    owner_client.post(url("tags", other.pk), {"name": "Rivers"})
    assert [tag.name for tag in user.tags.all()] == ["Rivers"]
    assert [tag.name for tag in conversation.tags.all()] == ["Rivers"]
    tag = user.tags.get()
    owner_client.post(url("tags", conversation.pk), {"remove": tag.pk})
    assert user.tags.count() == 1
    owner_client.post(url("tags", other.pk), {"remove": tag.pk})
    assert user.tags.count() == 0
    assert owner_client.post(url("tags", other.pk), {"remove": "x"}).status_code == 404
    assert owner_client.post(url("tags", other.pk), {"name": " \0 "}).status_code == 422


def _note_a_write(reached: threading.Event) -> Callable[..., Any]:
    """Tell when a connection begins to write tags, or, with SQLite, to write at all."""

    def wrapper(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        locks = '"conversations_tag"' in sql and ("FOR UPDATE" in sql or sql.startswith("DELETE"))
        if locks or sql.startswith(("BEGIN", 'INSERT INTO "conversations_conversation_tags"')):
            reached.set()
        return execute(sql, *arguments)

    return wrapper


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", ["tagging", "purging"])
def test_a_tag_that_is_given_outlives_its_last_conversation(user, first):
    old, new = make_conversation(user), make_conversation(user)
    turns.tag(user, Conversation.objects.filter(pk=old.pk), "work")
    turns.delete(old)
    acts = [lambda: turns.tag(user, Conversation.objects.filter(pk=new.pk), "work"), lambda: purge.purge(old.pk)]
    now, meanwhile = acts if first == "tagging" else reversed(acts)
    reached, done = threading.Event(), []

    def act() -> None:
        try:
            with connection.execute_wrapper(_note_a_write(reached)):
                meanwhile()
            done.append(True)
        finally:
            connection.close()

    other = threading.Thread(target=act)
    with transaction.atomic():
        now()
        other.start()
        assert reached.wait(30)
    other.join(30)
    assert done
    assert list(Conversation.objects.values_list("pk", "tags__name")) == [(new.pk, "work")]
    assert user.tags.count() == 1


def test_a_tag_of_somebody_else_cannot_be_used(owner_client, user, stranger):
    tag = Tag.objects.create(owner=stranger, name="Theirs")
    conversation = make_conversation(user)
    conversation.tags.add(tag)
    assert owner_client.post(url("tags", conversation.pk), {"remove": tag.pk}).status_code == 404


def test_filters_by_tag_model_and_date_go_together(user):
    model = make_model("http://elsewhere/v1", "other")
    long_ago = timezone.now() - timedelta(days=90)
    wanted = make_conversation(user, title="Wanted", model=model, updated_at=long_ago)
    tag = turns.tag(user, Conversation.objects.filter(owner=user), "t")
    for fields in ({"model": model}, {"updated_at": long_ago}):
        other = make_conversation(user, title="Other", **fields)
        other.tags.add(tag)
    make_conversation(user, title="Untagged", model=model, updated_at=long_ago)
    day = timezone.localtime(long_ago).date().isoformat()
    sent = {"tag": str(tag.pk), "model": str(model.pk), "since": day, "until": day}
    assert titles(library.managed(user, library.Filters.read(sent))) == ["Wanted"]
    assert library.Filters.read(sent).encoded() == f"tag={tag.pk}&model={model.pk}&since={day}&until={day}"
    assert wanted.title in titles(library.managed(user, library.Filters.read({"tag": str(tag.pk)})))


def test_filters_that_make_no_sense_are_left_out(owner_client):
    sent = {"tag": "x", "model": "-1", "since": "2026-02-31", "until": "soon", "place": "moon", "q": "\0"}
    assert not library.Filters.read(sent)
    assert page(owner_client, "manage", **sent | {"q": " "}, after="zzz")


# Many


def test_bulk_actions(owner_client, user):
    rows = make_many(user, 3)
    ids = [str(row.pk) for row in rows[:2]]

    def do(action: str, **data) -> str:
        return owner_client.post(url("bulk"), {"ids": ids, "action": action, **data}, follow=True).content.decode()

    assert "Done with 2 conversations" in do("tag", name="New")
    assert Conversation.objects.filter(tags__name="New").count() == 2
    assert "no tag of this name" in do("untag", name="Other")
    do("untag", name="new")
    assert Tag.objects.count() == 0
    do("pin")
    assert Conversation.objects.filter(pinned=True).count() == 2
    do("unpin")
    do("archive")
    assert titles(library.sidebar(user)) == [rows[2].title]
    do("restore")
    assert len(titles(library.sidebar(user))) == 3
    assert "Undo" in do("delete")
    assert titles(library.sidebar(user)) == [rows[2].title]
    assert (
        "Choose what to do"
        in owner_client.post(
            url("bulk"), {"ids": [str(rows[2].pk), "nonsense"], "action": "fly"}, follow=True
        ).content.decode()
    )


def test_bulk_returns_to_the_same_filters(owner_client, user):
    conversation = make_conversation(user, archived=True)
    data = {"ids": [str(conversation.pk)], "action": "restore", "place": "archived", "q": "a b"}
    assert owner_client.post(url("bulk"), data).url == f"{url('manage')}?q=a+b&place=archived"


def test_delete_all_asks_first_and_can_be_undone(owner_client, user):
    make_many(user, 3)
    make_conversation(user, archived=True)
    assert "Nothing was deleted" in owner_client.post(url("delete_all"), follow=True).content.decode()
    assert Conversation.objects.visible().count() == 4
    html = owner_client.post(url("delete_all"), {"sure": "yes"}, follow=True).content.decode()
    assert "4 conversations deleted." in html
    assert Conversation.objects.visible().count() == 0
    owner_client.post(url("undo"), {"at": library.undoable(user).token})
    assert Conversation.objects.visible().count() == 4


# Deleting


@pytest.mark.django_db(transaction=True)
def test_what_is_deleted_disappears_at_once_and_comes_back_whole(user, stranger):
    client = Client()
    client.force_login(user)
    conversation = make_conversation(user, title="Gone soon")
    generation = make_running(conversation)
    Delta.objects.create(generation=generation, seq=0, kind="text", text="Half", at_ms=1)
    response = client.post(url("delete", conversation.pk), headers=HTMX)
    assert "Undo" in response.content.decode()
    generation.refresh_from_db()
    assert generation.stop_requested_at is not None
    assert client.get(url("conversation", conversation.pk)).status_code == 404
    assert client.get(url("raw", generation.message_id)).status_code == 404
    assert client.get(url("message", generation.message_id)).status_code == 404
    assert "Gone soon" not in page(client, "home")
    assert "Gone soon" not in page(client, "manage", q="gone")
    at = library.undoable(user).deleted_at
    assert turns.undo_delete(stranger, at) == 0
    html = client.post(url("undo"), {"at": at.isoformat()}, headers=HTMX).content.decode()
    assert "Gone soon" in html
    assert client.get(url("conversation", conversation.pk)).status_code == 200


def test_undo_after_the_end_says_so(owner_client, user):
    conversation = make_conversation(user)
    turns.delete(conversation)
    at = library.undoable(user).token
    assert purge.purge(conversation.pk)
    assert "too late" in owner_client.post(url("undo"), {"at": at}, headers=HTMX).content.decode()
    for nonsense in ("", "x", "2026-11-21", "2026-99-99T00:00:00+00:00", "2026-11-21T00:00:00"):
        assert "too late" in owner_client.post(url("undo"), {"at": nonsense}, follow=True).content.decode()


def test_what_is_done_to_another_conversation_leaves_the_undo(owner_client, user):
    deleted, other = make_conversation(user), make_conversation(user)
    owner_client.post(url("delete", deleted.pk), headers=HTMX)
    pinned = owner_client.post(url("pin", other.pk), {"value": "on"}, headers=HTMX).content.decode()
    assert ("#conversations" in pinned, "#undo" in pinned) == (True, False)
    at = library.undoable(user).token
    undone = owner_client.post(url("undo"), {"at": at}, headers=HTMX).content.decode()
    assert ("#conversations" in undone, "#undo" in undone, "toast" in undone) == (True, True, False)


def test_the_purge_waits_for_the_undo_and_takes_everything(user):
    conversation, other = make_conversation(user, title="A title"), make_conversation(user)
    generation = make_turn(conversation, "A question")
    Delta.objects.create(generation=generation, seq=0, kind="text", text="x", at_ms=1)
    turns.tag(user, Conversation.objects.filter(pk=conversation.pk), "Only here")
    queued = QueuedMessage.objects.create(conversation=conversation, text="next")
    for owner in ({"message": generation.message.parent}, {"queued_message": queued}):
        attachment = Attachment(owner=user, kind="text", name="a.txt", content_type="text/plain", size=1, **owner)
        attachment.file.save("a.txt", ContentFile(b"x"))
    index_conversation(conversation)
    assert StoredFile.objects.count() == 2
    turns.delete(conversation)
    purge.tidy()
    assert Conversation.objects.count() == 2
    Conversation.objects.filter(pk=conversation.pk).update(
        deleted_at=timezone.now() - timedelta(seconds=purge.PURGE_SECONDS + 1)
    )
    purge.tidy()
    assert list(Conversation.objects.all()) == [other]
    for model in (Message, Generation, Delta, Attachment, QueuedMessage, SearchEntry, Tag):
        assert model.objects.count() == 0, model
    assert StoredFile.objects.count() == 0
    assert words_left() == 0
    assert AuditEntry.objects.filter(action="conversation.delete", conversation_id=conversation.pk).count() == 1


def words_left() -> int:
    """How many entries the database's own index still has."""
    table = "conversations_searchindex" if connection.vendor == "sqlite" else "conversations_searchentry"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return cursor.fetchone()[0]


def test_a_restored_conversation_is_not_purged(user):
    conversation = make_conversation(user)
    turns.undo_delete(user, turns.delete(conversation))
    assert not purge.purge(conversation.pk)
    assert Conversation.objects.count() == 1


# Temporary ones


def start_temporary(client: Client) -> Conversation:
    make_model()
    data = {"text": "Between us", "temporary": "on", "request_key": str(uuid.uuid4())}
    assert client.post(url("start"), data).status_code == 302
    return Conversation.objects.get(temporary=True)


def test_temporary_ones_are_neither_listed_nor_found(owner_client, user):
    assert 'name="temporary" value="on"' in page(owner_client, "home", temporary="on")
    conversation = start_temporary(owner_client)
    html = page(owner_client, "conversation", conversation.pk)
    assert "Keep this conversation" in html
    assert f'id="row-{conversation.pk}"' not in html
    assert "Between us" not in page(owner_client, "manage")
    assert SearchEntry.objects.count() == 0
    purge.tidy()
    assert SearchEntry.objects.count() == 0


def test_what_is_typed_for_a_temporary_one_is_kept_nowhere(owner_client, user):
    turns.keep_draft(user, None, text="For another one", request_key=uuid.uuid4())
    html = page(owner_client, "home", temporary="on")
    assert "For another one" not in html
    sent = {"text": "Between us", "request_key": str(uuid.uuid4())}
    assert owner_client.post(re.search(r'data-draft="([^"]+)"', html)[1], sent).status_code == 204
    assert [draft.text for draft in user.drafts.all()] == ["For another one"]
    ordinary = page(owner_client, "home")
    assert "For another one" in ordinary
    owners = [re.search(r'data-owner="([^"]+)"', html)[1] for html in (html, ordinary)]
    assert owners[0] != owners[1]  # by which the script keeps apart what was typed in one tab


def test_keeping_a_temporary_one_makes_it_like_all_others(owner_client, user):
    conversation = start_temporary(owner_client)
    owner_client.post(url("keep", conversation.pk))
    assert titles(library.sidebar(user)) == ["Between us"]
    assert [place.conversation for place in library.found(user, library.Filters(query="betw")).found] == [conversation]
    Conversation.objects.update(updated_at=timezone.now() - timedelta(days=9))
    purge.tidy()
    assert Conversation.objects.visible().count() == 1


def test_a_temporary_one_goes_a_day_after_its_last_message(user):
    conversation = make_conversation(user, temporary=True)
    generation = make_running(conversation)
    Conversation.objects.update(updated_at=timezone.now() - timedelta(hours=23))
    purge.tidy()
    assert Conversation.objects.visible().count() == 1
    Conversation.objects.update(updated_at=timezone.now() - timedelta(hours=25))
    assert purge.expire_temporary() == 1
    generation.refresh_from_db()
    assert generation.stop_requested_at is not None
    assert library.undoable(user) is None
    purge.tidy()
    assert Conversation.objects.count() == 0


def test_a_temporary_one_goes_when_it_was_closed_but_not_when_it_was_reloaded(owner_client, user):
    conversation = make_conversation(user, temporary=True)
    long_ago = timezone.now() - timedelta(seconds=purge.LEFT_SECONDS + 1)

    def close_long_ago() -> None:
        assert owner_client.post(url("presence", conversation.pk), {"here": "no"}).status_code == 204
        assert Conversation.objects.filter(left_at__isnull=False).update(left_at=long_ago) == 1

    for come_back in (
        lambda: owner_client.get(url("conversation", conversation.pk)),
        lambda: owner_client.post(url("presence", conversation.pk), {"here": "yes"}),
        lambda: owner_client.post(url("send", conversation.pk), {"text": "More"}),
    ):
        close_long_ago()
        come_back()
        purge.tidy()
        assert Conversation.objects.count() == 1
    close_long_ago()
    purge.tidy()
    assert Conversation.objects.count() == 0


def test_every_page_of_a_temporary_one_tells_that_it_is_open(owner_client, user, stranger):
    temporary, usual = make_conversation(user, temporary=True), make_conversation(user)
    told = {}
    for conversation in (temporary, usual):
        answer = make_turn(conversation).message
        pages = [url(name, conversation.pk) for name in ("conversation", "options", "share", "export", "print")]
        pages += [url("versions", answer.pk), url("edit", answer.parent.pk), url("settings", conversation.pk)]
        told[conversation.pk] = ['id="presence"' in owner_client.get(path).content.decode() for path in pages]
    assert told == {temporary.pk: [True] * 8, usual.pk: [False] * 8}


def test_presence_means_nothing_for_others(owner_client, user):
    conversation = make_conversation(user)
    owner_client.post(url("presence", conversation.pk), {"here": "no"})
    conversation.refresh_from_db()
    assert conversation.left_at is None


def test_the_model_is_not_asked_for_the_title_of_a_temporary_one(owner_client, user):
    generation = make_turn(make_conversation(user, temporary=True))
    assert _untitled(generation.pk) is None
    assert "hx-get" not in page(owner_client, "title", generation.message.conversation_id)


# Finding a message


def test_a_found_message_is_shown_on_its_branch(owner_client, user):
    conversation = make_conversation(user)
    shown = make_turn(conversation).message
    other = Message.objects.create(conversation=conversation, parent=shown.parent, role="assistant")
    Generation.objects.create(message=other, status="completed", model=conversation.model)
    conversation.active_leaf = shown
    conversation.save()
    response = owner_client.get(url("message", other.pk))
    conversation.refresh_from_db()
    assert conversation.active_leaf == other
    assert response.url == f"{url('conversation', conversation.pk)}?message={other.pk}#{dom_id(other.pk)}"
    first = shown.parent
    owner_client.get(url("message", first.pk))
    conversation.refresh_from_db()
    assert conversation.active_leaf == other
