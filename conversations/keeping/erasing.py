"""Erases an account with all that is in it. The audit trail keeps ids; everything else goes, files too."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models.fields.files import FieldFile

from chatapp.accounts.models import User
from conversations import audit
from conversations.keeping import sessions
from conversations.models import Attachment, Conversation, Generation, Job


class Held(Exception):
    """A legal hold keeps something of the account: it is to be tried again later."""


def erase_account(job: Job, progress: Callable[[int, int | None], None]) -> None:
    """Delete what the job's owner has, conversation by conversation, and then the owner with the job itself.

    Raises `Held` when something must be kept; all else but the account itself is gone then.
    """
    user = job.owner
    if user.holds.exists():
        raise Held
    ids: list[uuid.UUID] = list(Conversation.objects.unheld().filter(owner=user).values_list("pk", flat=True))
    for number, pk in enumerate(ids, start=1):
        _erase_conversation(pk)
        progress(number, len(ids))
    if user.conversations.exists() or user.holds.exists():
        raise Held
    for file in (*user.attachments.only("file"), *user.jobs.only("file")):
        _delete_file(file.file)
    sessions.end_all_of(user)
    with transaction.atomic():
        user_type = ContentType.objects.get_for_model(User)
        about = LogEntry.objects.filter(content_type=user_type, object_id=str(user.pk))
        about.update(object_repr=f"user {user.pk}", change_message="")
        audit.record(None, "account.erased", user_id=user.pk)
        user.delete()


@transaction.atomic
def _erase_conversation(pk: uuid.UUID) -> None:
    """Delete a conversation with its files, unless a hold was placed on it or its owner meanwhile."""
    row = Conversation.objects.unheld().filter(pk=pk).select_for_update(of=("self",)).first()
    if row is not None:
        for attachment in Attachment.objects.filter(message__conversation=pk).only("file"):
            _delete_file(attachment.file)
        Generation.objects.filter(message__conversation=row).fence()
        row.delete()


def _delete_file(file: FieldFile) -> None:
    """Delete from the storage; what is not there any more is fine."""
    if file:
        file.delete(save=False)
