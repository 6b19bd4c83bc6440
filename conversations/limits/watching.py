"""Open streams, counted for all web processes together: each says from time to time how many it has, and of whom.

Who opens streams at two processes within a moment may get a few more than the limit; nobody waits for anybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.conf import settings
from django.db.models import Q, Sum
from django.db.models.functions import Now

from conversations.models import Watching

FORGOTTEN = timedelta(hours=1)  # rows of processes that are long gone


def streams_elsewhere(process: str, subjects: Iterable[str]) -> dict[str, int]:
    """Return how many streams each subject has open at other processes; who has none is left out. One query."""
    alive = Now() - timedelta(seconds=3 * settings.POLL_SECONDS + 1)
    rows = Watching.objects.filter(subject__in=list(subjects), seen_at__gte=alive).exclude(process=process)
    return dict(rows.order_by().values_list("subject").annotate(Sum("streams")))


def note_streams(process: str, counts: Mapping[str, int]) -> None:
    """Say how many streams this process has, by subject: all of them. Two queries."""
    gone = Q(process=process) & ~Q(subject__in=list(counts))
    Watching.objects.filter(gone | Q(seen_at__lt=Now() - FORGOTTEN)).delete()
    rows = [Watching(process=process, subject=who, streams=count, seen_at=Now()) for who, count in counts.items()]
    unique, changed = ("subject", "process"), ("streams", "seen_at")
    Watching.objects.bulk_create(rows, update_conflicts=True, unique_fields=unique, update_fields=changed)
