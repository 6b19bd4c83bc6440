"""Sums over generations, hour by hour, so that a dashboard never reads the generations themselves."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class HourlyFigures(models.Model):
    """What ended within one hour (UTC), of one model and one arm; filled by `conversations.measuring.figures`.

    `first_token` and `painted` count generations by their times, in the classes of `figures.BOUNDS_MS`. Times and
    tokens of `writing_*` are those of answers whose pace can be told.
    """

    starts_at = models.DateTimeField(_("begins at"))
    model = models.CharField(
        _("model"), max_length=200, blank=True, help_text=_("The label of the model at that time.")
    )
    arm = models.CharField(_("arm of the experiment"), max_length=20, blank=True)
    ended = models.PositiveIntegerField(_("ended"), default=0)
    completed = models.PositiveIntegerField(_("completed"), default=0)
    stopped = models.PositiveIntegerField(_("stopped"), default=0)
    interrupted = models.PositiveIntegerField(_("interrupted"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)
    input_tokens = models.PositiveBigIntegerField(_("input tokens"), default=0)
    output_tokens = models.PositiveBigIntegerField(_("output tokens"), default=0)
    writing_tokens = models.PositiveBigIntegerField(_("writing tokens"), default=0)
    writing_ms = models.PositiveBigIntegerField(_("writing time (ms)"), default=0)
    cost = models.DecimalField(_("cost"), max_digits=20, decimal_places=8, default=0)
    first_token = models.JSONField(_("first token"), default=list)
    painted = models.JSONField(_("painted"), default=list)
    errors = models.JSONField(_("errors"), default=dict, help_text=_("How many ended with which code."))

    class Meta:
        ordering = ("starts_at", "model", "arm")
        verbose_name = _("hourly figures")
        verbose_name_plural = _("dashboard")
        constraints = (models.UniqueConstraint(fields=("starts_at", "model", "arm"), name="one_row_per_hour"),)

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:00} {self.model}"


class ActiveUser(models.Model):
    """Somebody for whom something ended within one hour; goes with the account, and after `figures.KEPT_DAYS`."""

    starts_at = models.DateTimeField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")

    class Meta:
        ordering = ("starts_at", "user")
        constraints = (models.UniqueConstraint(fields=("starts_at", "user"), name="active_once_per_hour"),)

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H:00} {self.user_id}"
