"""Generations, and the deltas of those in progress."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from conversations.models.chat_models import ChatModel
from conversations.models.ids import uuid7

Parts = list[dict[str, Any]]


class GenerationQuerySet(models.QuerySet["Generation"]):
    """Leases are compared with the database's clock alone: the clocks of the machines may differ."""

    def written_here(self) -> Self:
        """Those that were claimed: not what users have imported, who can write there what they like, and no copies."""
        return self.filter(epoch__gt=0)

    def active(self) -> Self:
        """Those that have not ended."""
        return self.not_completed().filter(status__in=Generation.ACTIVE)

    def not_completed(self) -> Self:
        """Those that run, or ended otherwise than usual: few among many, found by an index of their own.

        SQLite sees that a partial index fits when its condition is asked for as it stands, but not when a list of
        bound values implies it.
        """
        return self.exclude(status=Generation.Status.COMPLETED)

    def abandoned(self, seconds: float = 0) -> Self:
        """Those in progress whose writer let its lease run out, or gave it back, at least `seconds` ago."""
        latest = Now() - timedelta(seconds=seconds)
        return self.not_completed().filter(status=Generation.Status.IN_PROGRESS, lease_expires_at__lte=latest)

    def waiting(self, seconds: float = 0) -> Self:
        """Those that have been queued for at least `seconds`."""
        latest = Now() - timedelta(seconds=seconds)
        return self.not_completed().filter(status=Generation.Status.QUEUED, created_at__lte=latest)

    def renew(self) -> int:
        """Let the leases run for their full time from now."""
        return self.update(lease_expires_at=Now() + timedelta(seconds=settings.LEASE_SECONDS))

    def release(self) -> int:
        """Give leases back: whoever comes first may take over."""
        return self.filter(status=Generation.Status.IN_PROGRESS).update(lease_expires_at=Now())

    def fence(self) -> None:
        """Let writers wait until this transaction has ended: whoever deletes these would meet a delta just written."""
        list(self.order_by("pk").select_for_update(of=("self",)).values_list("pk"))


class Generation(models.Model):
    """One attempt by a model to write, or to continue, one assistant message.

    `epoch` is the fencing number: a writer that holds an older one cannot write. At 0 nobody here has written it: it
    waits, was imported, or is a copy. `output` is the ordered list of typed parts `{"kind": "text" | "reasoning",
    "text": str, "ms": int}` (`ms`: how long the part took to arrive) once the generation has ended; while it runs, its
    text is in `Delta` rows. `timeline` is a list of `[ms, characters]`.
    """

    class Kind(models.TextChoices):
        NEW = "new", _("new")
        CONTINUE = "continue", _("continue")

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        IN_PROGRESS = "in_progress", _("in progress")
        COMPLETED = "completed", _("completed")
        STOPPED = "stopped", _("stopped")
        INTERRUPTED = "interrupted", _("interrupted")
        FAILED = "failed", _("failed")

    class Instruction(models.TextChoices):
        NONE = "", _("as asked")
        SHORTER = "shorter", _("shorter")
        LONGER = "longer", _("longer")
        MORE_FORMAL = "more_formal", _("more formal")

    ACTIVE = (Status.QUEUED, Status.IN_PROGRESS)
    NOT_SENT = "not_sent"  # the error code of one whose question a rule does not let out

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    message = models.ForeignKey(
        "Message", on_delete=models.CASCADE, related_name="generations", verbose_name=_("message")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.NEW)
    request_key = models.UUIDField(
        _("request key"), default=uuid.uuid4, unique=True, help_text=_("Idempotency key of the user's request.")
    )
    model = models.ForeignKey(
        ChatModel, null=True, on_delete=models.SET_NULL, related_name="generations", verbose_name=_("model")
    )
    model_name = models.CharField(
        _("model name"), max_length=200, blank=True, help_text=_("What the provider said it used.")
    )
    instead_of = models.ForeignKey(
        ChatModel,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("The model that was asked, when its fallback had to answer."),
        verbose_name=_("instead of"),
    )
    status = models.CharField(_("status"), max_length=15, choices=Status.choices, default=Status.QUEUED)
    finish_reason = models.CharField(_("finish reason"), max_length=20, blank=True)
    epoch = models.PositiveIntegerField(_("epoch"), default=0)
    lease_expires_at = models.DateTimeField(_("lease expires at"), null=True, blank=True)
    takeovers = models.PositiveIntegerField(
        _("takeovers"), default=0, help_text=_("How often another writer had to go on.")
    )
    stop_requested_at = models.DateTimeField(_("stop requested at"), null=True, blank=True)
    error_code = models.CharField(_("error code"), max_length=40, blank=True)
    error_message = models.CharField(
        _("error message"), max_length=500, blank=True, help_text=_("The sentence shown to the user.")
    )
    input_tokens = models.PositiveIntegerField(_("input tokens"), null=True, blank=True)
    output_tokens = models.PositiveIntegerField(_("output tokens"), null=True, blank=True)
    usage_estimated = models.BooleanField(
        _("usage estimated"), default=False, help_text=_("The provider gave no usage; these are estimates.")
    )
    cost = models.DecimalField(
        _("cost"),
        max_digits=16,
        decimal_places=8,
        null=True,
        blank=True,
        help_text=_("By the model's prices at its end."),
    )
    instruction = models.CharField(_("instruction"), max_length=20, choices=Instruction.choices, blank=True)
    based_on = models.ForeignKey(
        "Message",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text=_("The answer that the instruction is about."),
        verbose_name=_("based on"),
    )
    omitted_messages = models.PositiveIntegerField(
        _("omitted messages"),
        default=0,
        help_text=_("How many of the oldest messages did not fit into the model's window."),
    )
    arm = models.CharField(
        _("arm of the experiment"),
        max_length=20,
        blank=True,
        help_text=_("Of the experiment with the pace (see `pacing`)."),
    )
    painted_ms = models.PositiveIntegerField(
        _("painted after (ms)"),
        null=True,
        blank=True,
        help_text=_("From pressing Send to the first text on the screen, as the browser reported."),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    time_to_first_token_ms = models.PositiveIntegerField(_("time to first token (ms)"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    output = models.JSONField(_("output"), default=list, blank=True)
    timeline = models.JSONField(_("timeline"), default=list, blank=True)
    redactions = models.JSONField(
        _("redactions"),
        default=list,
        blank=True,
        help_text=_("What filters replaced: [ms, characters before it, label], never the content."),
    )
    redaction_count = models.PositiveIntegerField(_("redaction count"), default=0)

    objects = GenerationQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        verbose_name = _("generation")
        verbose_name_plural = _("generations")
        permissions = (("stop_generations", "Can stop the generations of others"),)
        indexes = (
            models.Index(
                fields=("status", "lease_expires_at"),
                name="generations_in_progress",
                condition=Q(status__in=("queued", "in_progress")),
            ),
            models.Index(fields=("ended_at",), name="generations_by_end", condition=Q(ended_at__isnull=False)),
            models.Index(fields=("status", "-id"), name="generations_not_completed", condition=~Q(status="completed")),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} {self.status}"

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.status in self.ACTIVE

    @property
    def was_sent(self) -> bool:
        """Whether its question may go to a provider; False when a rule has kept it back."""
        return self.error_code != self.NOT_SENT

    @classmethod
    def claim(cls, pk: uuid.UUID) -> Generation | None:
        """Take the right to write a generation that is queued or abandoned; None when it is neither any more."""
        lease_end = Now() + timedelta(seconds=settings.LEASE_SECONDS)
        fields = {"epoch": F("epoch") + 1, "lease_expires_at": lease_end}
        rows = cls.objects.filter(pk=pk)
        won = rows.filter(status=cls.Status.QUEUED).update(
            status=cls.Status.IN_PROGRESS, started_at=Coalesce("started_at", Now()), **fields
        ) or rows.abandoned().update(takeovers=F("takeovers") + 1, **fields)
        return cls.objects.select_related("message__conversation", "model").get(pk=pk) if won else None

    @classmethod
    def request_stop(cls, queryset: models.QuerySet[Generation]) -> int:
        """Ask the writers of these generations to stop; return how many were asked."""
        return queryset.filter(status__in=cls.ACTIVE, stop_requested_at=None).update(stop_requested_at=timezone.now())


class Delta(models.Model):
    """A fragment of a generation in progress, as one commit of the journal wrote it."""

    class Kind(models.TextChoices):
        TEXT = "text", "text"
        REASONING = "reasoning", "reasoning"

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="deltas")
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    text = models.TextField()
    at_ms = models.PositiveIntegerField(help_text="Milliseconds since the generation started.")
    redactions = models.JSONField(null=True, help_text="Where in the text something was replaced: [characters, label].")

    class Meta:
        ordering = ("generation", "seq")
        constraints = (models.UniqueConstraint(fields=("generation", "seq"), name="deltas_without_doubles"),)

    def __str__(self) -> str:
        return f"{self.generation_id} #{self.seq}"
