"""How long conversations are kept, and which must be kept whatever anybody wants."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.conversations import Conversation

MOST_DAYS = 36_500  # no calendar goes back for ever


class RetentionRule(models.Model):
    """Conversations in which nothing was written for `days` are deleted; of several rules the shortest counts."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    days = models.PositiveIntegerField(
        _("days"),
        validators=[MinValueValidator(1), MaxValueValidator(MOST_DAYS)],
        help_text=_("Since the last message of a conversation."),
    )
    for_everybody = models.BooleanField(
        _("for everybody"), default=False, help_text=_("Else for the members of these groups.")
    )
    groups = models.ManyToManyField(Group, blank=True, related_name="+", verbose_name=_("groups"))
    keep_pinned = models.BooleanField(_("keep pinned conversations"), default=True)
    enabled = models.BooleanField(
        _("enabled"), default=False, help_text=_("Look first at what would be deleted: it cannot be brought back.")
    )

    class Meta:
        ordering = ("days", "name")
        verbose_name = _("retention rule")
        verbose_name_plural = _("retention rules")

    def __str__(self) -> str:
        return self.name


class LegalHoldQuerySet(models.QuerySet["LegalHold"]):
    def on(self, conversations: models.QuerySet[Conversation]) -> Self:
        """Those by which any of these conversations must be kept."""
        owners = conversations.order_by().values("owner")
        return self.filter(Q(conversation__in=conversations.order_by().values("pk")) | Q(user__in=owners))


class LegalHold(models.Model):
    """A user, or one conversation, of whom nothing may be deleted until the row is gone.

    The database refuses it too, whichever way a deletion goes: hence PROTECT.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="holds",
        verbose_name=_("user"),
    )
    conversation = models.ForeignKey(
        Conversation,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="holds",
        verbose_name=_("conversation"),
    )
    reason = models.CharField(_("reason"), max_length=500)
    placed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
        verbose_name=_("placed by"),
    )
    placed_at = models.DateTimeField(_("placed at"), default=timezone.now, editable=False)

    objects = LegalHoldQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = _("legal hold")
        verbose_name_plural = _("legal holds")
        constraints = (
            models.CheckConstraint(
                condition=Q(user=None, conversation__isnull=False) | Q(user__isnull=False, conversation=None),
                name="a_hold_of_one_thing",
                violation_error_message=_("Choose a user or a conversation."),
            ),
        )

    def __str__(self) -> str:
        return f"{self.user or self.conversation_id}"
