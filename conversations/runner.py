"""One generation from its claim to its terminal state, and the sweep of those whose writer is gone.

This is the only place that writes an answer. It knows no HTTP, no HTML and no Celery: who calls `run` decides where.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import uuid
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta

from django.db import DatabaseError, transaction
from django.utils import timezone

from conversations import audit
from conversations.context import deadlines, endpoint_of, request_for
from conversations.journal import Ending, Hint, Journal, end_generation
from conversations.live.bus import bus
from conversations.models import Delta, Generation, GenerationQuerySet
from conversations.providers import close_clients, open_provider
from conversations.providers.base import ChatRequest, Endpoint, Finished, ProviderError, ReasoningDelta, TextDelta
from conversations.threads import DatabaseThreads

logger = logging.getLogger(__name__)

QUEUED_SECONDS = 600  # after this a generation that nobody has claimed is given up

journal = Journal(publish=bus.publish)
_claims = DatabaseThreads("claims", 2)
_attempts: dict[uuid.UUID, Attempt] = {}

NO_MODEL = Ending(
    Generation.Status.FAILED,
    error_code="no_model",
    error_message="The model of this conversation is no longer available. Choose another one and retry.",
)
RESTARTED = Ending(
    Generation.Status.INTERRUPTED,
    error_code="restarted",
    error_message="The server was restarted while this answer was being written. What had arrived is kept.",
)
NEVER_STARTED = Ending(
    Generation.Status.FAILED,
    error_code="not_started",
    error_message="No process was free to answer in time. Retry in a moment.",
)
UNEXPECTED = Ending(
    Generation.Status.FAILED,
    error_code="internal",
    error_message="Something went wrong on our side. What had arrived is kept; retry, or tell who runs this server.",
)
BROKEN_OFF = Ending(
    Generation.Status.INTERRUPTED,
    error_code="cut",
    error_message="The answer broke off. What had arrived is kept: continue, or retry.",
)
STOPPED = Ending(Generation.Status.STOPPED)


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed generation with all that is needed to run it."""

    generation: Generation
    endpoint: Endpoint | None
    request: ChatRequest


def claim(generation_id: uuid.UUID) -> Job | None:
    """Take a queued generation; None when it is not to be had. Blocks on the database."""
    generation = Generation.claim(generation_id)
    if generation is None:
        return None
    model = generation.model
    endpoint = endpoint_of(model) if model is not None and model.enabled else None
    return Job(generation, endpoint, request_for(generation))


async def run(generation_id: uuid.UUID) -> None:
    """Run a generation if it can be claimed; a second call for the same one does nothing."""
    job = await _claims.call(claim, generation_id)
    if job is None:
        return
    attempt = _attempts[generation_id] = Attempt(job)
    try:
        await attempt.run()
    finally:
        _attempts.pop(generation_id, None)


async def interrupt_all() -> None:
    """End what runs in this process, keeping what has arrived: the process is about to end."""
    attempts = tuple(_attempts.values())
    for attempt in attempts:
        attempt.end(RESTARTED)
    await asyncio.gather(*(attempt.over.wait() for attempt in attempts))


async def close() -> None:
    """Close connections to providers, and the threads that write with theirs; all come back when they are needed."""
    await close_clients()
    journal.close()
    _claims.close()


class Attempt:
    """Reads a provider into the journal until it ends, is stopped, or is fenced off."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._ending: Ending | None = None
        self._fenced = False
        self._reading: asyncio.Task[Ending] | None = None
        self.over = asyncio.Event()
        self._lane = journal.open(job.generation, on_stop=self._stop, on_fenced=self._fence)

    async def run(self) -> None:
        """Run to the end; never raises what a provider did."""
        generation_id = self._job.generation.pk
        bus.listen(generation_id, self._hear)
        try:
            if self._job.generation.stop_requested_at is not None:
                self._ending = STOPPED
            ending = self._ending or await self._read()
            if not self._fenced:
                await journal.finish(self._lane, ending)
        finally:
            bus.leave(generation_id, self._hear)
            self.over.set()

    def end(self, ending: Ending) -> None:
        """Close the connection to the provider at once and end like this, unless it has ended already."""
        if self._ending is None:
            self._ending = ending
            if self._reading is not None:
                self._reading.cancel()

    def _stop(self) -> None:
        self.end(STOPPED)

    def _fence(self) -> None:
        self._fenced = True
        self.end(STOPPED)

    def _hear(self, hint: Hint) -> None:
        if hint.what == "stop":
            self._stop()

    async def _read(self) -> Ending:
        """Read the provider in a task of its own, which a stop can cancel without touching the commit of what came."""
        self._reading = asyncio.create_task(self._consume(), context=contextvars.Context())
        try:
            return await self._reading
        except asyncio.CancelledError:
            if self._ending is None:
                raise
            return self._ending
        except ProviderError as error:
            return _ending_of(error, written=self._lane.next_seq > 0)
        except Exception:
            logger.exception("Generation %s failed", self._job.generation.pk)
            return UNEXPECTED

    async def _consume(self) -> Ending:
        if self._job.endpoint is None:
            return NO_MODEL
        provider = open_provider(self._job.endpoint, deadlines())
        # Leaving the loop does not close a generator, and with it the connection to the provider: `aclosing` does.
        async with aclosing(provider.stream(self._job.request)) as events:
            async for event in events:
                match event:
                    case TextDelta(text):
                        journal.append(self._lane, Delta.Kind.TEXT, text)
                    case ReasoningDelta(text):
                        journal.append(self._lane, Delta.Kind.REASONING, text)
                    case Finished():
                        return _completed(event)
        return BROKEN_OFF


def _completed(finished: Finished) -> Ending:
    usage = finished.usage
    return Ending(
        Generation.Status.COMPLETED,
        finish_reason=finished.finish_reason,
        model_name=finished.model_name[:200],
        input_tokens=usage.input_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
    )


def _ending_of(error: ProviderError, *, written: bool) -> Ending:
    status = Generation.Status.INTERRUPTED if written else Generation.Status.FAILED
    return Ending(status, error_code=error.code, error_message=error.message[:500])


def sweep() -> list[uuid.UUID]:
    """End what is abandoned; return the generations that wait to be started. Blocks on the database."""
    now = timezone.now()
    too_old = now - timedelta(seconds=QUEUED_SECONDS)
    queued = Generation.objects.filter(status=Generation.Status.QUEUED)
    for pk in Generation.objects.abandoned(now).values_list("pk", flat=True):
        _give_up(pk, Generation.objects.abandoned(now).filter(pk=pk), RESTARTED)
    for pk in queued.filter(created_at__lt=too_old).values_list("pk", flat=True):
        _give_up(pk, queued.filter(pk=pk), NEVER_STARTED)
    return list(queued.filter(created_at__gte=too_old).values_list("pk", flat=True))


def _give_up(generation_id: uuid.UUID, running: GenerationQuerySet, ending: Ending) -> None:
    with transaction.atomic():
        if end_generation(running, generation_id, ending):
            audit.record(None, f"generation.{ending.status}", generation_id=generation_id, reason=ending.error_code)
            logger.warning("Generation %s was given up: %s", generation_id, ending.error_code)


async def sweep_once() -> list[uuid.UUID]:
    """Sweep without blocking the loop; a database that is away is tried again by the next sweep."""
    try:
        return await _claims.call(sweep)
    except DatabaseError as error:
        logger.warning("The sweep could not reach the database: %s", error)
        return []
