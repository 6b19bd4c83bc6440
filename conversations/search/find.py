"""Finds conversations of one user by what is said in them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from django.db.models import Prefetch

from conversations.models import Conversation, Generation, Message, SearchEntry
from conversations.models.search import SearchEntryQuerySet
from conversations.search.base import message_of, title_of
from conversations.search.index import index, text_of
from conversations.search.snippets import Piece, has_all, marked, plain, snippet
from conversations.search.words import Term, terms

MOST_TITLES = 10
MOST_MESSAGES = 30
LONGEST_PLAIN = 100_000  # characters; what is longer is shown as it was written


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that has all the words of a query."""

    message_id: uuid.UUID
    role: str
    pieces: list[Piece]


@dataclass(slots=True)
class Found:
    """A conversation, with the messages in it that were found."""

    conversation: Conversation
    title: list[Piece]
    hits: list[Hit] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Results:
    """What was found, newest first; `more` is where the next page begins, or None."""

    found: list[Found]
    more: int | None = None


def search(owner_id: int, query: str, entries: SearchEntryQuerySet, *, before: int | None = None) -> Results:
    """Return what is found among an owner's `entries`; four queries, whatever is found. Never fails on a query."""
    asked = terms(query)
    if not asked:
        return Results([])
    rows = entries.filter(owner=owner_id).select_related("conversation__model")
    titles = [] if before is not None else list(index().matching(rows, title_of(owner_id), asked)[:MOST_TITLES])
    page = index().matching(rows, message_of(owner_id), asked)
    page = page if before is None else page.filter(pk__lt=before)
    hits = list(page[: MOST_MESSAGES + 1])
    more = hits[MOST_MESSAGES - 1].pk if len(hits) > MOST_MESSAGES else None
    return Results(_grouped([*titles, *hits[:MOST_MESSAGES]], asked), more)


def found_anywhere(query: str, *, most: int) -> list[uuid.UUID]:
    """Return conversations of all users in which a query is found, the latest match first, of `most` matches.

    For whoever may read them all. Never fails on a query.
    """
    asked = terms(query)
    if not asked:
        return []
    matches = index().matching(SearchEntry.objects.all(), "", asked)
    return list(dict.fromkeys(matches.values_list("conversation", flat=True)[:most]))


def _pieces(message: Message, asked: list[Term]) -> list[Piece]:
    """Return the surroundings of a match as they are read; as they are written, where something matches only there."""
    text = text_of(message)
    if message.role == Message.Role.ASSISTANT and len(text) <= LONGEST_PLAIN:
        read = plain(text)
        text = read if has_all(read, asked) else text
    return snippet(text, asked)


def _grouped(entries: list[SearchEntry], asked: list[Term]) -> list[Found]:
    generations = Generation.objects.only("message", "output")
    rows = Message.objects.only("role", "text", "conversation").prefetch_related(Prefetch("generations", generations))
    messages = rows.in_bulk([entry.message_id for entry in entries if entry.message_id])
    found: dict[uuid.UUID, Found] = {}
    for entry in entries:
        place = found.get(entry.conversation_id)
        if place is None:
            place = Found(entry.conversation, marked(str(entry.conversation), asked))
            found[entry.conversation_id] = place
        message = messages.get(entry.message_id) if entry.message_id else None
        if message is not None:
            place.hits.append(Hit(message.pk, message.role, _pieces(message, asked)))
    return list(found.values())
