"""One generation from its claim to its terminal state, also when its first writer is gone.

This is the only place that writes an answer. It knows no HTTP, no HTML and no Celery: who calls `run` decides where.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import uuid
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from chatapp.logs import about
from conversations.asking import breakers, routes
from conversations.generating.claims import Claim, claim, plan_shorter
from conversations.generating.costs import cost_of
from conversations.generating.endings import BROKEN_OFF, HANDED_BACK, NO_MODEL, STOPPED, UNEXPECTED, broken, completed
from conversations.journal import Ending, Hint, Journal
from conversations.live.bus import bus
from conversations.measuring import tracing
from conversations.metrics import Stopwatch
from conversations.models import Delta, Generation
from conversations.providers import close_clients
from conversations.providers.base import Finished, Notice, ProviderError, ReasoningDelta, TextDelta
from conversations.providers.tokens import BYTES_A_TOKEN
from conversations.safety import moderation
from conversations.safety.screening import Blocked, Screen, open_screen
from conversations.threads import DatabaseThreads

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.01

journal = Journal(publish=bus.publish)
database = DatabaseThreads("claims", 2)
_attempts: dict[uuid.UUID, Attempt] = {}
_claiming: list[uuid.UUID] = []


async def run(generation_id: uuid.UUID) -> bool:
    """Run a generation if it can be claimed; a second call for the same one does nothing and returns False."""
    _claiming.append(generation_id)
    try:
        claimed = await database.call(claim, generation_id)
        if claimed is None:
            return False
        attempt = _attempts[generation_id] = Attempt(claimed)
    finally:
        _claiming.remove(generation_id)
    try:
        conversation_id, parent = claimed.generation.message.conversation_id, tracing.taken(generation_id)
        with (
            about(generation_id=generation_id, conversation_id=conversation_id),
            tracing.span("generation", parent=parent, stillwater__generation_id=str(generation_id)) as span,
        ):
            await attempt.run()
            attempt.tell(span)
    finally:
        if _attempts.get(generation_id) is attempt:
            del _attempts[generation_id]
    return True


def running() -> int:
    """Return how many generations this process writes."""
    return len(_attempts)


def held() -> tuple[uuid.UUID, ...]:
    """Return which generations this process writes. Safe to call from any thread."""
    return tuple(_attempts)


async def hand_back_all() -> int:
    """Let go of what runs in this process, keeping what has arrived; return how many there were."""
    handed_back: set[uuid.UUID] = set()
    while _attempts or _claiming:  # what is being claimed becomes an attempt, or nothing
        for generation_id, attempt in _attempts.items():
            attempt.end(HANDED_BACK)
            handed_back.add(generation_id)
        await asyncio.sleep(POLL_SECONDS)
    return len(handed_back)


async def close() -> None:
    """Close connections to providers, and the threads that write with theirs; all come back when they are needed."""
    await moderation.close()
    await close_clients()
    await asyncio.gather(journal.close(), database.close(), breakers.database.close())


class Attempt:
    """Reads a provider into the journal until it ends, is stopped, or is fenced off."""

    def __init__(self, claimed: Claim) -> None:
        self._claim = claimed
        self._ending: Ending | None = None
        self._fenced = False
        self._plan = claimed.plan
        self._written_bytes = 0
        self._reading: asyncio.Task[Ending] | None = None
        self._stopwatch = Stopwatch(claimed.generation, fresh=claimed.next_seq == 0)
        self._screen: Screen | None = None
        self._lane = journal.open(
            claimed.generation,
            next_seq=claimed.next_seq,
            elapsed_ms=claimed.elapsed_ms,
            on_stop=self._stop,
            on_fenced=self._fence,
        )

    async def run(self) -> None:
        """Run to the end; never raises what a provider did."""
        generation_id = self._claim.generation.pk
        bus.listen(generation_id, self._hear)
        try:
            self._ending = self._ending or self._claim.ending
            ending = self._ending = self._ending or await self._read()
            if ending is HANDED_BACK:
                await journal.hand_back(self._lane)
            elif not self._fenced:
                await self._finish(self._accounted(ending))
        finally:
            journal.leave(self._lane)  # without an end its lease runs out, and somebody else goes on
            bus.leave(generation_id, self._hear)

    def tell(self, span: Any) -> None:
        """Note in a span how it ended."""
        ending = self._ending or HANDED_BACK
        tracing.note(
            span,
            stillwater__status=ending.status,
            stillwater__epoch=self._claim.generation.epoch,
            error__type=ending.error_code,
        )

    async def _finish(self, ending: Ending) -> None:
        if await journal.finish(self._lane, ending):
            self._stopwatch.ended(ending.status, ending.error_code, ending.input_tokens, ending.output_tokens)

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
        self._reading = asyncio.create_task(self._ask(), context=contextvars.copy_context())
        try:
            return await self._reading
        except asyncio.CancelledError:
            if self._ending is None and _is_cancelled():
                raise
            return self._ending or BROKEN_OFF
        except Blocked as blocked:
            return blocked.ending
        except ProviderError as error:
            logger.warning("Generation %s: %s %s", self._claim.generation.pk, error.code, error.detail)
            return broken(error, written=self._lane.next_seq > 0)
        except Exception:
            logger.exception("Generation %s failed", self._claim.generation.pk)
            return UNEXPECTED
        finally:
            if self._screen is not None:  # what no service has judged by now does not reach the last write
                self._screen.abandon()

    async def _ask(self) -> Ending:
        """Ask for the answer, and once more with less before it when a service says that it is too much."""
        if self._claim.endpoint is None:
            return NO_MODEL
        if self._lane.next_seq == 0 and (refused := await moderation.refusal(self._claim.generation)) is not None:
            return refused
        try:
            return await self._stream()
        except ProviderError as refusal:
            if refusal.code != "context_too_long" or self._lane.next_seq > 0:
                raise
            shorter = await database.call(plan_shorter, self._claim, refusal)
            if shorter is None:
                raise
        logger.info("Generation %s is asked for again with less before it", self._claim.generation.pk)
        self._plan = shorter
        return await self._stream()

    async def _stream(self) -> Ending:
        with tracing.span("chat", gen_ai__operation__name="chat") as span:
            try:
                return await self._take_events()
            except ProviderError:
                await self._let_go()
                raise
            finally:
                model = self._claim.generation.model  # which may be a fallback by now
                tracing.note(span, gen_ai__request__model=model.model_name if model is not None else "")

    async def _take_events(self) -> Ending:
        fresh = self._claim.next_seq == 0
        # Leaving the loop does not close a generator, and with it the connection to the provider: `aclosing` does.
        asked = routes.ask(self._claim.generation, self._plan.request, fresh=fresh, may_have=moderation.may_have)
        async with aclosing(asked) as events:
            async for event in events:
                match event:
                    case TextDelta(text):
                        await self._take(Delta.Kind.TEXT, text)
                    case ReasoningDelta(text):
                        await self._take(Delta.Kind.REASONING, text)
                    case Notice(text):
                        logger.info("Generation %s waits: %s", self._claim.generation.pk, text)
                    case Finished():
                        await self._settle(event)
                        return completed(event)
        await self._let_go()
        return BROKEN_OFF

    async def _take(self, kind: str, text: str) -> None:
        """Pass a delta on to the journal, through the filters."""
        self._written_bytes += len(text.encode("utf-8", "replace"))
        self._stopwatch.delta()
        if self._screen is None:  # now it is known which model answers
            partial = self._plan.request.partial
            self._screen = await open_screen(self._claim.generation, partial, self._append, self.end)
        await self._screen.take(kind, text)

    async def _settle(self, finished: Finished) -> None:
        """Decide what the filters hold back; at a limit of length it is dropped, for Continue has it written again."""
        if finished.finish_reason == "length":
            await self._let_go()
        elif self._screen is not None:
            await self._screen.finish()

    async def _let_go(self) -> None:
        """Write what the services let pass; what the filters hold back is dropped."""
        if self._screen is not None:
            await self._screen.settle()

    def _append(self, kind: str, text: str, redactions: tuple[tuple[int, str], ...]) -> None:
        journal.append(self._lane, kind, text, redactions)

    def _accounted(self, ending: Ending) -> Ending:
        """Add usage and cost to an end; what the provider did not count is estimated, if there was an answer at all.

        What writers before this one have used is part of it: they were asked, and their text is in the answer.
        """
        spent = self._claim.spent
        was_asked = self._written_bytes or ending.status == Generation.Status.COMPLETED
        is_counted = ending.input_tokens is not None and ending.output_tokens is not None
        if not (is_counted or was_asked or spent.output_tokens):
            return ending
        input_tokens, output_tokens = ending.input_tokens or 0, ending.output_tokens or 0
        if was_asked and not is_counted:
            input_tokens, output_tokens = self._plan.input_tokens, math.ceil(self._written_bytes / BYTES_A_TOKEN)
        input_tokens, output_tokens = input_tokens + spent.input_tokens, output_tokens + spent.output_tokens
        model = self._claim.generation.model
        prices = (model.input_price, model.output_price) if model is not None else (None, None)
        return replace(
            ending,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            usage_estimated=ending.usage_estimated or not is_counted or spent.output_tokens > 0,
            cost=cost_of(input_tokens, output_tokens, *prices),
        )


def _is_cancelled() -> bool:
    """Whether it is this task that was cancelled, and not one it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
