"""What an index can do. One is in each database that Stillwater runs on; nothing else has to be installed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from conversations.models import SearchEntry
from conversations.models.search import SearchEntryQuerySet
from conversations.search.words import Term


class Index(Protocol):
    """Finds entries by words. The owner is one of the words: what others wrote is never looked at."""

    def create(self, editor: BaseDatabaseSchemaEditor) -> None:
        """Make its structures; for the migration."""

    def drop(self, editor: BaseDatabaseSchemaEditor) -> None:
        """Remove them again."""

    def store(self, entries: Iterable[tuple[SearchEntry, list[str]]]) -> None:
        """Let entries be found by these words, and by no others any more."""

    def matching(self, entries: SearchEntryQuerySet, kind: str, terms: list[Term]) -> SearchEntryQuerySet:
        """Return those of a kind, or with "" of every kind and owner, that have all the terms, newest first."""


def kind_of(entry: SearchEntry) -> str:
    """Return the word by which an entry says whose it is, and whether it is a title; no text contains it."""
    return title_of(entry.owner_id) if entry.message_id is None else message_of(entry.owner_id)


def title_of(owner_id: int) -> str:
    """Return the word that all titles of an owner have."""
    return f"={owner_id}t"


def message_of(owner_id: int) -> str:
    """Return the word that all messages of an owner have."""
    return f"={owner_id}m"
