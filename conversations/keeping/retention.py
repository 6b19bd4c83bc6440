"""Deletes conversations that are older than a rule lets them become, piece by piece.

A piece is one transaction: its conversations are deleted as if their users had, without an undo, and one audit entry
says how many. `purge` then takes them away for good, with files and words of the search. What a legal hold keeps, what
is being written and, if the rule says so, what is pinned is left alone.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from chatapp.accounts.models import User
from conversations import audit
from conversations.keeping.purge import PURGE_SECONDS
from conversations.models import (
    Attachment,
    Conversation,
    ConversationQuerySet,
    Generation,
    Message,
    RetentionRule,
)

logger = logging.getLogger(__name__)

PIECE = 100
LOOK_SECONDS = 600.0  # how often a process looks, when there is nothing to do

_looked_at = -LOOK_SECONDS


@dataclass(frozen=True, slots=True)
class Amount:
    """How much a rule deletes, or would."""

    conversations: int
    messages: int
    attachments: int
    oldest_at: datetime | None


def delete_now_and_then() -> None:
    """Delete one piece by each rule, if it is time; while there is more, it is at the next call. Blocks."""
    global _looked_at  # noqa: PLW0603 - one look a process
    if time.monotonic() - _looked_at < LOOK_SECONDS:
        return
    pieces = [_piece_of(rule) for rule in RetentionRule.objects.filter(enabled=True)]
    if PIECE not in pieces:
        _looked_at = time.monotonic()


def _piece_of(rule: RetentionRule) -> int:
    """Delete one piece; none by a rule that cannot be applied, which keeps no other rule from it."""
    try:
        return delete_piece(rule)
    except (OperationalError, InterfaceError):  # the database is away: no rule can be applied
        raise
    except Exception:
        logger.exception("Retention rule %d cannot be applied", rule.pk)
        return 0


def due(rule: RetentionRule) -> ConversationQuerySet:
    """Return the conversations that a rule deletes now, whether it is enabled or not."""
    active = Generation.objects.filter(message__conversation=OuterRef("pk")).active()
    oldest = timezone.now() - timedelta(days=rule.days)
    rows = Conversation.objects.unheld().visible().filter(~Exists(active), updated_at__lt=oldest)
    if not rule.for_everybody:
        rows = rows.filter(owner__in=User.objects.filter(groups__in=rule.groups.all()))
    return rows.filter(pinned=False) if rule.keep_pinned else rows


def amount(rows: ConversationQuerySet) -> Amount:
    """Count what is in some conversations."""
    ids = rows.order_by().values("pk")
    return Amount(
        rows.count(),
        Message.objects.filter(conversation__in=ids).count(),
        Attachment.objects.filter(message__conversation__in=ids).count(),
        rows.order_by("updated_at").values_list("updated_at", flat=True).first(),
    )


def delete_piece(rule: RetentionRule) -> int:
    """Delete the oldest conversations that are due; return how many. Blocks on the database."""
    with transaction.atomic():
        oldest = due(rule).order_by("updated_at").select_for_update(of=("self",))
        ids = list(oldest.values_list("pk", flat=True)[:PIECE])
        if not ids:
            return 0
        piece = Conversation.objects.filter(pk__in=ids)
        counted = amount(piece)
        # No undo is offered for these, so they do not wait for one.
        piece.update(deleted_at=timezone.now() - timedelta(seconds=PURGE_SECONDS))
        audit.record(
            None,
            "retention.delete",
            rule=rule.pk,
            days=rule.days,
            conversations=counted.conversations,
            messages=counted.messages,
            attachments=counted.attachments,
        )
    logger.info("Retention rule %d has deleted %d conversations", rule.pk, len(ids))
    return len(ids)
