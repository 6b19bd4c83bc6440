"""Who may read whose transcript: a reviewer who has said why, for a while. Superusers are held to it as well."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from chatapp.accounts.models import User
from conversations import audit
from conversations.models import Opening

MOST_SHOWN = 20  # of those that a page tells its owner


def may_open(user: User) -> bool:
    """Whether this is a reviewer: somebody who may read transcripts once a reason was given."""
    return user.is_active and user.is_staff and user.has_perm("conversations.open_transcripts")


def open_transcripts(reader: User, conversation_ids: Collection[uuid.UUID], *, reason: str) -> None:
    """Let a reviewer read these conversations for a while, and keep why."""
    now = timezone.now()
    expires = now + timedelta(minutes=settings.REVIEW_ACCESS_MINUTES)
    rows = [
        Opening(conversation_id=pk, reader=reader, reason=reason, opened_at=now, expires_at=expires)
        for pk in conversation_ids
    ]
    with transaction.atomic():
        Opening.objects.bulk_create(rows)
        audit.record_each(reader, "transcript.opened", conversation_ids)


def opened_by(user: User) -> QuerySet[Opening]:
    """Return the openings by which a user may read now; none when the role was taken away meanwhile."""
    if not may_open(user):
        return Opening.objects.none()
    return Opening.objects.filter(reader=user, expires_at__gt=timezone.now())


def opening_of(user: User, conversation_id: uuid.UUID) -> Opening | None:
    """Return the opening by which a user may read a conversation now."""
    return opened_by(user).filter(conversation=conversation_id).order_by("-expires_at").first()


def told_about(user: User) -> list[Opening]:
    """Return who has opened conversations of a user, if users are to be told; for a copy of all that is theirs."""
    if not settings.REVIEW_SHOWN_TO_USER:
        return []
    return list(Opening.objects.filter(conversation__owner=user).order_by("pk"))


def told_to_owner(conversation_id: uuid.UUID) -> list[Opening]:
    """Return who has opened a conversation, newest first, if its owner is to be told."""
    if not settings.REVIEW_SHOWN_TO_USER:
        return []
    return list(Opening.objects.filter(conversation=conversation_id).order_by("-pk")[:MOST_SHOWN])
