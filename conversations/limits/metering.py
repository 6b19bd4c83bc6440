"""Reserving tokens before an answer and settling them after it, in rows of the database.

The meters of everybody concerned are locked, in one order, in the transaction of the turn: of many requests at once
only as many pass as there is room for, in any number of processes, on SQLite as on PostgreSQL. Nothing else is needed,
and when that database is away, nothing is sent either.

Windows are fixed: a minute of the clock, a day and a month of `TIME_ZONE`. Across the border of two windows twice a
limit can be used within a short time. What an answer uses belongs to the window in which it was asked for.

What was reserved is settled when the generation has ended: soon after by its process (`settle`), at the latest when
its owner asks again (`reserve`) or by the upkeep of any process (`settle_left`), however the generation ended.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from chatapp.accounts.models import User
from conversations.limits import words
from conversations.limits.plans import Standing, Subject, standing_of
from conversations.models import Generation, Meter, Reservation
from conversations.providers.tokens import estimate

BUSY_SECONDS = 5.0  # when to look again whether an answer has ended
SETTLED_AT_ONCE = 200


class LimitExceeded(Exception):
    """Something may not be used now; `str()` is the sentence for the user.

    `retry_after_seconds` is None when waiting does not help.
    """

    def __init__(self, sentence: str, limit: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(sentence)
        self.limit = limit
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Estimate:
    """What an answer is expected to use, in tokens."""

    input_tokens: int
    output_tokens: int

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.input_tokens + self.output_tokens


def window(limit: str, now: datetime) -> tuple[datetime, datetime | None]:
    """Return when the current window of a limit began, and when the next one begins; no window is for all time."""
    if limit.endswith("_per_minute"):
        start = now.replace(second=0, microsecond=0)
        return start, start + timedelta(minutes=1)
    midnight = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if limit.endswith("_per_day"):
        return midnight, _local(midnight.replace(tzinfo=None) + timedelta(days=1))
    if limit.endswith("_per_month"):
        first = midnight.replace(day=1, tzinfo=None)
        return _local(first), _local((first + timedelta(days=32)).replace(day=1))
    return datetime.fromtimestamp(0, tz=now.tzinfo), None


def _local(naive: datetime) -> datetime:
    return timezone.make_aware(naive)


class Meters:
    """The meters of some subjects, locked in the caller's transaction until its end."""

    def __init__(self, keys: Iterable[tuple[str, str]], now: datetime) -> None:
        self._now = now
        self._rows = self._lock(set(keys))
        self._changed: set[tuple[str, str]] = set()

    def _lock(self, keys: set[tuple[str, str]]) -> dict[tuple[str, str], Meter]:
        found = self._read(keys)
        if missing := keys - found.keys():
            rows = [Meter(subject=s, limit=n, starts_at=window(n, self._now)[0]) for s, n in sorted(missing)]
            Meter.objects.bulk_create(rows, ignore_conflicts=True)  # somebody else may be making them, too
            found = self._read(keys)
        return found

    @staticmethod
    def _read(keys: set[tuple[str, str]]) -> dict[tuple[str, str], Meter]:
        # In one order, so that nobody waits for somebody who waits.
        rows = Meter.objects.select_for_update().filter(subject__in={subject for subject, _ in keys})
        return {(row.subject, row.limit): row for row in rows.order_by("subject", "limit")}

    def used(self, subject: str, limit: str) -> int:
        """Return what is used in the current window."""
        row = self._rows[subject, limit]
        return row.used if row.starts_at >= window(limit, self._now)[0] else 0

    def charge(self, subject: str, limit: str, amount: int) -> str:
        """Add to the current window; return its start, by which `correct` finds it."""
        row = self._rows[subject, limit]
        start, used = window(limit, self._now)[0], self.used(subject, limit)
        row.starts_at, row.used = max(start, row.starts_at), used + amount
        self._changed.add((subject, limit))
        return row.starts_at.isoformat()

    def correct(self, subject: str, limit: str, start: str, difference: int) -> None:
        """Change what was charged to a window, if it is still the current one."""
        row = self._rows[subject, limit]
        if row.starts_at == datetime.fromisoformat(start):
            row.used = max(0, row.used + difference)
            self._changed.add((subject, limit))

    def save(self) -> None:
        """Write what has changed."""
        if self._changed:
            Meter.objects.bulk_update([self._rows[key] for key in sorted(self._changed)], ["starts_at", "used"])


def reserve(generation_id: uuid.UUID, user: User, network: str, expect: Callable[[], Estimate]) -> None:
    """Count a request, and set aside what it is expected to use, in the caller's transaction.

    `expect` is asked only when tokens are limited. Raises `LimitExceeded`; then the transaction must be rolled back.
    """
    standing = standing_of(user, network)
    subjects = standing.subjects()
    if not subjects:
        return
    expected = expect() if any(_tokens(limit) for s in subjects for limit in s.limits) else Estimate(0, 0)
    ended = _lock_ended(Reservation.objects.filter(owner_id=user.pk))
    keys = {(subject.key, limit) for subject in subjects for limit in subject.limits}
    meters = Meters(keys | _keys_of(ended), timezone.now())
    _settle(ended, meters)
    charges = _charge(standing, meters, expected)
    meters.save()
    by_address = standing.address if standing.address and "generations" in standing.address.limits else None
    if charges or by_address:
        Reservation.objects.create(
            generation_id=generation_id,
            owner_id=user.pk,
            address=by_address.key if by_address else "",
            input_tokens=expected.input_tokens,
            tokens=expected.tokens,
            charges=charges,
        )


def _tokens(limit: str) -> bool:
    return limit.startswith("tokens_")


def _charge(standing: Standing, meters: Meters, expected: Estimate) -> list[list[str]]:
    """Charge everybody who counts, or raise `LimitExceeded`; of the groups the first one with room."""
    charged = [standing.user, *([standing.address] if standing.address else [])]
    for subject in charged:
        if (refusal := _refusal(subject, meters, expected)) is not None:
            raise refusal
    refusals = [_refusal(group, meters, expected) for group in standing.groups]
    if refusals and all(refusals):
        raise next(refusal for refusal in refusals if refusal)
    charged += [group for group, refusal in zip(standing.groups, refusals, strict=True) if refusal is None][:1]
    charges = []
    for subject in charged:
        for limit in subject.limits:
            if limit == "requests_per_minute":
                meters.charge(subject.key, limit, 1)
            elif _tokens(limit):
                charges.append([subject.key, limit, meters.charge(subject.key, limit, expected.tokens)])
    return charges


def _refusal(subject: Subject, meters: Meters, expected: Estimate) -> LimitExceeded | None:
    """Return why a subject has no room: of several reasons the one that lasts longest."""
    now = timezone.now()
    found: list[LimitExceeded] = []
    for limit, most in subject.limits.items():
        needed = expected.tokens if _tokens(limit) else 1
        if needed > most:
            return LimitExceeded(words.too_much(needed, most), limit)
        used = running(subject.key) if limit == "generations" else meters.used(subject.key, limit)
        if used + needed > most:
            back_at = window(limit, now)[1]
            wait = BUSY_SECONDS if back_at is None else max(1.0, (back_at - now).total_seconds())
            shared = not subject.key.startswith("user:")
            sentence = words.spent(limit, shared=shared, wait_seconds=wait, back_at=back_at)
            found.append(LimitExceeded(sentence, limit, wait))
    return max(found, key=lambda refusal: refusal.retry_after_seconds or 0, default=None)


def running(subject: str) -> int:
    """Return how many answers are being written for a subject that nobody has told to stop."""
    active = Generation.objects.filter(stop_requested_at=None).active()
    kind, _, name = subject.partition(":")
    if kind == "user":
        return active.filter(message__conversation__owner=int(name)).count()
    if kind == "group":
        return active.filter(message__conversation__owner__groups=int(name)).count()
    return active.filter(pk__in=Reservation.objects.filter(address=subject).values("generation_id")).count()


def settle(generation_id: uuid.UUID) -> None:
    """Settle what was reserved for a generation that has ended. Blocks on the database; harmless when repeated."""
    _settle_all(Reservation.objects.filter(pk=generation_id))


def settle_left_of(user: User) -> None:
    """Settle what ended for one user, so that what is shown is true. Blocks on the database."""
    _settle_all(Reservation.objects.filter(owner_id=user.pk))


def forget(user_id: int) -> None:
    """Delete what was counted for an account that is no more."""
    Meter.objects.filter(subject=f"user:{user_id}").delete()
    Reservation.objects.filter(owner_id=user_id).delete()


def settle_left() -> None:
    """Settle what nobody has settled: its process has died, or it never began. Blocks on the database."""
    _settle_all(Reservation.objects.all())


def _settle_all(rows: QuerySet[Reservation]) -> None:
    if not rows.exists():
        return
    with transaction.atomic():
        if ended := _lock_ended(rows):
            meters = Meters(_keys_of(ended), timezone.now())
            _settle(ended, meters)
            meters.save()


def _lock_ended(rows: QuerySet[Reservation]) -> list[Reservation]:
    """Lock reservations whose generations run no more; those that somebody else is settling are left to them."""
    active = Generation.objects.active().values("pk")
    skip = connection.features.has_select_for_update_skip_locked
    return list(rows.exclude(pk__in=active).select_for_update(skip_locked=skip).order_by("pk")[:SETTLED_AT_ONCE])


def _keys_of(reservations: Iterable[Reservation]) -> set[tuple[str, str]]:
    return {(subject, limit) for row in reservations for subject, limit, _ in row.charges}


def _settle(reservations: list[Reservation], meters: Meters) -> None:
    if not reservations:
        return
    pks = [row.pk for row in reservations]
    fields = ("status", "started_at", "input_tokens", "output_tokens", "output")
    generations = Generation.objects.only(*fields).in_bulk(pks)
    for row in reservations:
        difference = used_tokens(row, generations.get(row.pk)) - row.tokens
        for subject, limit, start in row.charges:
            meters.correct(subject, limit, start, difference)
    Reservation.objects.filter(pk__in=pks).delete()


def used_tokens(reservation: Reservation, generation: Generation | None) -> int:
    """Return what a generation has used: as the provider says, else estimated; as reserved, when it was deleted."""
    if generation is None:
        return reservation.tokens
    if generation.input_tokens is not None or generation.output_tokens is not None:
        return (generation.input_tokens or 0) + (generation.output_tokens or 0)
    written = "".join(part["text"] for part in generation.output)
    asked = generation.started_at is not None and generation.status != Generation.Status.FAILED
    return reservation.input_tokens + estimate(written) if written or asked else 0
