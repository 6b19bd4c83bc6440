"""Keeps the index: what can be found is written here when it is written, and nowhere else.

Deleting needs no call: entries go with their messages and conversations, and their words with them.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from conversations.models import Conversation, Generation, Message, SearchEntry
from conversations.search.base import Index
from conversations.search.postgresql import PostgresqlIndex
from conversations.search.sqlite import SqliteIndex
from conversations.search.words import words

BATCH = 200
MOST_CHARACTERS = 300_000  # that are indexed in one transaction, or one message
MISSED_WITHIN = timedelta(hours=1)
READABLE = (Message.Role.USER, Message.Role.ASSISTANT)

INDEXES: dict[str, Index] = {"sqlite": SqliteIndex(), "postgresql": PostgresqlIndex()}


def index() -> Index:
    """Return the index of the database in use."""
    return INDEXES[connection.vendor]


def index_messages(messages: Collection[Message]) -> None:
    """Let messages be found by what they say now; those of temporary conversations by nothing.

    Answers come with their generations, or these are read one by one. Five queries for as many messages as are short;
    what is said in long ones is put into words before anything is locked, and written piece by piece.
    """
    rows = Conversation.objects.filter(pk__in={message.conversation_id for message in messages}, temporary=False)
    owners = dict(rows.values_list("pk", "owner_id"))
    told = {m.pk: m for m in messages if m.conversation_id in owners and m.role in READABLE}
    for piece in _in_words(told[pk] for pk in sorted(told)):
        _write(piece, told, owners)


def _in_words(messages: Iterable[Message]) -> Iterator[dict[uuid.UUID, list[str]]]:
    """Yield the words of messages by their ids, of so many at once as others wait for without noticing."""
    piece: dict[uuid.UUID, list[str]] = {}
    size = 0
    for message in messages:
        text = text_of(message)
        piece[message.pk] = words(text)
        size += len(text)
        if size > MOST_CHARACTERS:
            yield piece
            piece, size = {}, 0
    if piece:
        yield piece


@transaction.atomic
def _write(piece: dict[uuid.UUID, list[str]], told: dict[uuid.UUID, Message], owners: dict[uuid.UUID, int]) -> None:
    known = set(SearchEntry.objects.filter(message__in=piece).values_list("message", flat=True))
    fresh = [told[pk] for pk in piece if pk not in known]
    SearchEntry.objects.bulk_create(
        [
            SearchEntry(owner_id=owners[m.conversation_id], conversation_id=m.conversation_id, message_id=m.pk)
            for m in fresh
        ],
        ignore_conflicts=True,
    )
    entries = SearchEntry.objects.filter(message__in=piece)
    index().store([(entry, piece[entry.message_id]) for entry in entries])  # type: ignore[index]


def index_titles(conversation_ids: Iterable[uuid.UUID]) -> None:
    """Let conversations be found by the titles they have now; temporary ones by nothing."""
    rows = Conversation.objects.filter(pk__in=list(conversation_ids), temporary=False)
    titles = {pk: (title, owner) for pk, title, owner in rows.values_list("pk", "title", "owner_id")}
    with transaction.atomic():
        SearchEntry.objects.bulk_create(
            [SearchEntry(owner_id=owner, conversation_id=pk) for pk, (_, owner) in titles.items()],
            ignore_conflicts=True,
        )
        entries = SearchEntry.objects.filter(conversation__in=titles, message=None)
        index().store([(entry, words(titles[entry.conversation_id][0])) for entry in entries])


def index_conversation(conversation: Conversation) -> None:
    """Let a conversation be found with all that is in it."""
    index_titles([conversation.pk])
    _index_all(conversation.messages.filter(role__in=READABLE).order_by("pk"))


def index_missed(limit: int = BATCH) -> int:
    """Index what the last hour brought and nobody indexed; return how many messages that were. Blocks.

    Such are what was written in bulk, and answers whose process died just behind their end.
    """
    since = round((timezone.now() - MISSED_WITHIN).timestamp() * 1000) << 80  # ids begin with their milliseconds
    rows = Message.objects.filter(
        pk__gte=uuid.UUID(int=since), role__in=READABLE, conversation__temporary=False, conversation__deleted_at=None
    )
    entries = SearchEntry.objects.values("message").filter(message__isnull=False, message__gte=uuid.UUID(int=since))
    rows = rows.exclude(pk__in=entries).exclude(generations__status__in=Generation.ACTIVE)
    found = list(rows.order_by("pk").prefetch_related("generations")[:limit])
    if found:
        index_messages(found)
        index_titles({message.conversation_id for message in found})
    return len(found)


def text_of(message: Message) -> str:
    """Return what a message says, without reasoning; that of a running answer only as far as earlier ones wrote it."""
    if message.role != Message.Role.ASSISTANT:
        return message.text
    parts = (part for generation in message.generations.all() for part in generation.output)
    return "".join(part["text"] for part in parts if part["kind"] == "text")


def _index_all(rows: Iterable[Message]) -> None:
    batch: list[Message] = []
    for message in rows.prefetch_related("generations").iterator(BATCH):  # type: ignore[attr-defined] # a queryset
        batch.append(message)
        if len(batch) == BATCH:
            index_messages(batch)
            batch = []
    index_messages(batch)
