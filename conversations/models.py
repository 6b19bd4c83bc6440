"""Tables, querysets and the small transitions between states.

A transition is a conditional UPDATE: its row count says who won. What a user can do is in `turns`, what a model does
in `runner`; nothing here speaks HTTP or calls a provider.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

Parts = list[dict[str, Any]]


_uuid_lock = threading.Lock()
_uuid_last = 0  # the time and counter of the newest id: 60 bits


def uuid7() -> uuid.UUID:
    """Return a UUID of version 7 (RFC 9562): 48 bits of milliseconds, a counter of 12 bits, 62 random bits.

    Rows made later sort later, also within a millisecond of one process; nobody can guess an id.
    """
    global _uuid_last  # noqa: PLW0603 - the order of ids is the process's
    with _uuid_lock:
        _uuid_last = max(_uuid_last + 1, time.time_ns() // 1_000_000 << 12)
        milliseconds, counter = _uuid_last >> 12, _uuid_last & 0xFFF
    random = int.from_bytes(os.urandom(8), "big") & (2**62 - 1)
    return uuid.UUID(int=(milliseconds << 80) | (0x7 << 76) | (counter << 64) | (0b10 << 62) | random)


class ChatModel(models.Model):
    """A model that can answer: where it is served and what it can do. The environment only seeds these rows."""

    class Prefill(models.TextChoices):
        NONE = "", "cannot go on from a partial answer"
        CONTINUE_FINAL_MESSAGE = "continue_final_message", "continue_final_message (vLLM, llama.cpp)"
        ASSISTANT = "assistant", "goes on from a last assistant message"

    label = models.CharField(max_length=200, help_text="The name that users see.")
    base_url = models.CharField(
        max_length=500,
        help_text="Address of an OpenAI-compatible service, with /v1; “demo:” is the built-in demo.",
        validators=[RegexValidator(r"^(demo:|https?://[^\s\\@]+)$", "Give an http(s) address without user name.")],
    )
    model_name = models.CharField(max_length=200, help_text="The name the service knows the model by.")
    api_key_variable = models.CharField(
        max_length=100,
        blank=True,
        help_text="Name of the environment variable that holds the key, ending in _API_KEY. Keys are never stored.",
        validators=[RegexValidator(r"^[A-Z][A-Z0-9_]*_API_KEY$", "The name of the variable must end in _API_KEY.")],
    )
    prefill = models.CharField(max_length=30, choices=Prefill.choices, blank=True, default=Prefill.NONE)
    sees_images = models.BooleanField(default=False)
    context_window = models.PositiveIntegerField(null=True, blank=True, help_text="In tokens.")
    input_price = models.DecimalField(
        max_digits=12, decimal_places=6, null=True, blank=True, help_text="Per million input tokens."
    )
    output_price = models.DecimalField(
        max_digits=12, decimal_places=6, null=True, blank=True, help_text="Per million output tokens."
    )
    fallback = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    enabled = models.BooleanField(default=True)
    position = models.PositiveIntegerField(default=0, help_text="Low ones come first; the first one is the default.")

    class Meta:
        ordering = ("position", "label", "pk")
        constraints = (models.UniqueConstraint(fields=("base_url", "model_name"), name="one_row_per_served_model"),)

    def __str__(self) -> str:
        return self.label

    @property
    def is_demo(self) -> bool:
        """Whether this is the built-in scripted model."""
        return self.base_url == "demo:"


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def with_running(self) -> Self:
        """Annotate `running`: whether an answer is being generated."""
        active = Generation.objects.filter(message__conversation=models.OuterRef("pk")).active()
        return self.annotate(running=models.Exists(active))


class Conversation(models.Model):
    """A tree of messages owned by one user; `active_leaf` is the end of the branch that is shown."""

    class TitleSource(models.TextChoices):
        FIRST_WORDS = "first_words", "first words"
        MODEL = "model", "model"
        USER = "user", "user"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations")
    title = models.CharField(max_length=200, blank=True)
    title_source = models.CharField(max_length=20, choices=TitleSource.choices, default=TitleSource.FIRST_WORDS)
    system_prompt = models.TextField(blank=True)
    model = models.ForeignKey(ChatModel, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    parameters = models.JSONField(default=dict, blank=True)
    pinned = models.BooleanField(default=False)
    archived = models.BooleanField(default=False)
    temporary = models.BooleanField(default=False)
    share_token = models.CharField(max_length=40, null=True, blank=True, unique=True)
    active_leaf = models.ForeignKey("Message", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        ordering = ("-updated_at",)
        indexes = (models.Index(fields=("owner", "-updated_at"), name="conversations_of_owner"),)

    def __str__(self) -> str:
        return self.title or "New conversation"


class Message(models.Model):
    """One row of the tree. Siblings (same parent) are versions of one another, in the order of their ids.

    `text` holds what a user wrote; an assistant's text is that of its generations, in order.
    """

    class Role(models.TextChoices):
        SYSTEM = "system", "system"
        USER = "user", "user"
        ASSISTANT = "assistant", "assistant"
        TOOL = "tool", "tool"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="children")
    role = models.CharField(max_length=10, choices=Role.choices)
    text = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.role} {self.pk}"


class GenerationQuerySet(models.QuerySet["Generation"]):
    def active(self) -> Self:
        """Those that have not ended."""
        return self.filter(status__in=Generation.ACTIVE)

    def abandoned(self, now: datetime) -> Self:
        """Those in progress whose writer has let its lease run out."""
        return self.filter(status=Generation.Status.IN_PROGRESS, lease_expires_at__lt=now)


class Generation(models.Model):
    """One attempt by a model to write, or to continue, one assistant message.

    `epoch` is the fencing number: a writer that holds an older one cannot write. `output` is the ordered list of typed
    parts `{"kind": "text" | "reasoning", "text": str, "ms": int}` (`ms`: how long the part took to arrive) once the
    generation has ended; while it runs, its text is in `Delta` rows. `timeline` is a list of `[ms, characters]`.
    """

    class Kind(models.TextChoices):
        NEW = "new", "new"
        CONTINUE = "continue", "continue"

    class Status(models.TextChoices):
        QUEUED = "queued", "queued"
        IN_PROGRESS = "in_progress", "in progress"
        COMPLETED = "completed", "completed"
        STOPPED = "stopped", "stopped"
        INTERRUPTED = "interrupted", "interrupted"
        FAILED = "failed", "failed"

    ACTIVE = (Status.QUEUED, Status.IN_PROGRESS)

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="generations")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.NEW)
    request_key = models.UUIDField(default=uuid.uuid4, unique=True, help_text="Idempotency key of the user's request.")
    model = models.ForeignKey(ChatModel, null=True, on_delete=models.SET_NULL, related_name="generations")
    model_name = models.CharField(max_length=200, blank=True, help_text="What the provider said it used.")
    status = models.CharField(max_length=15, choices=Status.choices, default=Status.QUEUED)
    finish_reason = models.CharField(max_length=20, blank=True)
    epoch = models.PositiveIntegerField(default=0)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.CharField(max_length=500, blank=True, help_text="The sentence shown to the user.")
    input_tokens = models.PositiveIntegerField(null=True, blank=True)
    output_tokens = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    time_to_first_token_ms = models.PositiveIntegerField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    output = models.JSONField(default=list, blank=True)
    timeline = models.JSONField(default=list, blank=True)

    objects = GenerationQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        indexes = (
            models.Index(
                fields=("status", "lease_expires_at"),
                name="generations_in_progress",
                condition=Q(status__in=("queued", "in_progress")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} {self.status}"

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.status in self.ACTIVE

    @property
    def is_partial(self) -> bool:
        """Whether it has ended before the answer's end: stopped, broken off, or at the model's limit of length."""
        if self.status == self.Status.COMPLETED:
            return self.finish_reason == "length"
        return not self.is_active and any(part["kind"] == "text" for part in self.output)

    @classmethod
    def claim(cls, pk: uuid.UUID) -> Generation | None:
        """Take the right to write a queued generation; None when somebody else was first, or it is no longer queued."""
        now = timezone.now()
        won = cls.objects.filter(pk=pk, status=cls.Status.QUEUED).update(
            status=cls.Status.IN_PROGRESS,
            epoch=models.F("epoch") + 1,
            started_at=now,
            lease_expires_at=now + timedelta(seconds=settings.LEASE_SECONDS),
        )
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

    class Meta:
        ordering = ("generation", "seq")
        constraints = (models.UniqueConstraint(fields=("generation", "seq"), name="deltas_without_doubles"),)

    def __str__(self) -> str:
        return f"{self.generation_id} #{self.seq}"


class AuditEntry(models.Model):
    """Who did what to which conversation. Only ever added to; names rows by id so that it outlives them."""

    at = models.DateTimeField(default=timezone.now, editable=False)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    action = models.CharField(max_length=40)
    conversation_id = models.UUIDField(null=True, db_index=True)
    generation_id = models.UUIDField(null=True)
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.action}"
