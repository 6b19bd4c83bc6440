"""What leaves a conversation and what comes in: shared links, and jobs that take a while."""

from __future__ import annotations

import secrets
import uuid
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone

from conversations.models.conversations import Conversation
from conversations.models.ids import uuid7
from conversations.models.messages import Message


def new_token() -> str:
    """Return 128 random bits, as a URL can hold them."""
    return secrets.token_urlsafe(16)


class ShareQuerySet(models.QuerySet["Share"]):
    def open(self) -> Self:
        """Those that can be read now."""
        rows = self.filter(revoked_at=None, conversation__deleted_at=None)
        return rows.filter(conversation__owner__is_active=True)


class Share(models.Model):
    """A link by which anybody can read a branch: as it was when it was shared, or, if `follows`, as it is."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    token = models.CharField(max_length=43, unique=True, default=new_token, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="shares")
    leaf = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+")
    last_generation_id = models.UUIDField(null=True, help_text="The newest generation that belongs to the snapshot.")
    title = models.CharField(max_length=200, blank=True)
    follows = models.BooleanField(default=False)
    named = models.BooleanField(default=False, help_text="Whether the page says whose conversation it is.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ShareQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.title or str(self.pk)


def job_path(job: Job, filename: str) -> str:  # noqa: ARG001 - Django's interface
    """Return where a job's file is kept: by its own id, never by a name that somebody chose."""
    return f"jobs/{job.pk.hex}"


class JobQuerySet(models.QuerySet["Job"]):
    """Leases are compared with the database's clock alone, as those of generations are."""

    def claimable(self) -> Self:
        """Those that nobody works on: not begun, or left by a process that has died or is about to end."""
        left = Q(status=Job.Status.RUNNING, lease_expires_at__lte=Now())
        return self.filter(Q(status=Job.Status.QUEUED) | left)

    def unfinished(self) -> Self:
        """Those that have not ended."""
        return self.filter(status__in=Job.UNFINISHED)


class Job(models.Model):
    """Slow work for a user, with its progress: `done` of `total` pieces; what became of each is in its results.

    `claims` counts how often somebody took it up since it last got on: work that kills its process is given up.
    """

    class Kind(models.TextChoices):
        IMPORT = "import", "import"
        EXPORT = "export", "export"
        ERASURE = "erasure", "erasure"

    class Status(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        COMPLETED = "completed", "completed"
        FAILED = "failed", "failed"

    UNFINISHED = (Status.QUEUED, Status.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    parameters = models.JSONField(default=dict, blank=True)
    total = models.PositiveIntegerField(null=True, blank=True)
    done = models.PositiveIntegerField(default=0)
    error_message = models.CharField(max_length=500, blank=True)
    file = models.FileField(upload_to=job_path, max_length=200, blank=True)
    claims = models.PositiveSmallIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(
                fields=("status", "lease_expires_at"),
                name="jobs_in_progress",
                condition=Q(status__in=("queued", "running")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} {self.status}"

    @property
    def is_unfinished(self) -> bool:
        """Whether it has not ended."""
        return self.status in self.UNFINISHED

    @classmethod
    def claim(cls, pk: uuid.UUID, seconds: float) -> Job | None:
        """Take the right to work on a job for `seconds`; None when somebody else has it, or it has ended."""
        lease = Now() + timedelta(seconds=seconds)
        fields = {"status": cls.Status.RUNNING, "lease_expires_at": lease, "claims": F("claims") + 1}
        won = cls.objects.filter(pk=pk).claimable().update(**fields)
        return cls.objects.select_related("owner").get(pk=pk) if won else None


class JobResult(models.Model):
    """What became of one piece of a job; `number` is its place in the source, so that no piece is done twice."""

    class Status(models.TextChoices):
        IMPORTED = "imported", "imported"
        KNOWN = "known", "already there"
        SKIPPED = "skipped", "skipped"
        FAILED = "failed", "failed"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="results")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices)
    title = models.CharField(max_length=200, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    conversation = models.ForeignKey(Conversation, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ("number",)
        constraints = (models.UniqueConstraint(fields=("job", "number"), name="one_result_of_a_piece"),)

    def __str__(self) -> str:
        return f"{self.number} {self.status}"


@receiver(post_delete, sender=Job)
def _forget_bytes(instance: Job, **_: Any) -> None:
    """Delete what was sent or made in the transaction that deletes the row, also when its owner goes in the admin."""
    if instance.file:
        instance.file.delete(save=False)
