"""What a user can do with files: upload one, take it back, send it with a message. Edits and branches keep copies."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils.translation import gettext, ngettext

from chatapp.accounts.models import User
from conversations import audit
from conversations.files.inspection import Inspected, Unacceptable, grouped, inspect, too_large
from conversations.files.storage import delete_unsent
from conversations.models import Attachment, ChatModel, Conversation, Message, QueuedMessage, uuid7
from conversations.turns.base import TurnRefused

MOST_UNSENT = 50  # of one user: what is never sent is kept for a day only, and not without end


class FileRefused(TurnRefused):
    """A file cannot be taken; the sentence says why."""


class FileGone(TurnRefused):
    """A file that was to be sent is there no more, or was sent already."""

    def __init__(self) -> None:
        super().__init__(gettext("A file is no longer there: unsent files are kept for a day. Attach it again."))


class CannotSee(TurnRefused):
    """The model reads no images."""

    def __init__(self, model: ChatModel | None) -> None:
        label = model.label if model is not None else gettext("The model")
        sentence = gettext("%(model)s cannot see images. Choose another model, or remove them.")
        super().__init__(sentence % {"model": label})


class TooManyFiles(TurnRefused):
    """More files than one message may have."""

    def __init__(self) -> None:
        limit = settings.ATTACHMENTS_PER_MESSAGE
        sentence = ngettext(
            "At most %(limit)s file can be sent with one message.",
            "At most %(limit)s files can be sent with one message.",
            limit,
        )
        super().__init__(sentence % {"limit": grouped(limit)} if limit else gettext("No files can be sent here."))


def upload_file(user: User, file: UploadedFile[Any], conversation: Conversation | None = None) -> Attachment:
    """Keep a file until it is sent, in a conversation or in a new one. Raises `FileRefused` and `TooManyFiles`."""
    if settings.ATTACHMENTS_PER_MESSAGE == 0:
        raise TooManyFiles
    if user.attachments.unsent().count() >= MOST_UNSENT:
        raise FileRefused(gettext("Too many files are waiting to be sent. Send or remove some first."))
    try:
        if (file.size or 0) > settings.ATTACHMENT_BYTES:
            raise too_large(file.name or "")
        data = file.read()
        found = inspect(file.name or "", data)
    except Unacceptable as refusal:
        raise FileRefused(str(refusal)) from refusal
    return _kept(user, conversation, found, data)


@transaction.atomic
def _kept(user: User, conversation: Conversation | None, found: Inspected, data: bytes) -> Attachment:
    """Add the row, and the bytes of an image; a text is in the row."""
    attachment = Attachment(owner=user, unsent_in=conversation, **found.fields)
    if found.is_image:
        attachment.file.save(found.name, ContentFile(data), save=False)
    attachment.save(force_insert=True)
    audit.record(user, "file.upload", file=str(attachment.pk), bytes=attachment.size)
    return attachment


def remove_file(attachment: Attachment) -> None:
    """Delete a file that has not been sent. Raises `FileGone` when it was."""
    with transaction.atomic():
        if not delete_unsent(Attachment.objects.filter(pk=attachment.pk)):
            raise FileGone
        audit.record(attachment.owner, "file.remove", file=str(attachment.pk))


def attach_files(
    user: User,
    attachment_ids: Collection[uuid.UUID],
    *,
    message: Message | None = None,
    queued_message: QueuedMessage | None = None,
) -> None:
    """Let unsent files of a user belong to a message, or to one that waits. Raises `FileGone` and `TooManyFiles`."""
    wanted = set(attachment_ids)
    if len(wanted) > settings.ATTACHMENTS_PER_MESSAGE:
        raise TooManyFiles
    unsent = user.attachments.unsent().filter(pk__in=wanted)
    if wanted and unsent.update(message=message, queued_message=queued_message, unsent_in=None) != len(wanted):
        raise FileGone


def unsent_files(user: User, conversation: Conversation | None) -> list[Attachment]:
    """Return what is in the composer of a conversation, or of a new one, without what text files say."""
    return list(user.attachments.unsent().filter(unsent_in=conversation).defer("text"))


def refuse_unseen(model: ChatModel | None, question: Message | QueuedMessage) -> None:
    """Raise `CannotSee` when there are images for a model that reads none."""
    blind = model is None or not model.sees_images
    if blind and question.attachments.filter(kind=Attachment.Kind.IMAGE).exists():
        raise CannotSee(model)


def copy_attachments(attachments: Iterable[Attachment], message: Message) -> None:
    """Give a message files of its own, equal to these: each is deleted with its own message."""
    for original in attachments:
        copy = Attachment.objects.get(pk=original.pk)
        copy.pk, copy.message, copy.queued_message = uuid7(), message, None
        copy._state.adding = True
        if original.file:
            with original.file.open() as content:
                copy.file.save(original.name, ContentFile(content.read()), save=False)
        copy.save(force_insert=True)
