"""Starts generations where `GENERATION_BACKEND` says: as asyncio tasks of this process, or through Celery.

A view runs in a thread and never waits for a broker: a thread of its own sends, and a generation whose message gets
lost stays `queued` in the database, where the upkeep of a worker finds it.
"""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from celery import Task
from django.conf import settings
from kombu.exceptions import OperationalError

from conversations import tasks
from conversations.asking import titles
from conversations.journal import SESSIONS, Hint
from conversations.measuring import tracing
from conversations.process import duties, engine, jobs
from conversations.process.engine import NotServing

__all__ = ["NotServing", "attach", "detach", "hint_ended", "hint_stop", "start"]

logger = logging.getLogger(__name__)

MOST_UNSENT = 1_000  # when the broker hangs; what is beyond is found in the database

_sender = ThreadPoolExecutor(1, thread_name_prefix="broker")
_unsent: set[Future[None]] = set()


def attach(*, upkeep: engine.Upkeep, follow_up: engine.FollowUp) -> None:
    """Make the running event loop the one that serves this process; harmless when it is already.

    `upkeep` is called now and then, `follow_up` with each generation that was run here, beside what is needed anyway.
    """
    own = engine.end_overdue if _by_workers() else engine.run_left

    async def both() -> None:
        await duties.each(own, upkeep)

    engine.attach(both, follow_up, titles.suggest)


async def detach() -> None:
    """Hand back what this process runs, keeping what has arrived; for the shutdown."""
    await engine.detach()
    forget_unsent()


def forget_unsent() -> None:
    """Leave what the broker has not taken by now to the upkeep of workers: else Python would send it all at the end."""
    for sending in tuple(_unsent):
        sending.cancel()


def can_start() -> bool:
    """Whether what is started here would be run."""
    return engine.is_serving()


def start(generation_id: uuid.UUID) -> None:
    """Start a generation, from a thread; what this process cannot start any more stays queued for the next."""
    if not engine.is_serving():
        return
    if not _by_workers():
        engine.start(generation_id)
    else:
        _send_soon(tasks.generate, generation_id, tracing.taken(generation_id))


def start_job(job_id: uuid.UUID) -> None:
    """Have slow work done, from a thread; what is not begun now stays queued for the upkeep of some process."""
    if not engine.is_serving():
        return
    if not _by_workers():
        jobs.submit(job_id)
    else:
        _send_soon(tasks.run_job, job_id)


def hint_stop(generation_ids: Iterable[uuid.UUID]) -> None:
    """Tell writers at once what the database already says: a stop was asked for. From a thread."""
    engine.tell([Hint(pk, "stop") for pk in generation_ids])


def hint_ended(generation_ids: Iterable[uuid.UUID]) -> None:
    """Tell viewers that these have ended without a writer. From a thread."""
    engine.tell([Hint(pk, "ended") for pk in generation_ids])


def hint_revoked() -> None:
    """Tell all processes that sessions may have ended. From a thread; where nobody serves they see it by themselves."""
    with contextlib.suppress(NotServing):
        engine.tell([Hint(SESSIONS, "revoked")])


def _by_workers() -> bool:
    return bool(settings.GENERATION_BACKEND == "celery")


def _send_soon(task: Task[..., None], *arguments: Any) -> None:
    if len(_unsent) < MOST_UNSENT:
        sending = _sender.submit(_send, task, *arguments)
        _unsent.add(sending)
        sending.add_done_callback(_unsent.discard)


def _send(task: Task[..., None], generation_id: uuid.UUID, *more: str) -> None:
    try:
        task.apply_async([str(generation_id), *filter(None, more)], retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("The broker cannot be reached; a worker will find what is queued by itself: %s", error)
