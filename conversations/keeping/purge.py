"""Takes away for good what users have deleted, and temporary conversations that nobody came back to.

A deleted conversation waits for its undo, then all of it goes: messages, deltas, files, words of the search, tags that
nothing has any more. Of the conversation only the audit trail knows, and it knows no content.

A temporary conversation goes when its last page was closed and not opened again for `LEFT_SECONDS`, else when nothing
was written in it for `TEMPORARY_HOURS`. Closing is told by the browser (see `static/js/library.js`); a reload, or going
back, opens it again, and so does every page that is still open: it reports twice in that time that it is.
"""

from __future__ import annotations

import logging
import time
import uuid
from datetime import timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from conversations import audit
from conversations.models import Attachment, Conversation, Generation, JobResult, Tag
from conversations.search import index_missed

logger = logging.getLogger(__name__)

PURGE_SECONDS = 15  # an undo is offered for ten; who presses it in the last moment still gets it
LEFT_SECONDS = 90
TEMPORARY_HOURS = 24
TIDY_SECONDS = 5.0
MOST_SECONDS = 0.5  # of one call: whoever deletes thousands does not hold up what else has to be done

_tidied = 0.0


def tidy_now_and_then() -> None:
    """Tidy, if that was not done just now. For an upkeep that is called more often. Blocks on the database."""
    global _tidied  # noqa: PLW0603 - one upkeep a process
    if time.monotonic() - _tidied >= TIDY_SECONDS:
        tidy()
        _tidied = time.monotonic()


def tidy() -> bool:
    """Purge what is due, for half a second at most, and index what was missed; whether that was all. Blocks."""
    until = time.monotonic() + MOST_SECONDS
    expire_temporary()
    for conversation_id in _due():
        try:
            purge(conversation_id)
        except OSError as error:  # its files cannot be removed now; others can
            logger.warning("Conversation %s could not be purged yet: %s", conversation_id, error)
        if time.monotonic() > until:
            return False
    index_missed()
    return True


def expire_temporary() -> int:
    """Delete temporary conversations whose time is over; return how many."""
    now = timezone.now()
    left = Q(left_at__lt=now - timedelta(seconds=LEFT_SECONDS))
    over = left | Q(updated_at__lt=now - timedelta(hours=TEMPORARY_HOURS))
    with transaction.atomic():
        rows = Conversation.objects.filter(over, temporary=True, deleted_at=None)
        ids = list(rows.select_for_update().order_by("updated_at").values_list("pk", flat=True))
        if ids:
            Generation.request_stop(Generation.objects.filter(message__conversation__in=ids))
            # No undo is offered for these, so they do not wait for one.
            Conversation.objects.filter(pk__in=ids).update(deleted_at=now - timedelta(seconds=PURGE_SECONDS))
            audit.record_each(None, "conversation.expire", ids)
    return len(ids)


def purge(conversation_id: uuid.UUID) -> bool:
    """Remove a deleted conversation with everything that is in it; False when it was restored, or must be kept.

    Files go first: when the process dies in between, the rows that name them are still there, and are tried again.
    """
    with transaction.atomic():
        deleted = Conversation.objects.filter(pk=conversation_id, deleted_at__isnull=False)
        rows = deleted.unheld().select_for_update(of=("self",))
        conversation = rows.first()
        if conversation is None:
            return False
        for attachment in _attachments(conversation):
            attachment.file.delete(save=False)
        JobResult.objects.filter(conversation=conversation).update(title="")  # the import that brought it
        Generation.objects.filter(message__conversation=conversation).fence()
        conversation.delete()
        audit.record(None, "conversation.purge", conversation_id=conversation_id)
        forget_unused(Tag.objects.filter(owner=conversation.owner_id))
    logger.info("Conversation %s is gone for good", conversation_id)
    return True


def forget_unused(tags: QuerySet[Tag]) -> None:
    """Delete those of these tags that no conversation has, in the caller's transaction.

    They are locked and then looked at again: one that is being given to a conversation meanwhile stays.
    """
    unused = tags.filter(conversations=None)
    ids = list(unused.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
    Tag.objects.filter(pk__in=ids, conversations=None).delete()


def _due() -> list[uuid.UUID]:
    cutoff = timezone.now() - timedelta(seconds=PURGE_SECONDS)
    due = Conversation.objects.unheld().filter(deleted_at__isnull=False, deleted_at__lte=cutoff).order_by("deleted_at")
    return list(due.values_list("pk", flat=True)[:1000])


def _attachments(conversation: Conversation) -> list[Attachment]:
    mine = Q(message__conversation=conversation) | Q(queued_message__conversation=conversation)
    return list(Attachment.objects.filter(mine))
