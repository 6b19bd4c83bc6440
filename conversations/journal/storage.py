"""What the journal does in the database: write a batch, fold what has ended, read a generation back.

Plain functions that block; `commit` calls them in its thread, readers call `replay` in theirs.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from conversations.models import Delta, Generation, GenerationQuerySet, Parts


@dataclass(frozen=True, slots=True)
class Ending:
    """How a generation ended; field by field as in `Generation`."""

    status: str
    finish_reason: str = ""
    error_code: str = ""
    error_message: str = ""
    model_name: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class StoredDelta:
    """A durable delta."""

    seq: int
    kind: str
    text: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Write:
    """What one commit is to do for one generation."""

    generation_id: uuid.UUID
    epoch: int
    deltas: tuple[StoredDelta, ...]
    ending: Ending | None
    renew: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the commit found: whether the writer is still the one, whether it runs, and whether a stop was asked for.

    `current` and not `running`: this very end was written before, by a commit whose answer got lost.
    """

    current: bool
    running: bool
    stop_requested: bool


def write_batch(writes: Sequence[Write]) -> dict[uuid.UUID, Verdict]:
    """Write one group commit; return a verdict for each generation. Raises `OperationalError` and is safe to repeat."""
    with transaction.atomic():
        verdicts = _verdicts(writes)
        running = [write for write in writes if verdicts[write.generation_id].running]
        _insert(running)
        _renew([write.generation_id for write in running if write.renew])
        for write in running:
            if write.ending is not None:
                _end(write, write.ending)
        return verdicts


def _verdicts(writes: Sequence[Write]) -> dict[uuid.UUID, Verdict]:
    # The row lock makes a takeover wait until this commit is done; SQLite's transaction has locked everything already.
    rows = {
        pk: (epoch, status, stop_requested_at is not None)
        for pk, epoch, status, stop_requested_at in Generation.objects.select_for_update()
        .filter(pk__in=[write.generation_id for write in writes])
        .order_by("pk")
        .values_list("pk", "epoch", "status", "stop_requested_at")
    }
    verdicts = {}
    for write in writes:
        epoch, status, stop = rows.get(write.generation_id, (-1, "", False))
        running = epoch == write.epoch and status == Generation.Status.IN_PROGRESS
        repeated = epoch == write.epoch and write.ending is not None and status == write.ending.status
        verdicts[write.generation_id] = Verdict(running or repeated, running, stop)
    return verdicts


def _insert(writes: Iterable[Write]) -> None:
    rows = [
        Delta(generation_id=write.generation_id, seq=delta.seq, kind=delta.kind, text=delta.text, at_ms=delta.at_ms)
        for write in writes
        for delta in write.deltas
    ]
    if rows:
        Delta.objects.bulk_create(rows, ignore_conflicts=True)


def _renew(generation_ids: list[uuid.UUID]) -> None:
    if generation_ids:
        lease_end = timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
        Generation.objects.filter(pk__in=generation_ids).update(lease_expires_at=lease_end)


def _end(write: Write, ending: Ending) -> None:
    running = Generation.objects.filter(pk=write.generation_id, epoch=write.epoch, status=Generation.Status.IN_PROGRESS)
    end_generation(running, write.generation_id, ending)


def end_generation(running: GenerationQuerySet, generation_id: uuid.UUID, ending: Ending) -> bool:
    """Fold the deltas into the output and set the end, in the caller's transaction; False when `running` is empty."""
    rows = list(Delta.objects.filter(generation=generation_id).order_by("seq"))
    won = running.update(
        status=ending.status,
        finish_reason=ending.finish_reason,
        error_code=ending.error_code,
        error_message=ending.error_message,
        model_name=ending.model_name,
        input_tokens=ending.input_tokens,
        output_tokens=ending.output_tokens,
        output=fold((row.kind, row.text, row.at_ms) for row in rows),
        timeline=[[row.at_ms, len(row.text)] for row in rows],
        time_to_first_token_ms=rows[0].at_ms if rows else None,
        ended_at=timezone.now(),
        lease_expires_at=None,
    )
    if won:
        Delta.objects.filter(generation=generation_id).delete()
    return bool(won)


def fold(deltas: Iterable[tuple[str, str, int]]) -> Parts:
    """Return deltas (kind, text, at_ms), in order, as typed parts: neighbours of one kind become one part."""
    parts: Parts = []
    for kind, text, at_ms in deltas:
        if parts and parts[-1]["kind"] == kind:
            parts[-1]["text"] += text
            parts[-1]["to_ms"] = at_ms
        else:
            start = parts[-1]["to_ms"] if parts else 0
            parts.append({"kind": kind, "text": text, "from_ms": start, "to_ms": at_ms})
    return parts


@dataclass(frozen=True, slots=True)
class Progress:
    """What is durable of a generation: all of it in `output` when `ended`, else the `deltas` asked for."""

    ended: bool
    deltas: tuple[StoredDelta, ...]
    output: Parts


def replay(generation_id: uuid.UUID, *, after: int = -1) -> Progress | None:
    """Read a generation, its deltas from the one after number `after`; None when it is gone.

    The deltas are read before the row: a generation that is then still running has not been folded in between.
    """
    rows = Delta.objects.filter(generation=generation_id, seq__gt=after).order_by("seq")
    deltas = tuple(StoredDelta(*row) for row in rows.values_list("seq", "kind", "text", "at_ms"))
    generation = Generation.objects.filter(pk=generation_id).only("status", "output").first()
    if generation is None:
        return None
    if generation.is_active:
        return Progress(ended=False, deltas=deltas, output=[])
    return Progress(ended=True, deltas=(), output=generation.output)
