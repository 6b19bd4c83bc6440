"""Conversations, and what a user keeps about and for them."""

from __future__ import annotations

import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.chat_models import ChatModel
from conversations.models.generations import Generation
from conversations.models.ids import uuid7


class Tag(models.Model):
    """A word by which its owner finds conversations again."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=40)

    class Meta:
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=("owner", "name"), name="one_tag_of_a_name"),)

    def __str__(self) -> str:
        return self.name


class Preset(models.Model):
    """Settings for conversations under a name: a user's own, or, without an owner, shared by the admins."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="presets",
        verbose_name=_("owner"),
    )
    name = models.CharField(_("name"), max_length=100)
    system_prompt = models.TextField(_("system prompt"), blank=True)
    parameters = models.JSONField(_("parameters"), default=dict, blank=True)
    model = models.ForeignKey(
        ChatModel, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("model")
    )

    class Meta:
        ordering = ("name",)
        verbose_name = _("preset")
        verbose_name_plural = _("presets")
        constraints = (
            models.UniqueConstraint(fields=("owner", "name"), name="one_preset_of_a_name"),
            models.UniqueConstraint(fields=("name",), condition=Q(owner=None), name="one_shared_preset_of_a_name"),
        )

    def __str__(self) -> str:
        return self.name


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def visible(self) -> Self:
        """Those that have not been deleted; the others wait a few seconds for an undo."""
        return self.filter(deleted_at=None)

    def unheld(self) -> Self:
        """Those that no legal hold keeps: neither one of their own nor one of their owner's."""
        return self.filter(holds=None, owner__holds=None)

    def with_running(self) -> Self:
        """Annotate `running`: whether an answer is being generated."""
        active = Generation.objects.filter(message__conversation=models.OuterRef("pk")).active()
        return self.annotate(running=models.Exists(active))


class Conversation(models.Model):
    """A tree of messages owned by one user; `active_leaf` is the end of the branch that is shown."""

    class TitleSource(models.TextChoices):
        FIRST_WORDS = "first_words", _("first words")
        MODEL = "model", _("model")
        USER = "user", _("user")

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations", verbose_name=_("owner")
    )
    title = models.CharField(_("title"), max_length=200, blank=True)
    title_source = models.CharField(
        _("title source"), max_length=20, choices=TitleSource.choices, default=TitleSource.FIRST_WORDS
    )
    system_prompt = models.TextField(_("system prompt"), blank=True)
    model = models.ForeignKey(
        ChatModel, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("model")
    )
    parameters = models.JSONField(_("parameters"), default=dict, blank=True)
    pinned = models.BooleanField(_("pinned"), default=False)
    archived = models.BooleanField(_("archived"), default=False)
    temporary = models.BooleanField(_("temporary"), default=False)
    tags = models.ManyToManyField(Tag, blank=True, related_name="conversations", verbose_name=_("tags"))
    active_leaf = models.ForeignKey(
        "Message", null=True, blank=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("active leaf")
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), default=timezone.now)
    deleted_at = models.DateTimeField(
        _("deleted at"), null=True, blank=True, help_text=_("When the user deleted it; soon it is gone.")
    )
    left_at = models.DateTimeField(
        _("left at"), null=True, blank=True, help_text=_("When the last page of a temporary one was closed.")
    )
    origin = models.CharField(
        _("origin"),
        max_length=100,
        blank=True,
        editable=False,
        help_text=_("What an imported one was called where it comes from."),
    )

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ("-updated_at",)
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        indexes = (
            models.Index(fields=("owner", "-updated_at"), name="conversations_of_owner"),
            models.Index(
                fields=("owner", "-pinned", "-updated_at", "-id"),
                name="conversations_in_list",
                condition=Q(deleted_at=None, archived=False, temporary=False),
            ),
            models.Index(
                fields=("owner", "deleted_at"), name="conversations_deleted", condition=Q(deleted_at__isnull=False)
            ),
            models.Index(fields=("updated_at",), name="conversations_temporary", condition=Q(temporary=True)),
            models.Index(fields=("-updated_at", "-id"), name="conversations_by_time", condition=Q(deleted_at=None)),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("owner", "origin"),
                condition=~Q(origin="") & Q(deleted_at=None),
                name="one_import_of_a_conversation",
            ),
        )

    def __str__(self) -> str:
        return self.title or "New conversation"


class Draft(models.Model):
    """What a user has typed and not yet sent: in a conversation, or, without one, for a new conversation.

    `request_key` is that of the form it was typed into: when the message of this form has been sent, the draft is over.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="drafts")
    conversation = models.ForeignKey(
        Conversation, null=True, blank=True, on_delete=models.CASCADE, related_name="drafts"
    )
    text = models.TextField(blank=True)
    request_key = models.UUIDField(null=True, blank=True)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("owner", "conversation"), name="one_draft_in_a_conversation"),
            models.UniqueConstraint(fields=("owner",), condition=Q(conversation=None), name="one_draft_of_a_start"),
        )

    def __str__(self) -> str:
        return f"draft of {self.owner_id}"


class QueuedMessageQuerySet(models.QuerySet["QueuedMessage"]):
    def due(self) -> Self:
        """Those whose answer is complete and whose conversation is there: nothing holds them up any more."""
        complete = self.filter(after__status=Generation.Status.COMPLETED)
        return complete.filter(conversation__deleted_at=None, conversation__owner__is_active=True)


class QueuedMessage(models.Model):
    """A message that is sent, in the order of ids, as soon as the answer being written is complete.

    `after` is that answer's generation; every generation that begins in the conversation takes its place. When it ends
    otherwise, or is gone, the message is kept until the user sends it. `request_key` becomes that of its answer.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="queued_messages")
    text = models.TextField()
    model = models.ForeignKey(ChatModel, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    request_key = models.UUIDField(default=uuid.uuid4, unique=True)
    after = models.ForeignKey(Generation, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = QueuedMessageQuerySet.as_manager()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"queued {self.pk}"
