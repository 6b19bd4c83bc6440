"""Whom to ask for an answer: the model that was chosen, or, while nothing of the answer is visible, its fallbacks.

A model is passed over when an admin has put it out of service, when the breaker of its service is open, and when its
service fails before the first word; a fallback also when a rule does not let it have the question. Which model has
answered is in `Generation.model`, which one should have in `Generation.instead_of`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from conversations.asking.breakers import TRIPPING, Permit, admit, database, give_back, watched
from conversations.asking.context import deadlines, endpoint_of, request_for
from conversations.models import ChatModel, Generation
from conversations.providers import open_provider
from conversations.providers.base import ChatRequest, Event, Notice, ProviderError
from conversations.providers.errors import failure

logger = logging.getLogger(__name__)

Judge = Callable[[Generation, ChatModel], Awaitable[bool]]

MOST_FALLBACKS = 3
FALLS_BACK = TRIPPING | {"rate_limited", "out_of_credit"}  # what another service may do better


def chain(model: ChatModel) -> list[ChatModel]:
    """Return who may answer, in order: without those that are switched off or out of service. Blocks."""
    found = [model]
    while found[-1].fallback_id is not None and len(found) <= MOST_FALLBACKS:
        following = found[-1].fallback
        if following is None or following in found:
            break
        found.append(following)
    return [one for one in found if one.enabled and not one.out_of_service_message]


def route_of(model: ChatModel) -> ChatModel | None:
    """Return the first model that may answer for `model`; None when nobody may. Blocks on the database."""
    return next(iter(chain(model)), None)


def _choose(model: ChatModel, tried: list[ChatModel], *, fresh: bool) -> tuple[ChatModel, Permit] | None:
    """Return the next model to ask, with the leave of its breaker. Blocks on the database."""
    candidates = [one for one in chain(model) if one not in tried and (fresh or one == model)]
    for candidate in candidates:
        tried.append(candidate)
        permit = admit(candidate.base_url)
        if permit is not Permit.REFUSED:
            return candidate, permit
        logger.info("The service of %s is not asked: its breaker is open", candidate)
    return None


def _hand_over(generation: Generation, model: ChatModel) -> ChatRequest:
    """Note that another model answers; return what it is asked for. Blocks on the database."""
    instead_of = generation.instead_of or generation.model
    rows = Generation.objects.filter(pk=generation.pk, epoch=generation.epoch)
    rows.update(model=model, instead_of=instead_of)
    generation.model, generation.instead_of = model, instead_of
    return request_for(generation)


async def ask(
    generation: Generation, request: ChatRequest, *, fresh: bool, may_have: Judge
) -> AsyncGenerator[Event, None]:
    """Answer a generation. Raises ProviderError.

    `fresh`: nothing of it is visible yet, so that another model may begin it, if it `may_have` the question.
    """
    chosen = generation.model
    tried: list[ChatModel] = []
    error: ProviderError | None = None
    while chosen is not None and (fresh or not tried):
        choice = await database.call(_choose, chosen, tried, fresh=fresh)
        if choice is None:
            break
        model, permit = choice
        if model != generation.model:
            if not await _is_allowed(generation, model, permit, may_have):
                continue
            request = await database.call(_hand_over, generation, model)
        provider = open_provider(endpoint_of(model), deadlines())
        try:
            async with aclosing(watched(model.base_url, permit, provider.stream(request))) as events:
                async for event in events:
                    fresh = fresh and isinstance(event, Notice)
                    yield event
        except ProviderError as failed:
            if not fresh or failed.code not in FALLS_BACK:
                raise
            logger.warning("Generation %s: %s failed with %s", generation.pk, model, failed.code)
            error = failed
        else:
            return
    raise error or _nobody(chosen)


async def _is_allowed(generation: Generation, model: ChatModel, permit: Permit, may_have: Judge) -> bool:
    allowed = False
    try:
        allowed = await may_have(generation, model)
    finally:
        if not allowed:
            give_back(model.base_url, permit)
    if not allowed:
        logger.info("Generation %s: a rule does not let %s have the question", generation.pk, model)
    return allowed


def _nobody(model: ChatModel | None) -> ProviderError:
    if model is not None and model.out_of_service_message:
        return ProviderError("out_of_service", model.out_of_service_message)
    return failure("unavailable")
