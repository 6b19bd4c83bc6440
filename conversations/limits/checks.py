"""What can be checked without counting, and what a user is told about all limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from chatapp.accounts.models import User
from conversations.limits import words
from conversations.limits.metering import LimitExceeded, running, settle_left_of, window
from conversations.limits.plans import Limits, Standing, limits_of, standing_of
from conversations.models import Meter


@dataclass(frozen=True, slots=True)
class Gauge:
    """One limit as its user sees it; `back_at` is when all of it can be used again, None when nothing is used."""

    label: str
    shared: bool
    limit: int
    used: int
    back_at: datetime | None

    @property
    def numbers(self) -> dict[str, str]:
        """What is used, what can still be used, and the limit, for people."""
        left = max(0, self.limit - self.used)
        return {"used": words.number(self.used), "left": words.number(left), "limit": words.number(self.limit)}

    @property
    def high(self) -> int:
        """From where on little is left."""
        return self.limit * 9 // 10

    @property
    def back(self) -> str:
        """When all of it can be used again, in words."""
        if self.back_at is None:
            return ""
        seconds = (self.back_at - timezone.now()).total_seconds()
        return words.duration(seconds) if seconds <= words.SHORT_SECONDS else words.day(self.back_at)

    @property
    def back_soon(self) -> bool:
        """Whether `back` is a duration and not a day."""
        return self.back_at is not None and (self.back_at - timezone.now()).total_seconds() <= words.SHORT_SECONDS


@dataclass(frozen=True, slots=True)
class Overview:
    """What a user may use and has used."""

    plans: tuple[str, ...]
    limits: Limits
    gauges: list[Gauge]


def check_message(user: User, text: str) -> None:
    """Raise `LimitExceeded` for a message that is longer than the user's plan allows."""
    most = limits_of(user).message_characters
    if most is not None and len(text) > most:
        raise LimitExceeded(words.too_long(most), "message_characters")


def check_attachments(user: User, sizes: Sequence[int]) -> None:
    """Raise `LimitExceeded` when files of these sizes, in bytes, are too many or too large for one message."""
    limits = limits_of(user)
    if limits.attachments is not None and len(sizes) > limits.attachments:
        raise LimitExceeded(words.too_many_files(limits.attachments), "attachments")
    if limits.attachment_bytes is not None and max(sizes, default=0) > limits.attachment_bytes:
        raise LimitExceeded(words.too_large_file(limits.attachment_bytes), "attachment_bytes")


def overview(user: User, network: str = "") -> Overview:
    """Return what a user may use and has used. Blocks on the database."""
    settle_left_of(user)
    standing = standing_of(user, network)
    return Overview(standing.plans, standing.own, _gauges(standing))


def _gauges(standing: Standing) -> list[Gauge]:
    now = timezone.now()
    subjects = [subject for subject in (standing.user, *standing.groups) if subject.limits]
    rows = Meter.objects.filter(subject__in=[subject.key for subject in subjects])
    used = {(m.subject, m.limit): m.used for m in rows if m.starts_at >= window(m.limit, now)[0]}
    gauges = []
    for subject in subjects:
        for limit, most in subject.limits.items():
            count = running(subject.key) if limit == "generations" else used.get((subject.key, limit), 0)
            label, back_at = str(words.LABELS[limit]), window(limit, now)[1] if count else None
            gauges.append(Gauge(label, subject is not standing.user, most, count, back_at))
    return gauges
