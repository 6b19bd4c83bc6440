"""The end of sessions: of those of one user, and of all that have expired. No other part of the server clears these."""

from __future__ import annotations

import time

from django.contrib.sessions.models import Session
from django.utils import timezone

from chatapp.accounts.models import User
from chatapp.accounts.sessions import sessions_of

CLEAR_SECONDS = 600.0  # how often a process looks, when there is nothing to do
PIECE = 500
MOST_SECONDS = 0.5  # of one call

_cleared_at = -CLEAR_SECONDS


def clear_now_and_then() -> None:
    """Delete sessions that have expired, if it is time; while there are more, some at each call. Blocks."""
    global _cleared_at  # noqa: PLW0603 - one look a process
    if time.monotonic() - _cleared_at >= CLEAR_SECONDS and clear_expired():
        _cleared_at = time.monotonic()


def clear_expired() -> bool:
    """Delete sessions that have expired, for half a second at most; whether those were all. Blocks."""
    until = time.monotonic() + MOST_SECONDS
    expired = Session.objects.filter(expire_date__lt=timezone.now())
    while keys := list(expired.order_by("expire_date").values_list("pk", flat=True)[:PIECE]):
        Session.objects.filter(pk__in=keys).delete()
        if time.monotonic() > until:
            return False
    return True


def end_all_of(user: User) -> None:
    """Sign a user out everywhere."""
    for session in sessions_of(user):
        session.delete()
