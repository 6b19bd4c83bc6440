"""The audit trail as JSON Lines, one entry a line in the order of their ids, with what is needed to verify it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, time

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from conversations.models import AuditEntry

CHUNK_ROWS = 2_000


def moment(text: str) -> datetime:
    """Read a day or a moment, ISO 8601; without an offset it is in the site's time zone. Raises ValueError."""
    day = parse_date(text)
    found = datetime.combine(day, time.min) if day is not None else parse_datetime(text)
    if found is None:
        raise ValueError(text)
    aware = timezone.make_aware(found) if timezone.is_naive(found) else found
    try:
        aware.astimezone(UTC)  # as the database will have it
    except OverflowError as error:
        raise ValueError(text) from error
    return aware


def between(since: datetime | None, until: datetime | None) -> QuerySet[AuditEntry]:
    """Return the entries from `since` on and before `until`."""
    rows = AuditEntry.objects.order_by("pk")
    if since is not None:
        rows = rows.filter(at__gte=since)
    return rows.filter(at__lt=until) if until is not None else rows


def lines(rows: QuerySet[AuditEntry]) -> Iterator[str]:
    """Give each entry as a line of JSON; reads the database bit by bit."""
    for row in rows.order_by("pk").iterator(chunk_size=CHUNK_ROWS):
        yield json.dumps(_content(row), ensure_ascii=False) + "\n"


def _content(row: AuditEntry) -> dict[str, object]:
    return {
        "id": row.pk,
        "position": row.position,
        "at": row.at.isoformat(),
        "actor": row.actor_id,
        "action": row.action,
        "conversation": str(row.conversation_id) if row.conversation_id else None,
        "generation": str(row.generation_id) if row.generation_id else None,
        "data": row.data,
        "hash": row.hash or None,
    }
