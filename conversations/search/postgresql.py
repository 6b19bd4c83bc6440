"""PostgreSQL's tsvector with GIN. The words are ours, so neither a dictionary nor an extension is needed."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from conversations.models import SearchEntry
from conversations.models.search import SearchEntryQuerySet
from conversations.search.base import kind_of
from conversations.search.words import Term

CREATE = (
    "ALTER TABLE conversations_searchentry ADD COLUMN words tsvector",
    "CREATE INDEX conversations_searchentry_words ON conversations_searchentry USING gin (words)",
)
DROP = ("ALTER TABLE conversations_searchentry DROP COLUMN words",)


class PostgresqlIndex:
    """The words are in a column that only this module knows."""

    def create(self, editor: BaseDatabaseSchemaEditor) -> None:
        """Make the column and its index."""
        for statement in CREATE:
            editor.execute(statement)

    def drop(self, editor: BaseDatabaseSchemaEditor) -> None:
        """Remove them again."""
        for statement in DROP:
            editor.execute(statement)

    def store(self, entries: Iterable[tuple[SearchEntry, list[str]]]) -> None:
        """Write the words of each entry anew."""
        rows = [([kind_of(entry), *words], entry.pk) for entry, words in entries]
        with connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE conversations_searchentry SET words = array_to_tsvector(%s::text[]) WHERE id = %s", rows
            )

    def matching(self, entries: SearchEntryQuerySet, kind: str, terms: list[Term]) -> SearchEntryQuerySet:
        """Return those that have all the terms: each word is quoted, so that none is an operator."""
        asked = [f"'{kind}'"] if kind else []
        asked += [f"'{word}'{':*' if term.prefix else ''}" for term in terms for word in term.words]
        found = RawSQL(
            "conversations_searchentry.words @@ %s::tsquery", [" & ".join(asked)], output_field=BooleanField()
        )
        return entries.filter(found).order_by("-pk")
