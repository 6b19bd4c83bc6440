"""What the system notes about itself and about who did what."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class AuditEntry(models.Model):
    """Who did what to which conversation. Only ever added to; names rows by id so that it outlives them.

    `actor` has no constraint: the id stays when the account is gone. `position` and `hash` are the seal, which comes
    with the chain some seconds later (see `conversations.audit.chain`).
    """

    at = models.DateTimeField(_("time"), default=timezone.now, editable=False)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
        verbose_name=_("actor"),
    )
    action = models.CharField(_("action"), max_length=40)
    conversation_id = models.UUIDField(_("conversation id"), null=True, db_index=True)
    generation_id = models.UUIDField(_("generation id"), null=True, db_index=True)
    data = models.JSONField(_("data"), default=dict, blank=True)
    position = models.PositiveBigIntegerField(_("position"), null=True, editable=False, unique=True)
    hash = models.CharField(_("hash"), max_length=64, blank=True, editable=False)

    class Meta:
        ordering = ("-id",)
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        indexes = (
            models.Index(fields=("id",), name="audit_entries_not_sealed", condition=Q(position=None)),
            models.Index(fields=("at",), name="audit_entries_by_time"),
            models.Index(fields=("action", "-id"), name="audit_entries_by_action"),
        )

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.action}"


class Delivery(models.Model):
    """What one viewer was sent of an answer while it was written, and how that ended; written when it has.

    Characters are counted within the generation. `from_character` is what the page had already, as near as is known.
    Connections that follow one another because the server ends each after a while are one row. A process that is
    killed leaves no row of the connections that it had.
    """

    class Viewer(models.TextChoices):
        OWNER = "owner", _("owner")
        SHARE = "share", _("reader of a shared link")
        STAFF = "staff", _("staff")

    class End(models.TextChoices):
        FINISHED = "finished", _("sent to the end")
        LEFT = "left", _("the viewer left")
        ROTATED = "rotated", _("the server asked to connect anew")
        SHUTDOWN = "shutdown", _("the server was stopped")
        REVOKED = "revoked", _("the session ended")
        UNREAD = "unread", _("the viewer did not read")

    generation = models.ForeignKey("Generation", on_delete=models.CASCADE, related_name="deliveries")
    viewer = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+")
    viewer_kind = models.CharField(max_length=10, choices=Viewer.choices, default=Viewer.OWNER)
    from_character = models.PositiveIntegerField()
    to_character = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    end = models.CharField(max_length=10, choices=End.choices)
    connections = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ("id",)
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"{self.generation_id} {self.from_character}-{self.to_character} {self.end}"


class Worker(models.Model):
    """A process that runs generations for others, as it last reported itself; for the state of the system only."""

    name = models.CharField(max_length=200, primary_key=True)
    seen_at = models.DateTimeField(default=timezone.now)
    running = models.PositiveIntegerField(default=0)
    capacity = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return self.name

    @classmethod
    def report(cls, name: str, *, running: int, capacity: int) -> None:
        """Note that a worker lives, by the database's clock."""
        fields = {"seen_at": Now(), "running": running, "capacity": capacity}
        cls.objects.update_or_create(name=name, defaults=fields)
        cls.objects.filter(seen_at__lt=Now() - timedelta(days=1)).delete()

    @classmethod
    def seen(cls, seconds: float) -> models.QuerySet[Worker]:
        """Those that reported within the last `seconds`."""
        return cls.objects.filter(seen_at__gte=Now() - timedelta(seconds=seconds))
