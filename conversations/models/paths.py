"""The ways through the tree of messages, up to the root and down to an end, however large the tree is.

One query each, which follows the rows one by one by their indexes: its work grows with the length of the way that is
asked for, not with the conversation.
"""

from __future__ import annotations

import uuid

from django.db import connection

from conversations.models import Message

_UPWARD = """
    WITH RECURSIVE way(id, parent_id, step) AS (
        SELECT id, parent_id, 1 FROM {table} WHERE id = %s
        UNION ALL
        SELECT above.id, above.parent_id, way.step + 1 FROM {table} AS above
        JOIN way ON above.id = way.parent_id
        WHERE way.step < %s AND way.id <> %s
    )
    SELECT id FROM way ORDER BY step
"""
_DOWNWARD = """
    WITH RECURSIVE way(id, step) AS (
        SELECT id, 1 FROM {table} WHERE id = %s
        UNION ALL
        SELECT (
            SELECT below.id FROM {table} AS below WHERE below.parent_id = way.id ORDER BY below.id DESC LIMIT 1
        ), way.step + 1 FROM way WHERE way.id IS NOT NULL
    )
    SELECT id FROM way WHERE id IS NOT NULL ORDER BY step DESC LIMIT 1
"""
NO_LIMIT = 1_000_000
_NOWHERE = uuid.UUID(int=0)


def upward(start: uuid.UUID, *, limit: int = NO_LIMIT, until: uuid.UUID = _NOWHERE) -> list[uuid.UUID]:
    """Return the ids from `start` up to the root, `start` first; at most `limit` of them, none above `until`."""
    return _ids(_UPWARD, [_stored(start), limit, _stored(until)])


def newest_leaf(start: uuid.UUID) -> uuid.UUID:
    """Return the id of the end of the branch that follows the newest version at each step below `start`."""
    return (_ids(_DOWNWARD, [_stored(start)]) or [start])[0]


def _ids(query: str, parameters: list[object]) -> list[uuid.UUID]:
    table = connection.ops.quote_name(Message._meta.db_table)
    return [row.pk for row in Message.objects.raw(query.format(table=table), parameters)]


def _stored(pk: uuid.UUID) -> object:
    return Message._meta.pk.get_db_prep_value(pk, connection)
