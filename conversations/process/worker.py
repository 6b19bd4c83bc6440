"""A worker process: one event loop, in a thread of its own, carries all generations that the process runs.

Celery's threads only hand generations over: `run` returns as soon as there is a slot, so that tasks wait in the broker,
for whichever worker has room, and not here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError

from conversations import runner
from conversations.models import Worker
from conversations.process import duties, engine
from conversations.process.exiting import exit_soon
from conversations.threads import DatabaseThreads

logger = logging.getLogger(__name__)

NAME = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
WAIT_SECONDS = 60.0  # a task that has waited so long for a slot leaves its generation to the upkeep
REPORT_SECONDS = 5.0
ALIVE: Path = settings.DATA_DIR / "worker.alive"  # touched with each report, for probes of a container

_loop: asyncio.AbstractEventLoop | None = None
_drained = threading.Event()
_reports = DatabaseThreads("reports")
_reported = 0.0


def start(*follow_ups: engine.FollowUp) -> None:
    """Start the event loop of this worker; `follow_ups` are called after each generation."""
    global _loop  # noqa: PLW0603 - one loop a process
    _loop = asyncio.new_event_loop()
    threading.Thread(target=_loop.run_forever, name="generations", daemon=True).start()

    async def attach() -> None:
        engine.attach(_upkeep, *follow_ups)

    asyncio.run_coroutine_threadsafe(attach(), _loop).result()


def run(generation_id: uuid.UUID) -> None:
    """Run a generation in the loop; return when it has a slot."""
    try:
        _wait(engine.admit(generation_id), WAIT_SECONDS)
    except TimeoutError:
        logger.info("No slot for generation %s in time; the upkeep of a worker will run it", generation_id)


def begin_drain() -> None:
    """Take no more, and hand back what runs; safe to call in a signal handler."""
    if _loop is not None:
        _loop.call_soon_threadsafe(lambda: asyncio.ensure_future(_drain()))


def end_drain(seconds: float) -> None:
    """Wait until what ran has been handed back."""
    if _loop is not None and not _drained.wait(seconds):
        logger.warning("This worker ends without having handed everything back; leases will run out")


def _wait(work: Coroutine[Any, Any, Any], seconds: float) -> None:
    if _loop is None:
        raise RuntimeError("This is not a worker: start one with `celery -A chatapp worker`.")
    future = asyncio.run_coroutine_threadsafe(work, _loop)
    until = time.monotonic() + seconds
    while not future.done():
        if _drained.is_set() or time.monotonic() > until:
            future.cancel()
            raise TimeoutError
        try:
            future.exception(timeout=0.5)
        except TimeoutError:
            continue
    future.result()


async def _drain() -> None:
    exit_soon()
    await engine.detach()
    try:
        await _reports.call(Worker.objects.filter(pk=NAME).delete)
    except DatabaseError as error:
        logger.warning("The database could not be told that this worker ends: %s", error)
    _drained.set()


def _report(running: int) -> None:
    ALIVE.parent.mkdir(parents=True, exist_ok=True)
    ALIVE.touch()
    Worker.report(NAME, running=running, capacity=settings.WORKER_GENERATIONS)


async def _upkeep() -> None:
    global _reported  # noqa: PLW0603 - one report a process
    if time.monotonic() - _reported > REPORT_SECONDS:
        _reported = time.monotonic()
        try:
            await _reports.call(_report, runner.running())
        except (DatabaseError, OSError) as error:
            logger.warning("This worker could not report that it lives: %s", error)
    await duties.each(partial(engine.run_waiting, engine.UPKEEP_SECONDS), engine.take_jobs)
