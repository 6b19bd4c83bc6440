"""The two statements of every group commit, written by hand.

With a hundred running generations a commit holds a hundred rows, many times a second: through models each row would
cost more than everything else that happens to its text on the way. What is rarer goes through models.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection

Row = tuple[uuid.UUID, int, str, str, int, Any]  # as the columns below

_COLUMNS = "generation_id, seq, kind, text, at_ms, redactions"
_INSERT_SQLITE = f"INSERT OR IGNORE INTO conversations_delta ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s)"  # noqa: S608 - constants
_INSERT = f"""
    INSERT INTO conversations_delta ({_COLUMNS})
    SELECT {_COLUMNS} FROM json_to_recordset(%s)
    AS d(generation_id uuid, seq int, kind text, text text, at_ms int, redactions jsonb)
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - constants
_STANDING = "SELECT id, epoch, status, stop_requested_at IS NOT NULL FROM conversations_generation WHERE id"
_STANDING_SQLITE = f"{_STANDING} IN (SELECT value FROM json_each(%s))"  # noqa: S608 - constants
# The row lock makes a takeover wait until the commit is done; SQLite's transaction has locked everything already.
_STANDING_LOCKED = f"{_STANDING} = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE"


def standing(generation_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, tuple[int, str, bool]]:
    """Return epoch, status and whether a stop was asked for, of each that is there; locks the rows."""
    ids = [pk.hex for pk in generation_ids]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(_STANDING_SQLITE, [json.dumps(ids)])
            return {uuid.UUID(pk): (epoch, status, bool(stop)) for pk, epoch, status, stop in cursor.fetchall()}
        cursor.execute(_STANDING_LOCKED, [f"{{{','.join(ids)}}}"])
        return {pk: (epoch, status, stop) for pk, epoch, status, stop in cursor.fetchall()}


def insert(rows: Sequence[Row]) -> None:
    """Write deltas; those that are there already stay as they are."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            values = [(row[0].hex, *row[1:5], json.dumps(row[5]) if row[5] else None) for row in rows]
            cursor.executemany(_INSERT_SQLITE, values)
        else:
            names = _COLUMNS.split(", ")
            items = [dict(zip(names, (row[0].hex, *row[1:]), strict=True)) for row in rows]
            cursor.execute(_INSERT, [json.dumps(items, ensure_ascii=False)])
