"""What the journal does in the database: write a batch, fold what has ended, read a generation back.

Plain functions that block; `commit` calls them in its thread, readers call `replay` in theirs.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from conversations.journal import statements
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
    usage_estimated: bool = False
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class StoredDelta:
    """A durable delta."""

    seq: int
    kind: str
    text: str
    at_ms: int
    redactions: tuple[tuple[int, str], ...] = ()  # where in the text something was replaced, and by which label


@dataclass(frozen=True, slots=True)
class Write:
    """What one commit is to do for one generation."""

    generation_id: uuid.UUID
    epoch: int
    deltas: tuple[StoredDelta, ...]
    ending: Ending | None
    renew: bool
    release: bool = False


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
        Generation.objects.filter(pk__in=[write.generation_id for write in running if write.release]).release()
        for write in running:
            if write.ending is not None:
                _end(write, write.ending)
        return verdicts


def _verdicts(writes: Sequence[Write]) -> dict[uuid.UUID, Verdict]:
    rows = statements.standing(write.generation_id for write in writes)
    verdicts = {}
    for write in writes:
        epoch, status, stop = rows.get(write.generation_id, (-1, "", False))
        running = epoch == write.epoch and status == Generation.Status.IN_PROGRESS
        repeated = epoch == write.epoch and write.ending is not None and status == write.ending.status
        verdicts[write.generation_id] = Verdict(running or repeated, running, stop)
    return verdicts


def _insert(writes: Iterable[Write]) -> None:
    rows = [
        (write.generation_id, delta.seq, delta.kind, delta.text, delta.at_ms, delta.redactions or None)
        for write in writes
        for delta in write.deltas
    ]
    if rows:
        statements.insert(rows)


def _renew(generation_ids: list[uuid.UUID]) -> None:
    if generation_ids:
        Generation.objects.filter(pk__in=generation_ids).renew()


def _end(write: Write, ending: Ending) -> None:
    running = Generation.objects.filter(pk=write.generation_id, epoch=write.epoch, status=Generation.Status.IN_PROGRESS)
    end_generation(running, write.generation_id, ending)


def end_generation(running: GenerationQuerySet, generation_id: uuid.UUID, ending: Ending) -> bool:
    """Fold the deltas into the output and set the end, in the caller's transaction; False when `running` is empty.

    The row is locked before the deltas are read: until then a writer may add to them, and what it adds has been seen.
    """
    owned = running.filter(pk=generation_id).select_for_update().values("created_at", "started_at").first()
    if owned is None:
        return False
    queued_ms = round((owned["started_at"] - owned["created_at"]).total_seconds() * 1000) if owned["started_at"] else 0
    rows = list(Delta.objects.filter(generation=generation_id).order_by("seq"))
    redactions = _redactions(rows)
    Generation.objects.filter(pk=generation_id).update(
        status=ending.status,
        finish_reason=ending.finish_reason,
        error_code=ending.error_code,
        error_message=ending.error_message,
        model_name=ending.model_name,
        input_tokens=ending.input_tokens,
        output_tokens=ending.output_tokens,
        usage_estimated=ending.usage_estimated,
        cost=ending.cost,
        output=fold((row.kind, row.text, row.at_ms) for row in rows),
        timeline=[[row.at_ms, len(row.text)] for row in rows],
        redactions=redactions,
        redaction_count=len(redactions),
        time_to_first_token_ms=max(0, queued_ms) + rows[0].at_ms if rows else None,
        ended_at=timezone.now(),
        lease_expires_at=None,
    )
    Delta.objects.filter(generation=generation_id).delete()
    return True


def _redactions(rows: Iterable[Delta]) -> list[tuple[int, int, str]]:
    """Return when and where, in characters of all deltas together, something was replaced, and by which label."""
    found, before = [], 0
    for row in rows:
        found += [(row.at_ms, before + offset, label) for offset, label in row.redactions or ()]
        before += len(row.text)
    return found


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


def heads(generation_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Return the number of the newest delta of each of these that runs, -1 without one: one small query for all."""
    newest = Delta.objects.filter(generation=OuterRef("pk")).order_by("-seq").values("seq")[:1]
    running = Generation.objects.filter(pk__in=generation_ids, status__in=Generation.ACTIVE)
    return dict(running.values_list("pk", Coalesce(Subquery(newest), -1)))
