"""The figures of the admin's dashboard: summed up hour by hour, read as sums.

`roll_up` is called now and then: it writes the sums of the current hour and of the one before it anew, and catches up
with what ended while nobody did. Everything is counted by the database over the index of ends; generations are never
read into this process, and outputs not at all. What was imported or copied is not counted: nobody wrote it here. A
dashboard reads the sums alone, however many generations there are.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from conversations.models import ActiveUser, Generation, HourlyFigures

BOUNDS_MS = (50, 100, 150, 200, 300, 400, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 8_000, 13_000, 20_000, 60_000)
KEPT_DAYS = 92
BACK_DAYS = 31  # so far back sums are made for what ended before there were any
ROLL_UP_SECONDS = 30.0
MOST_SECONDS = 0.5  # of one call, while it catches up
HOUR = timedelta(hours=1)
FIELDS = (
    "ended",
    "completed",
    "stopped",
    "interrupted",
    "failed",
    "input_tokens",
    "output_tokens",
    "writing_tokens",
    "writing_ms",
    "cost",
)
KEYS = ("model__label", "arm")

_rolled_up = 0.0


def roll_up_now_and_then() -> None:
    """Roll up, if that was not done just now. For an upkeep that is called more often. Blocks on the database."""
    global _rolled_up  # noqa: PLW0603 - one upkeep a process
    if time.monotonic() - _rolled_up >= ROLL_UP_SECONDS:
        roll_up()
        _rolled_up = time.monotonic()


def roll_up(most_seconds: float = MOST_SECONDS) -> None:
    """Sum up every hour that may have changed, oldest first, for so long at most. Blocks on the database."""
    until = time.monotonic() + most_seconds
    hour = _first_hour()
    while (found := _next_hour(hour)) is not None:
        _sum_up(found)
        hour = found + HOUR
        if time.monotonic() > until:
            return
    now = timezone.now()
    oldest = now - timedelta(days=KEPT_DAYS)
    HourlyFigures.objects.filter(Q(starts_at__lt=oldest) | Q(starts_at__gt=now + HOUR)).delete()
    ActiveUser.objects.filter(starts_at__lt=oldest).delete()


def _first_hour() -> datetime:
    """Return the hour before the last that has sums: what ended in its last moments may have come after them."""
    begun = HourlyFigures.objects.filter(starts_at__lte=timezone.now())  # a clock may have been wrong
    newest = begun.order_by("-starts_at").values_list("starts_at", flat=True).first()
    if newest is None:
        return _hour_of(timezone.now() - timedelta(days=BACK_DAYS))
    return newest - HOUR


def _next_hour(since: datetime) -> datetime | None:
    rows = Generation.objects.written_here().filter(ended_at__gte=since).order_by("ended_at")
    ended_at = rows.values_list("ended_at", flat=True).first()
    return _hour_of(ended_at) if ended_at is not None else None


def _hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _sum_up(hour: datetime) -> None:
    rows = Generation.objects.written_here().filter(ended_at__gte=hour, ended_at__lt=hour + HOUR)
    errors: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in rows.exclude(error_code="").order_by().values(*KEYS, "error_code").annotate(count=Count("pk")):
        errors[row["model__label"] or "", row["arm"]][row["error_code"]] = row["count"]
    figures = [
        _figures(hour, row, errors[row["model__label"] or "", row["arm"]])
        for row in rows.order_by().values(*KEYS).annotate(**_sums())
    ]
    owners = rows.order_by().values_list("message__conversation__owner_id", flat=True).distinct()
    written = [*FIELDS, "first_token", "painted", "errors"]
    with transaction.atomic():
        HourlyFigures.objects.bulk_create(
            figures, update_conflicts=True, unique_fields=["starts_at", "model", "arm"], update_fields=written
        )
        active = [ActiveUser(starts_at=hour, user_id=owner) for owner in owners]
        ActiveUser.objects.bulk_create(active, ignore_conflicts=True)


def _figures(hour: datetime, row: dict[str, Any], errors: dict[str, int]) -> HourlyFigures:
    classes = range(len(BOUNDS_MS) + 1)
    writing: timedelta = row["writing_time"]
    return HourlyFigures(
        starts_at=hour,
        model=row["model__label"] or "",
        arm=row["arm"],
        errors=errors,
        first_token=[row[f"first_token_{number}"] for number in classes],
        painted=[row[f"painted_{number}"] for number in classes],
        writing_ms=max(0, round(writing.total_seconds() * 1000) - row["writing_first_ms"]),
        **{name: row[f"sum_{name}"] for name in FIELDS if name != "writing_ms"},
    )


def _sums() -> dict[str, Any]:
    """Return what is summed up of one hour, model and arm.

    The pace is told of answers with a first token: what they wrote, and how long after that token they went on.
    """
    paced = Q(output_tokens__gt=0, time_to_first_token_ms__isnull=False, status=Generation.Status.COMPLETED)
    took = ExpressionWrapper(F("ended_at") - F("created_at"), output_field=DurationField())
    found: dict[str, Any] = {
        "sum_ended": Count("pk"),
        "sum_cost": Coalesce(Sum("cost"), Value(0), output_field=Generation._meta.get_field("cost")),
        "sum_input_tokens": Coalesce(Sum("input_tokens"), 0),
        "sum_output_tokens": Coalesce(Sum("output_tokens"), 0),
        "sum_writing_tokens": Coalesce(Sum("output_tokens", filter=paced), 0),
        "writing_time": Coalesce(Sum(took, filter=paced), timedelta()),
        "writing_first_ms": Coalesce(Sum("time_to_first_token_ms", filter=paced), 0),
    }
    for status in ("completed", "stopped", "interrupted", "failed"):
        found[f"sum_{status}"] = Count("pk", filter=Q(status=status))
    for name, field in (("first_token", "time_to_first_token_ms"), ("painted", "painted_ms")):
        for number, low, high in zip(range(99), (None, *BOUNDS_MS), (*BOUNDS_MS, None), strict=False):
            above = Q(**{f"{field}__gt": low}) if low is not None else Q(**{f"{field}__gte": 0})
            within = above & Q(**{f"{field}__lte": high}) if high is not None else above
            found[f"{name}_{number}"] = Count("pk", filter=within)
    return found


def between(since: datetime, until: datetime, model: str = "") -> QuerySet[HourlyFigures]:
    """Return the sums of the hours that begin within a time, of one model or of all."""
    rows = HourlyFigures.objects.filter(starts_at__gte=since, starts_at__lt=until)
    return rows.filter(model=model) if model else rows


def lately() -> QuerySet[HourlyFigures]:
    """Return the sums of this hour and of the last one."""
    return between(_hour_of(timezone.now()) - HOUR, timezone.now() + HOUR)


def added(classes: Iterable[Sequence[int]]) -> list[int]:
    """Add up counts by class."""
    counts = [0] * (len(BOUNDS_MS) + 1)
    for row in classes:
        for number, count in enumerate(row):
            counts[number] += count
    return counts


def quantile(classes: Sequence[int], share: float) -> float | None:
    """Return the value below which this share lies, in milliseconds, guessed within its class; None without any."""
    total = sum(classes)
    if not total:
        return None
    wanted, so_far, low = share * total, 0, 0
    for count, high in zip(classes, BOUNDS_MS, strict=False):
        if count and so_far + count >= wanted:
            return low + (high - low) * (wanted - so_far) / count
        so_far, low = so_far + count, high
    return float(BOUNDS_MS[-1])
