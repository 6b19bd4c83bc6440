"""Starts generations: as asyncio tasks of this process. Also the process's own upkeep: the sweep and the shutdown.

A view runs in a thread; the generation must run in the event loop that serves the process, which `attach` makes known.
Nothing is lost when a process dies between commit and start: the generation stays `queued` and a sweep starts it.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import uuid
from collections.abc import Coroutine, Iterable
from typing import Any

from conversations import runner, titles
from conversations.journal import Hint
from conversations.live.bus import publish_from_thread

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 2.0

_loop: asyncio.AbstractEventLoop | None = None
_tasks: set[asyncio.Task[None]] = set()  # asyncio itself keeps only weak references


class NotServing(RuntimeError):
    """No event loop serves this process: it is not an ASGI server."""


def attach() -> None:
    """Make the running event loop the one that runs generations; harmless when it is already."""
    global _loop  # noqa: PLW0603 - one event loop a process is what this is about
    loop = asyncio.get_running_loop()
    if _loop is not loop:
        _loop = loop
        _spawn(_sweep_for_ever())


async def detach() -> None:
    """End what this process runs, keeping what has arrived; for the shutdown."""
    global _loop  # noqa: PLW0603 - see attach
    _loop = None
    await runner.interrupt_all()
    for task in tuple(_tasks):
        task.cancel()
    await asyncio.gather(*_tasks, return_exceptions=True)
    await runner.close()


def start(generation_id: uuid.UUID) -> None:
    """Start a generation, from a thread. Raises `NotServing` outside an ASGI server, where it would never run."""
    _served().call_soon_threadsafe(_spawn, _generate(generation_id))


def hint_stop(generation_ids: Iterable[uuid.UUID]) -> None:
    """Tell writers at once what the database already says: a stop was asked for. From a thread."""
    publish_from_thread(_served(), [Hint(pk, "stop") for pk in generation_ids])


def hint_ended(generation_ids: Iterable[uuid.UUID]) -> None:
    """Tell viewers that these have ended without a writer. From a thread."""
    publish_from_thread(_served(), [Hint(pk, "ended") for pk in generation_ids])


def _served() -> asyncio.AbstractEventLoop:
    if _loop is None:
        raise NotServing("Stillwater must be served by an ASGI server: `make run`, daphne or uvicorn.")
    return _loop


def _spawn(work: Coroutine[Any, Any, None]) -> None:
    # An empty context: a task started within a request would keep the request's database connection.
    task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _generate(generation_id: uuid.UUID) -> None:
    try:
        await runner.run(generation_id)
        await titles.suggest(generation_id)
    except Exception:
        logger.exception("Generation %s could not be run; the sweep will end it", generation_id)


async def _sweep_for_ever() -> None:
    while True:
        for generation_id in await runner.sweep_once():
            _spawn(_generate(generation_id))
        await asyncio.sleep(SWEEP_SECONDS)
