"""Who may write a generation: claims, takeovers, and the end of what nobody claims.

Whoever claims a generation decides what becomes of it. When another writer had begun, and nothing of it was visible,
the answer starts again; when the model can go on from its own words, it goes on behind the last durable character;
else it is `interrupted`, and the user may continue it. Everything here blocks on the database.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from conversations import audit, metrics
from conversations.asking.context import Plan, endpoint_of, plan_for
from conversations.generating.endings import (
    NEVER_STARTED,
    RESTARTED,
    RESTARTED_TOO_OFTEN,
    STOPPED,
    TOO_LONG,
    UNEXPECTED,
)
from conversations.journal import Ending, end_generation
from conversations.models import Delta, Generation, GenerationQuerySet
from conversations.providers.base import ChatRequest, Endpoint, ProviderError
from conversations.providers.tokens import estimate

logger = logging.getLogger(__name__)

ABANDONED_SECONDS = 60  # after this a generation that nobody has taken over is given up
MOST_TAKEOVERS = 2  # of an answer that is partly visible: each costs the reading of the conversation again
MOST_RESTARTS = 5  # of one of which nothing was visible yet
NOTHING = Plan(ChatRequest((), {}, ""), input_tokens=0, omitted=0, fits=True)


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens that were used, as estimated: whoever used them did not live to tell what the provider counted."""

    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed generation with all that is needed to run it, or `ending` when there is nothing left to run.

    `next_seq` and `elapsed_ms` are where the journal goes on. `spent` is what earlier writers have used, about.
    """

    generation: Generation
    endpoint: Endpoint | None
    plan: Plan
    ending: Ending | None
    next_seq: int
    elapsed_ms: int
    spent: Spent


def claim(generation_id: uuid.UUID) -> Claim | None:
    """Take a queued or abandoned generation; None when it is not to be had. Blocks on the database."""
    generation = Generation.claim(generation_id)
    if generation is None:
        return None
    if generation.takeovers:
        metrics.takeovers.inc()
        logger.info("Generation %s was begun elsewhere; taken over with epoch %d", generation_id, generation.epoch)
        audit.record(None, "generation.takeover", generation_id=generation_id, epoch=generation.epoch)
    model = generation.model
    endpoint = endpoint_of(model) if model is not None and model.enabled else None
    deltas = list(Delta.objects.filter(generation=generation).order_by("seq"))
    written = "".join(delta.text for delta in deltas if delta.kind == Delta.Kind.TEXT)
    ending = _no_way_on(generation, endpoint, deltas, written)
    plan, trouble = _planned(generation, written)
    return Claim(
        generation,
        endpoint,
        plan,
        ending or trouble,
        next_seq=deltas[-1].seq + 1 if deltas else 0,
        elapsed_ms=_elapsed_ms(generation, deltas),
        spent=_spent(generation, plan, deltas, written),
    )


def _planned(generation: Generation, written: str) -> tuple[Plan, Ending | None]:
    """Return what is to be asked for, and why it cannot be: a claim that raised would be made for ever."""
    try:
        plan = plan_for(generation, written)
        _note_omitted(generation, plan)
    except DatabaseError:  # it comes back, and the lease runs out
        raise
    except Exception:
        logger.exception("Generation %s cannot be asked for", generation.pk)
        return NOTHING, UNEXPECTED
    return plan, None if plan.fits else TOO_LONG


def _spent(generation: Generation, plan: Plan, deltas: list[Delta], written: str) -> Spent:
    """Return what the writers before this one have used: each was asked the question, and together they wrote this."""
    if not deltas:
        return Spent()
    question = max(0, plan.input_tokens - estimate(written))
    return Spent(generation.takeovers * question, estimate("".join(delta.text for delta in deltas)))


def _note_omitted(generation: Generation, plan: Plan) -> None:
    if plan.omitted != generation.omitted_messages:
        Generation.objects.filter(pk=generation.pk, epoch=generation.epoch).update(omitted_messages=plan.omitted)


def plan_shorter(claimed: Claim, refusal: ProviderError) -> Plan | None:
    """Return a plan for a window smaller than it was thought to be; None when nothing can be left out any more.

    Blocks on the database.
    """
    window = refusal.window_tokens or claimed.plan.input_tokens // 2
    plan = plan_for(claimed.generation, window=window)
    if plan.omitted <= claimed.plan.omitted or not plan.fits:
        return None
    _note_omitted(claimed.generation, plan)
    return plan


def _no_way_on(generation: Generation, endpoint: Endpoint | None, deltas: list[Delta], written: str) -> Ending | None:
    """Return how a generation ends that another writer has begun and nobody can go on with."""
    if generation.stop_requested_at is not None:
        return STOPPED
    if not deltas:
        return RESTARTED_TOO_OFTEN if generation.takeovers > MOST_RESTARTS else None
    can_go_on = endpoint is not None and endpoint.prefill and written
    return None if can_go_on and generation.takeovers <= MOST_TAKEOVERS else RESTARTED


def _elapsed_ms(generation: Generation, deltas: list[Delta]) -> int:
    """Return the time since the first writer began, never before its last delta: clocks of machines differ."""
    if generation.started_at is None or not generation.takeovers:
        return 0
    elapsed = round((timezone.now() - generation.started_at).total_seconds() * 1000)
    return max(0, elapsed, deltas[-1].at_ms if deltas else 0)


def end_unclaimed() -> None:
    """End what nobody has claimed within `QUEUED_SECONDS`. Blocks on the database."""
    queued = Generation.objects.waiting(settings.QUEUED_SECONDS)
    for pk in queued.values_list("pk", flat=True):
        _give_up(pk, queued.filter(pk=pk), NEVER_STARTED)


def end_abandoned(held: Collection[uuid.UUID] = ()) -> None:
    """End what nobody has taken over within `ABANDONED_SECONDS`, but not what is `held`. Blocks on the database."""
    abandoned = Generation.objects.abandoned(ABANDONED_SECONDS)
    for pk in abandoned.exclude(pk__in=held).values_list("pk", flat=True):
        _give_up(pk, abandoned.filter(pk=pk), RESTARTED)


def claimable(seconds: float, limit: int, held: Collection[uuid.UUID] = ()) -> list[uuid.UUID]:
    """Return, oldest first, what can be taken over and what has been queued for `seconds`. Blocks on the database.

    What is `held`, that is written by this process, is left out even if its lease has run out.
    """
    abandoned = Generation.objects.abandoned().exclude(pk__in=held).order_by("pk")
    found = list(abandoned.values_list("pk", flat=True)[:limit])
    waiting = Generation.objects.waiting(seconds).order_by("pk")
    return found + list(waiting.values_list("pk", flat=True)[: limit - len(found)])


def release_all() -> None:
    """Let go of what processes that are no more have left. Blocks on the database."""
    if released := Generation.objects.release():
        logger.info("Generations that the process before this one was writing: %d", released)


def _give_up(generation_id: uuid.UUID, running: GenerationQuerySet, ending: Ending) -> None:
    with transaction.atomic():
        if end_generation(running, generation_id, ending):
            audit.record(None, f"generation.{ending.status}", generation_id=generation_id, reason=ending.error_code)
            logger.warning("Generation %s was given up: %s", generation_id, ending.error_code)
            generation = Generation.objects.select_related("model").defer("output", "timeline").get(pk=generation_id)
            metrics.count_end(generation, ending.status, ending.error_code)
