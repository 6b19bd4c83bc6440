"""Whether the machine can take more work. When it cannot, new work is refused at once, and what runs keeps its pace.

Three things say that it is full: as many answers are being written, by all processes together, as the operator allows;
an answer has waited too long to be begun; the event loop of this process is late. The database is asked at most every
`SAMPLE_SECONDS`, so that refusing costs next to nothing; what this process has let in meanwhile is added.
"""

from __future__ import annotations

import random
import threading
import time
from datetime import datetime

from django.conf import settings
from django.db.models import Count, Min, Q
from django.utils import timezone
from django.utils.translation import gettext

from conversations import metrics
from conversations.measuring import lag
from conversations.models import Generation

SAMPLE_SECONDS = 0.1
RETRY_SECONDS = (5, 15)  # spread, so that those who were refused do not come back together


class Full(Exception):
    """The machine can take no more; `reason` is one word for operators."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        metrics.admission_refusals.labels(reason).inc()
        self.reason = reason
        self.retry_after_seconds = float(random.randint(*RETRY_SECONDS))  # noqa: S311 - spreads load, hides nothing

    @staticmethod
    def sentence() -> str:
        """Return the sentence for the user."""
        return gettext("Stillwater is writing as many answers as it can. Your text is kept: try again in a moment.")


class Gate:
    """Lets work in as long as there is room."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sampled_at = 0.0
        self._active = 0
        self._waiting_seconds = 0.0

    def enter(self) -> None:
        """Let one more in, or raise `Full`. Blocks on the database for one small query at most."""
        with self._lock:
            if reason := self._reason():
                raise Full(reason)
            self._active += 1

    def full(self) -> str:
        """Return why nobody can be let in, in one word; empty when there is room. Blocks as `enter` does."""
        with self._lock:
            return self._reason()

    def _reason(self) -> str:
        if lag.seconds() > settings.MAX_LAG_SECONDS:
            return "lag"
        if time.monotonic() - self._sampled_at > SAMPLE_SECONDS:
            self._sample()
        if self._waiting_seconds > settings.MAX_QUEUE_SECONDS:
            return "queue"
        most: int = settings.MAX_ACTIVE_GENERATIONS
        return "active" if most and self._active >= most else ""

    def _sample(self) -> None:
        queued = Q(status=Generation.Status.QUEUED)
        row = Generation.objects.active().aggregate(active=Count("pk"), oldest=Min("created_at", filter=queued))
        oldest: datetime | None = row["oldest"]
        self._active = row["active"]
        self._waiting_seconds = (timezone.now() - oldest).total_seconds() if oldest else 0.0
        self._sampled_at = time.monotonic()


gate = Gate()
