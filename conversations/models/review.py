"""What reviewers work with: flags, notes on them, and who has opened which transcript, and why."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy

from conversations.models.conversations import Conversation
from conversations.models.ids import uuid7
from conversations.models.messages import Message


class FlagQuerySet(models.QuerySet["Flag"]):
    def pending(self) -> Self:
        """Those that somebody still has to look at."""
        return self.filter(state__in=Flag.PENDING)

    def overdue(self) -> Self:
        """Those whose time is over."""
        return self.pending().filter(due_at__lt=timezone.now())


class Flag(models.Model):
    """Something that a reviewer should look at. Neither `reason` nor anything else here quotes a message.

    `conversation` is that of the message, so that lists can ask for it without a join.
    """

    class Source(models.TextChoices):
        FEEDBACK = "feedback", gettext_lazy("feedback")
        RULE = "rule", gettext_lazy("rule")
        HAND = "hand", gettext_lazy("by hand")

    class State(models.TextChoices):
        OPEN = "open", gettext_lazy("open")
        IN_REVIEW = "in_review", gettext_lazy("in review")
        RESOLVED = "resolved", gettext_lazy("resolved")
        DISMISSED = "dismissed", gettext_lazy("dismissed")

    PENDING = (State.OPEN, State.IN_REVIEW)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="flags", verbose_name=gettext_lazy("conversation")
    )
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="flags", verbose_name=gettext_lazy("message")
    )
    source = models.CharField(gettext_lazy("source"), max_length=10, choices=Source.choices)
    reason = models.CharField(gettext_lazy("reason"), max_length=100)
    state = models.CharField(gettext_lazy("state"), max_length=10, choices=State.choices, default=State.OPEN)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        verbose_name=gettext_lazy("assigned to"),
    )
    raised_at = models.DateTimeField(gettext_lazy("raised at"), default=timezone.now, editable=False)
    due_at = models.DateTimeField(gettext_lazy("due at"))
    closed_at = models.DateTimeField(gettext_lazy("closed at"), null=True, blank=True)

    objects = FlagQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = gettext_lazy("flag")
        verbose_name_plural = gettext_lazy("flags")
        indexes = (
            models.Index(fields=("state", "-id"), name="flags_in_state"),
            models.Index(fields=("due_at",), name="flags_due", condition=Q(state__in=("open", "in_review"))),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("message", "source", "reason"),
                condition=Q(state__in=("open", "in_review")),
                name="one_pending_flag_of_a_reason",
            ),
        )

    def __str__(self) -> str:
        return f"{self.reason} {self.message_id}"

    @property
    def is_pending(self) -> bool:
        """Whether somebody still has to look at it."""
        return self.state in self.PENDING

    @property
    def is_overdue(self) -> bool:
        """Whether its time is over."""
        return self.is_pending and self.due_at < timezone.now()


class FlagNote(models.Model):
    """What a reviewer has noted about a flag; it may quote, and so it is masked like the transcript."""

    flag = models.ForeignKey(Flag, on_delete=models.CASCADE, related_name="notes")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    text = models.CharField(max_length=2000)
    written_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"note on {self.flag_id}"


class Opening(models.Model):
    """That somebody opened a transcript, why, and until when they may read it. Goes with the conversation."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="openings")
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    reason = models.CharField(max_length=500)
    opened_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("reader", "conversation", "expires_at"), name="openings_of_reader"),)
        permissions = (
            ("open_transcripts", "Can read transcripts after giving a reason"),
            ("export_transcripts", "Can export transcripts after giving a reason"),
        )

    def __str__(self) -> str:
        return f"{self.conversation_id} until {self.expires_at:%Y-%m-%d %H:%M}"
