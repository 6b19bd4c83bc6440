"""Messages, and what belongs to one: files and opinions."""

from __future__ import annotations

from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.generations import Generation
from conversations.models.ids import uuid7


class Message(models.Model):
    """One row of the tree. Siblings (same parent) are versions of one another, in the order of their ids.

    `text` holds what a user wrote; an assistant's text is that of its generations, in order. `html` and
    `reasoning_html` keep its rendering while `rendered_as` names that text and the renderer of today.
    """

    class Role(models.TextChoices):
        SYSTEM = "system", _("system")
        USER = "user", _("user")
        ASSISTANT = "assistant", _("assistant")
        TOOL = "tool", _("tool")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(
        "Conversation", on_delete=models.CASCADE, related_name="messages", verbose_name=_("conversation")
    )
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="children", verbose_name=_("parent")
    )
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)
    text = models.TextField(_("text"), blank=True)
    html = models.TextField(_("HTML"), blank=True, editable=False)
    reasoning_html = models.TextField(_("HTML of the reasoning"), blank=True, editable=False)
    rendered_as = models.CharField(_("rendered as"), max_length=100, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        ordering = ("id",)
        verbose_name = _("message")
        verbose_name_plural = _("messages")

    def __str__(self) -> str:
        return f"{self.role} {self.pk}"

    @property
    def is_partial(self) -> bool:
        """Whether its answer has ended before its end: stopped, broken off, or at the model's limit of length."""
        generations = list(self.generations.all())
        last = generations[-1] if generations else None
        if last is None or last.is_active:
            return False
        if last.status == Generation.Status.COMPLETED:
            return last.finish_reason == "length"
        return any(part["kind"] == "text" for generation in generations for part in generation.output)


class Feedback(models.Model):
    """What a user thinks of an answer."""

    class Value(models.IntegerChoices):
        GOOD = 1, _("good")
        BAD = -1, _("bad")

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="feedback", verbose_name=_("message"))
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", verbose_name=_("owner")
    )
    value = models.SmallIntegerField(_("value"), choices=Value.choices)
    comment = models.CharField(_("comment"), max_length=1000, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        ordering = ("-id",)
        verbose_name = _("feedback")
        verbose_name_plural = _("feedback")
        constraints = (models.UniqueConstraint(fields=("message", "owner"), name="one_feedback_of_a_user"),)

    def __str__(self) -> str:
        return f"{self.get_value_display()} {self.message_id}"


def attachment_path(attachment: Attachment, filename: str) -> str:  # noqa: ARG001 - Django's interface
    """Return where a file is kept: by its own id, never by a name that somebody chose."""
    return f"attachments/{attachment.pk.hex[-2:]}/{attachment.pk.hex}"


class AttachmentQuerySet(models.QuerySet["Attachment"]):
    def unsent(self) -> Self:
        """Those that belong to no message, and to none that waits."""
        return self.filter(message=None, queued_message=None)


class Attachment(models.Model):
    """A file of a message, or, without one, of a message that has not been sent yet.

    Until then `unsent_in` is the conversation in whose composer it is, None for the next new one. `text` is what a text
    file says, `file` the bytes of an image; `tokens` what it is expected to cost in the model's window.
    """

    class Kind(models.TextChoices):
        IMAGE = "image", "image"
        TEXT = "text", "text"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="attachments")
    message = models.ForeignKey(Message, null=True, blank=True, on_delete=models.CASCADE, related_name="attachments")
    queued_message = models.ForeignKey(
        "QueuedMessage", null=True, blank=True, on_delete=models.CASCADE, related_name="attachments"
    )
    unsent_in = models.ForeignKey(
        "Conversation", null=True, blank=True, on_delete=models.CASCADE, related_name="unsent_files"
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=100)
    size = models.PositiveIntegerField(help_text="In bytes.")
    tokens = models.PositiveIntegerField(default=0)
    text = models.TextField(blank=True)
    file = models.FileField(upload_to=attachment_path, max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AttachmentQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        indexes = (models.Index(fields=("file",), name="attachments_by_file", condition=Q(file__gt="")),)

    def __str__(self) -> str:
        return self.name


class StoredFile(models.Model):
    """An uploaded or made file, under the name that the row it belongs to knows it by.

    Its bytes are in the database, so that every process on every machine can read them, a backup has them, and a
    deletion is one transaction (see `conversations.files.storage`).
    """

    name = models.CharField(max_length=200, primary_key=True)
    size = models.PositiveBigIntegerField(default=0, help_text="In bytes; 0 while it is being written.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name


class StoredPiece(models.Model):
    """Some of the bytes of a stored file, those from `start` on: nobody needs to hold all of them at once."""

    file = models.ForeignKey(StoredFile, on_delete=models.CASCADE, related_name="pieces")
    start = models.PositiveBigIntegerField()
    data = models.BinaryField()

    class Meta:
        ordering = ("file", "start")
        constraints = (models.UniqueConstraint(fields=("file", "start"), name="one_piece_at_a_place"),)

    def __str__(self) -> str:
        return f"{self.file_id} from {self.start}"


@receiver(post_delete, sender=Attachment)
def _forget_bytes(instance: Attachment, **_: Any) -> None:
    """Delete the bytes in the transaction that deletes the row, whichever way it goes: with its message or its user."""
    if instance.file:
        instance.file.delete(save=False)
