"""SQLite's FTS5. It keeps only which entry has which word: no places, no columns, and so a third of the size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from django.db import connection
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from conversations.models import SearchEntry
from conversations.models.search import SearchEntryQuerySet
from conversations.search.base import kind_of
from conversations.search.words import Term

SECURE_DELETE = (3, 42)  # since this version what was deleted can be wiped at once, not with the next merge

CREATE = (
    "CREATE VIRTUAL TABLE conversations_searchindex USING fts5("
    "words, detail=none, prefix='1 2 3', tokenize=\"ascii tokenchars '='\")",
    # Entries go by cascades from many sides; the words go with them.
    "CREATE TRIGGER conversations_searchentry_gone AFTER DELETE ON conversations_searchentry "
    "BEGIN DELETE FROM conversations_searchindex WHERE rowid = old.id; END",
)
DROP = ("DROP TRIGGER conversations_searchentry_gone", "DROP TABLE conversations_searchindex")


class SqliteIndex:
    """The words are in a table of their own, by the entries' ids."""

    def create(self, editor: BaseDatabaseSchemaEditor) -> None:
        """Make the table and the trigger."""
        for statement in CREATE:
            editor.execute(statement)
        if editor.connection.Database.sqlite_version_info >= SECURE_DELETE:  # type: ignore[attr-defined] # SQLite's
            editor.execute(
                "INSERT INTO conversations_searchindex(conversations_searchindex, rank) VALUES ('secure-delete', 1)"
            )

    def drop(self, editor: BaseDatabaseSchemaEditor) -> None:
        """Remove them again."""
        for statement in DROP:
            editor.execute(statement)

    def store(self, entries: Iterable[tuple[SearchEntry, list[str]]]) -> None:
        """Write the words of each entry anew."""
        rows = [(entry.pk, " ".join([kind_of(entry), *words])) for entry, words in entries]
        with connection.cursor() as cursor:
            cursor.executemany("INSERT OR REPLACE INTO conversations_searchindex(rowid, words) VALUES (%s, %s)", rows)

    def matching(self, entries: SearchEntryQuerySet, kind: str, terms: list[Term]) -> SearchEntryQuerySet:
        """Return those that have all the terms: each word is quoted, so that none is an operator."""
        asked = [f'"{kind}"'] if kind else []
        asked += [f'"{word}"{"*" if term.prefix else ""}' for term in terms for word in term.words]
        # The index is read backwards, match by match, until there are enough: the sign lets nothing else lead.
        found = entries.extra(
            tables=["conversations_searchindex"],
            where=[
                "conversations_searchindex MATCH %s",
                "conversations_searchentry.id = +conversations_searchindex.rowid",
            ],
            params=[" AND ".join(asked)],
            order_by=["-conversations_searchindex.rowid"],
        )
        return cast(SearchEntryQuerySet, found)
