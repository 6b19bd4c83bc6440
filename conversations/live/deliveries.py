"""Notes what each viewer was sent of an answer, when its connection has ended.

Nothing is written while a stream runs. What has ended is gathered and written together, in a thread of its own pool,
so that thousands of streams that end at once cost a few transactions. A process that is told to end writes first; one
that is killed leaves no row of what it was sending. "Sent" means handed to the connection: whether somebody has read
it, nobody can know.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db import Error, IntegrityError, transaction
from django.utils import timezone

from chatapp.accounts.models import User
from conversations.models import Delivery, Generation
from conversations.threads import DatabaseThreads

logger = logging.getLogger(__name__)

MOST_ROWS = 50  # of one generation: beyond, connections are added to a row of the same viewer
MOST_WAITING = 10_000
BATCH = 500
RETRY_SECONDS = 1.0
SETTLE_SECONDS = 2.0
POLL_SECONDS = 0.01

_threads = DatabaseThreads("deliveries")
_open: set[int] = set()  # by identity: they have no key yet
_waiting: list[Delivery] = []
_task: asyncio.Task[None] | None = None


def begin(
    generation_id: uuid.UUID, viewer_id: int, from_character: int, kind: Delivery.Viewer = Delivery.Viewer.OWNER
) -> Delivery:
    """Return the delivery that begins now; `end` must follow. Its `to_character` is for the caller to keep."""
    now = timezone.now()
    delivery = Delivery(
        generation_id=generation_id,
        viewer_id=viewer_id,
        viewer_kind=kind,
        from_character=from_character,
        to_character=from_character,
        started_at=now,
        ended_at=now,
    )
    _open.add(id(delivery))
    return delivery


def end(delivery: Delivery, how: Delivery.End) -> None:
    """Note that a delivery has ended; returns at once. Within an event loop."""
    global _task  # noqa: PLW0603 - one task a process, or none
    _open.discard(id(delivery))
    delivery.end, delivery.ended_at = how, timezone.now()
    delivery.to_character = max(delivery.to_character, delivery.from_character)
    _waiting.append(delivery)
    if len(_waiting) > MOST_WAITING:
        logger.warning("The database is away for so long that deliveries are forgotten")
        del _waiting[:BATCH]
    loop = asyncio.get_running_loop()
    if _task is None or _task.done() or _task.get_loop() is not loop:
        _task = loop.create_task(_write(), context=contextvars.Context())


async def settle() -> None:
    """Wait until what has ended is written, for a moment at most; for the shutdown, when all streams are ending."""
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while _open or (_task is not None and not _task.done()):  # noqa: ASYNC110 - once, at the shutdown
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        logger.warning("Not all deliveries could be noted in time")
    await _threads.close()


async def _write() -> None:
    while _waiting:
        batch, _waiting[:BATCH] = _waiting[:BATCH], []
        try:
            await _threads.call(store, batch)
        except Error as error:
            logger.warning("Deliveries wait for the database: %s", error)
            _waiting[:0] = batch
            await asyncio.sleep(RETRY_SECONDS)


def store(rows: Sequence[Delivery]) -> None:
    """Write deliveries, those that go on where another ended as part of it. Blocks on the database."""
    try:
        with transaction.atomic():
            _store(rows)
    except IntegrityError as error:  # what one of them names was deleted a moment ago
        if len(rows) == 1:
            logger.info("What was sent of generation %s is not noted: %s", rows[0].generation_id, error)
            return
        for row in rows:
            store([row])


def _store(rows: Iterable[Delivery]) -> None:
    kept = _still_named(rows)
    known: dict[uuid.UUID, list[Delivery]] = defaultdict(list)
    for row in Delivery.objects.filter(generation__in={row.generation_id for row in kept}).order_by("pk"):
        known[row.generation_id].append(row)
    fresh, changed = [], {}
    for row in kept:
        before = _continued(row, known[row.generation_id])
        if before is None:
            fresh.append(row)
            known[row.generation_id].append(row)
        else:
            _extend(before, row)
            changed[id(before)] = before
    Delivery.objects.bulk_create(fresh)
    Delivery.objects.bulk_update(
        [row for row in changed.values() if row not in fresh],
        ["from_character", "to_character", "ended_at", "end", "connections"],
    )


def _still_named(rows: Iterable[Delivery]) -> list[Delivery]:
    generations = Generation.objects.only("pk").in_bulk({row.generation_id for row in rows})
    viewers = User.objects.only("pk").in_bulk({row.viewer_id for row in rows})
    return [row for row in rows if row.generation_id in generations and row.viewer_id in viewers]


def _continued(row: Delivery, known: list[Delivery]) -> Delivery | None:
    """Return the row that this one goes on with: its page was asked to connect anew, or there are very many rows."""
    same = [other for other in known if other.viewer_id == row.viewer_id]
    rotated = [other for other in same if other.end == Delivery.End.ROTATED and other.ended_at <= row.started_at]
    if rotated:
        return rotated[-1]
    return (same or known)[-1] if len(known) >= MOST_ROWS else None


def _extend(before: Delivery, row: Delivery) -> None:
    before.from_character = min(before.from_character, row.from_character)
    before.to_character = max(before.to_character, row.to_character)
    before.ended_at, before.end = row.ended_at, row.end
    before.connections += 1
