"""The part of a process that lives in its event loop: running generations, and the upkeep that happens on a timer.

A web process attaches the loop that serves it, a worker a loop in a thread of its own (see `worker`). Nothing is lost
when a process dies between commit and start: the generation stays `queued`, or its lease runs out, and the upkeep of
some process runs it. It knows no HTTP and no Celery.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.conf import settings

from conversations import limits, runner
from conversations.audit import chain
from conversations.files import storage
from conversations.generating import claims
from conversations.journal import ANY, Hint
from conversations.keeping import purge, retention, sessions
from conversations.live import deliveries
from conversations.live.bus import bus, publish_from_thread
from conversations.measuring import figures, lag
from conversations.process import duties, jobs
from conversations.process.alone import first_alone
from conversations.reading import rendered
from conversations.threads import writer

logger = logging.getLogger(__name__)

UPKEEP_SECONDS = 2.0
DRAIN_SECONDS = 3.0  # for what is left of the text to become durable; a database that is away does not hold us up

FollowUp = Callable[[uuid.UUID], Awaitable[None]]
Upkeep = Callable[[], Awaitable[None]]


class NotServing(RuntimeError):
    """No event loop serves this process: it is not an ASGI server."""


@dataclass(slots=True, eq=False)
class Engine:
    """What is attached to one event loop."""

    loop: asyncio.AbstractEventLoop
    follow_ups: tuple[FollowUp, ...]
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(settings.WORKER_GENERATIONS))
    tasks: set[asyncio.Task[None]] = field(default_factory=set)  # asyncio itself keeps only weak references
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    wake: asyncio.Event = field(default_factory=asyncio.Event)


_engine: Engine | None = None
_ended_loop: asyncio.AbstractEventLoop | None = None  # of a process that is about to end


def attach(upkeep: Upkeep, *follow_ups: FollowUp) -> None:
    """Make the running event loop the one of this process; harmless when it is already, or was and is about to end.

    `upkeep` is called now and then; `follow_ups`, in this order, with each generation that was run here.
    """
    global _engine  # noqa: PLW0603 - one event loop a process is what this is about
    loop = asyncio.get_running_loop()
    if loop is _ended_loop:  # requests of connections that are kept alive still come while the process ends
        return
    if _engine is None or _engine.loop is not loop:
        _engine = Engine(loop, follow_ups)
        jobs.open_up()
        bus.listen(ANY, _hear)
        _spawn(_engine, lag.watch())
        _spawn(_engine, _keep_up(_engine, upkeep))


async def detach() -> None:
    """Hand back what this process runs, keeping what has arrived: for the shutdown; its loop is not attached again."""
    global _engine, _ended_loop
    engine, _engine, _ended_loop = _engine, None, asyncio.get_running_loop()
    if engine is None:
        return
    jobs.drain()
    bus.leave(ANY, _hear)
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            if await runner.hand_back_all():
                bus.publish([Hint(ANY, "waiting")])
    except TimeoutError:
        logger.warning("The database did not take the last text in time; leases will run out instead")
    await deliveries.settle()
    for task in tuple(engine.tasks):
        task.cancel()
    await asyncio.gather(*engine.tasks, return_exceptions=True)
    await bus.close()
    await runner.close()


def is_serving() -> bool:
    """Whether an event loop serves this process, and if it is about to end, others will find what is queued."""
    return _engine is not None or (_ended_loop is not None and not _ended_loop.is_closed())


def attached() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of this process; None when the process is about to end. Raises `NotServing`."""
    if _engine is not None:
        return _engine.loop
    if is_serving():
        return None
    raise NotServing("Stillwater must be served by an ASGI server: `make run`, daphne or uvicorn.")


async def ready() -> None:
    """Wait until the upkeep has run once: what a process that died has left is known by then."""
    if _engine is not None:
        await _engine.ready.wait()


def start(generation_id: uuid.UUID) -> None:
    """Run a generation here, from a thread, as soon as there is a slot. Raises `NotServing`.

    A process that is about to end leaves it `queued`, for another one or its next start.
    """
    if (loop := attached()) is not None:
        loop.call_soon_threadsafe(_run_soon, generation_id)


async def admit(generation_id: uuid.UUID) -> bool:
    """Run a generation here; return when it has a slot. False when this process is about to end."""
    engine = _engine
    if engine is None:
        return False
    await engine.slots.acquire()
    if _engine is not engine:
        return False
    _spawn(engine, _generate(engine, generation_id))
    return True


def tell(hints: Iterable[Hint]) -> None:
    """Publish hints from a thread. Raises `NotServing`."""
    if (loop := attached()) is not None:
        publish_from_thread(loop, hints)


async def run_waiting(seconds: float = 0) -> None:
    """Run what has waited for `seconds`, or what somebody else has let go, as far as there are free slots."""
    engine = _engine
    if engine is None:
        return
    free = settings.WORKER_GENERATIONS - runner.running()
    for generation_id in await runner.database.call(claims.claimable, seconds, max(0, free), runner.held()):
        if not engine.slots.locked():
            await admit(generation_id)


async def run_left() -> None:
    """Upkeep of a process that runs its own generations: also what the process before it has left."""
    await duties.each(
        _release_left,
        partial(runner.database.call, claims.end_unclaimed),
        run_waiting,
        partial(runner.database.call, storage.forget_now_and_then),
        take_jobs,
        partial(writer.call, retention.delete_now_and_then),
        partial(writer.call, purge.tidy_now_and_then),
        partial(writer.call, sessions.clear_now_and_then),
        partial(writer.call, figures.roll_up_now_and_then),
    )


async def _release_left() -> None:
    if first_alone():
        await duties.each(
            partial(runner.database.call, claims.release_all), partial(runner.database.call, jobs.release_all)
        )


async def take_jobs() -> None:
    """Work, in threads, on jobs that nobody works on."""
    for job_id in await runner.database.call(jobs.claimable):
        jobs.submit(job_id)


async def end_overdue() -> None:
    """Upkeep of a process that runs none: end what no worker took."""
    await duties.each(
        partial(runner.database.call, claims.end_unclaimed),
        partial(runner.database.call, claims.end_abandoned, runner.held()),
        partial(runner.database.call, storage.forget_now_and_then),
    )


def _hear(hint: Hint) -> None:
    if hint.what == "waiting" and _engine is not None:
        _engine.wake.set()


def _run_soon(generation_id: uuid.UUID) -> None:
    if _engine is not None:
        _spawn(_engine, _admit_later(_engine, generation_id))


async def _admit_later(engine: Engine, generation_id: uuid.UUID) -> None:
    await engine.ready.wait()
    await admit(generation_id)


def _spawn(engine: Engine, work: Coroutine[Any, Any, None]) -> None:
    # An empty context: a task started within a request would keep the request's database connection.
    task = engine.loop.create_task(work, context=contextvars.Context())
    engine.tasks.add(task)
    task.add_done_callback(engine.tasks.discard)


async def _generate(engine: Engine, generation_id: uuid.UUID) -> None:
    try:
        try:
            ran = await runner.run(generation_id)
        finally:
            engine.slots.release()
        if ran:
            await runner.database.call(limits.settle, generation_id)
            await rendered.keep(generation_id)
            for follow_up in engine.follow_ups:
                await follow_up(generation_id)
    except Exception:
        logger.exception("Generation %s could not be run; its lease will run out", generation_id)


async def _keep_up(engine: Engine, upkeep: Upkeep) -> None:
    while True:
        try:
            await duties.each(
                upkeep, partial(runner.database.call, limits.settle_left), partial(writer.call, chain.seal_all)
            )
        except duties.AWAY as error:
            logger.warning("The upkeep of this process waits for the database: %s", error)
        engine.ready.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(engine.wake.wait(), UPKEEP_SECONDS)
        engine.wake.clear()
