"""What people may use, what they have used, and which services are trusted to answer."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.contrib.auth.models import Group
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class LimitField(models.PositiveBigIntegerField):  # type: ignore[type-arg] # generic for the type checker alone
    """A number of which 0 and nothing mean: without limit."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **{"null": True, "blank": True, **kwargs})  # type: ignore[arg-type] # as Django's


class Plan(models.Model):
    """What the members of some groups may use. Empty and 0 mean: without limit."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    groups = models.ManyToManyField(Group, blank=True, related_name="plans", verbose_name=_("groups"))

    requests_per_minute = LimitField(
        _("requests per minute"), help_text=_("Answers that one user may ask for in a minute.")
    )
    tokens_per_minute = LimitField(_("tokens per minute"))
    tokens_per_day = LimitField(_("tokens per day"))
    tokens_per_month = LimitField(_("tokens per month"))
    generations = LimitField(_("generations"), help_text=_("Answers that are written for one user at once."))
    streams = LimitField(_("streams"), help_text=_("Answers that one user watches at once."))
    message_characters = LimitField(_("message characters"), help_text=_("Length of one message."))
    attachments = LimitField(_("attachments"), help_text=_("Files of one message."))
    attachment_bytes = LimitField(_("attachment bytes"), help_text=_("Size of one file."))

    group_tokens_per_day = LimitField(_("group tokens per day"), help_text=_("For all members of a group together."))
    group_tokens_per_month = LimitField(
        _("group tokens per month"), help_text=_("For all members of a group together.")
    )
    group_generations = LimitField(_("group generations"), help_text=_("For all members of a group together."))

    class Meta:
        ordering = ("name",)
        verbose_name = _("plan")
        verbose_name_plural = _("plans")

    def __str__(self) -> str:
        return self.name


class Meter(models.Model):
    """How much of one limit is used in the window that began at `starts_at`; an older window counts as nothing.

    `subject` is `user:<id>`, `group:<id>` or `address:<network>`; `limit` is the name of a field of `Plan`.
    """

    subject = models.CharField(max_length=100)
    limit = models.CharField(max_length=30)
    starts_at = models.DateTimeField()
    used = models.BigIntegerField(default=0)

    class Meta:
        ordering = ("subject", "limit")
        constraints = (models.UniqueConstraint(fields=("subject", "limit"), name="one_meter_of_a_limit"),)

    def __str__(self) -> str:
        return f"{self.subject} {self.limit}: {self.used}"


class Reservation(models.Model):
    """Tokens set aside for a generation until it is known what it has used; the row goes when that is settled.

    `charges` is a list of `[subject, limit, start of the window as ISO 8601]`, each charged with `tokens`. The
    generation is named by its id alone: when it is deleted, its reservation is still there to be settled.
    """

    generation_id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner_id = models.BigIntegerField(db_index=True)
    address = models.CharField(max_length=50, blank=True, db_index=True, help_text="The network it was asked from.")
    input_tokens = models.PositiveBigIntegerField()
    tokens = models.PositiveBigIntegerField(help_text="Input and output, as expected.")
    charges = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("generation_id",)

    def __str__(self) -> str:
        return f"{self.tokens} for {self.generation_id}"


class Watching(models.Model):
    """How many streams somebody has open at one web process, as that process last said; an old row counts as nothing.

    `subject` is `user:<id>` or `address:<network>`.
    """

    process = models.CharField(max_length=100)
    subject = models.CharField(max_length=100)
    streams = models.PositiveIntegerField()
    seen_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        ordering = ("subject", "process")
        constraints = (models.UniqueConstraint(fields=("subject", "process"), name="one_count_of_a_process"),)

    def __str__(self) -> str:
        return f"{self.subject} at {self.process}: {self.streams}"


class Breaker(models.Model):
    """Whether a service is asked at all, for all processes; they write here only when that changes.

    Until `retry_at` an open breaker lets nobody through, then one probe at a time. `mode` is what an admin has decided.
    """

    class Mode(models.TextChoices):
        AUTO = "auto", _("automatic")
        OPEN = "open", _("always open: nobody is let through")
        CLOSED = "closed", _("always closed: everybody is let through")

    base_url = models.CharField(_("base URL"), max_length=500, unique=True)
    mode = models.CharField(_("mode"), max_length=10, choices=Mode.choices, default=Mode.AUTO)
    is_open = models.BooleanField(_("is open"), default=False, editable=False)
    trips = models.PositiveIntegerField(
        _("trips"),
        default=0,
        editable=False,
        validators=[MinValueValidator(0)],
        help_text=_("How often in a row it has opened."),
    )
    last_error = models.CharField(_("last error"), max_length=40, blank=True, editable=False)
    changed_at = models.DateTimeField(_("changed at"), default=timezone.now, editable=False)
    retry_at = models.DateTimeField(_("retry at"), null=True, editable=False)
    probe_until = models.DateTimeField(_("probe until"), null=True, editable=False)

    class Meta:
        ordering = ("base_url",)
        verbose_name = _("breaker")
        verbose_name_plural = _("breakers")

    def __str__(self) -> str:
        return f"{self.base_url} {self.state}"

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`, with what an admin has forced."""
        if self.mode != self.Mode.AUTO:
            return str(self.mode)
        if not self.is_open:
            return "closed"
        return "open" if self.retry_at is None or self.retry_at > timezone.now() else "half-open"

    @classmethod
    def trip(cls, base_url: str, error: str, seconds: float, longest: float) -> bool:
        """Open, or open again after a probe that failed, each time for longer; False when it was open already."""
        Breaker.objects.bulk_create([Breaker(base_url=base_url)], ignore_conflicts=True)
        row = cls.objects.get(base_url=base_url)
        wait = timedelta(seconds=min(longest, seconds * 2 ** min(row.trips, 10)))
        may_trip = Q(is_open=False) | Q(retry_at__lte=Now())
        changed = cls.objects.filter(may_trip, base_url=base_url, trips=row.trips).update(
            is_open=True,
            trips=row.trips + 1,
            last_error=error,
            changed_at=Now(),
            retry_at=Now() + wait,
            probe_until=None,
        )
        return changed == 1

    @classmethod
    def reset(cls, base_url: str) -> bool:
        """Close; False when it was closed already."""
        rows = cls.objects.filter(base_url=base_url, is_open=True)
        fields = {"is_open": False, "trips": 0, "retry_at": None, "probe_until": None, "changed_at": Now()}
        return rows.update(**fields) == 1

    @classmethod
    def take_probe(cls, base_url: str, seconds: float) -> bool:
        """Take the one probe of an open breaker, for at most `seconds`; False when it is not time, or taken."""
        free = Q(probe_until=None) | Q(probe_until__lte=Now())
        due = cls.objects.filter(free, base_url=base_url, is_open=True, retry_at__lte=Now())
        return due.update(probe_until=Now() + timedelta(seconds=seconds)) == 1

    @classmethod
    def return_probe(cls, base_url: str) -> None:
        """Let somebody else probe: this one brought no verdict."""
        cls.objects.filter(base_url=base_url, is_open=True).update(probe_until=None)
