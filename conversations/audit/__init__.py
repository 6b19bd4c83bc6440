"""The audit trail: written in the transaction of what it tells of, never changed.

`record` adds an entry, `chain` seals what is committed and verifies it, `guards` has the database refuse changes, and
`export` gives the trail away. See docs/audit.md.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable

from django.db import connection

from chatapp.accounts.models import User
from conversations.models import AuditEntry

REPEAT_SECONDS = 60.0  # what can be made to happen again and again is noted once in this time, by each process
MOST_REMEMBERED = 10_000

MOST_ACTIONS = 200

# Neither database skips through an index by itself: a DISTINCT reads the whole of it.
_ACTIONS = """
    WITH RECURSIVE found(action) AS (
        SELECT min(action) FROM conversations_auditentry
        UNION ALL
        SELECT (SELECT min(action) FROM conversations_auditentry WHERE action > found.action)
        FROM found WHERE found.action IS NOT NULL
    )
    SELECT action FROM found WHERE action IS NOT NULL LIMIT %s
"""

_noted: dict[tuple[int, str], float] = {}


def record(
    actor: User | None,
    action: str,
    *,
    conversation_id: uuid.UUID | None = None,
    generation_id: uuid.UUID | None = None,
    **data: str | int,
) -> None:
    """Add one entry; `data` must hold no content of messages."""
    AuditEntry.objects.create(
        actor_id=actor.pk if actor is not None else None,
        action=action,
        conversation_id=conversation_id,
        generation_id=generation_id,
        data=data,
    )


def record_each(actor: User | None, action: str, conversation_ids: Iterable[uuid.UUID]) -> None:
    """Add one entry for each of some conversations."""
    actor_id = actor.pk if actor is not None else None
    rows = [AuditEntry(actor_id=actor_id, action=action, conversation_id=pk) for pk in conversation_ids]
    AuditEntry.objects.bulk_create(rows, batch_size=500)


def actions() -> list[str]:
    """Return the actions of which there are entries, in order; reads one of each from the index, however many."""
    with connection.cursor() as cursor:
        cursor.execute(_ACTIONS, [MOST_ACTIONS])
        return [action for (action,) in cursor.fetchall()]


def record_limit(user: User, limit: str) -> None:
    """Note that a user was refused by a limit, unless that was noted just now: nobody fills the trail by trying on."""
    key = (user.pk, limit)
    now = time.monotonic()
    if now - _noted.get(key, -REPEAT_SECONDS) < REPEAT_SECONDS:
        return
    _noted[key] = now
    if len(_noted) > MOST_REMEMBERED:
        del _noted[next(iter(_noted))]
    record(user, "limit.reached", limit=limit)
