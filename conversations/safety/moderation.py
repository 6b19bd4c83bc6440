"""What becomes of what rules find: it is told to those who review, and questions are judged before they are sent."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Coroutine
from typing import Any

from django.db import InterfaceError, OperationalError

from conversations import audit
from conversations.asking.context import question_text
from conversations.filters.base import Rule
from conversations.filters.redactor import Redactor
from conversations.generating.endings import unasked
from conversations.journal import Ending
from conversations.models import ChatModel, FilterRule, Flag, Generation
from conversations.review import flags
from conversations.safety.filtering import Filters, ServiceRule, filters_for
from conversations.safety.gate import judge
from conversations.threads import DatabaseThreads

logger = logging.getLogger(__name__)

RETRY_SECONDS = (1.0, 2.0, 4.0, 8.0)  # while the database is away
LAST_SECONDS = 2.0  # for judgements beside answers when the process ends

database = DatabaseThreads("filters")
_background: set[asyncio.Task[None]] = set()


def report(generation: Generation, rule: Rule | ServiceRule, direction: str, why: str) -> None:
    """Note that a rule has found something; a redaction is noted in the answer itself. Blocks on the database."""
    message = generation.message
    if rule.action == "flag":
        asked = direction == FilterRule.Direction.INPUT and message.parent is not None
        flagged = message.parent if asked and message.parent is not None else message
        flags.raise_flag(flagged, source=Flag.Source.RULE, reason=f"rule {rule.pk}: {why}"[:100].replace("\0", ""))
    elif rule.action != "redact" or why == "too slow":
        audit.record(
            None,
            "filter.blocked" if rule.action == "block" else "filter.found",
            conversation_id=message.conversation_id,
            generation_id=generation.pk,
            rule=rule.pk,
            direction=direction,
            reason=why,
        )


async def tell(generation: Generation, rule: Rule | ServiceRule, direction: str, why: str) -> None:
    """Note what a rule has found as soon as the database is there: what was found is not found again."""
    for pause in RETRY_SECONDS:
        try:
            return await database.call(report, generation, rule, direction, why)
        except (OperationalError, InterfaceError) as error:
            logger.warning("What rule %s has found waits for the database: %s", rule.pk, error)
            await asyncio.sleep(pause)
    return await database.call(report, generation, rule, direction, why)


def soon(work: Coroutine[Any, Any, None]) -> None:
    """Let work go on beside what is running, also when that has ended."""
    task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
    _background.add(task)
    task.add_done_callback(_ended)


def _ended(task: asyncio.Task[None]) -> None:
    _background.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("What a rule has found could not be noted", exc_info=error)


async def idle() -> None:
    """Wait until everything that was found is told."""
    while _background:
        await asyncio.wait(tuple(_background))


async def close() -> None:
    """Wait a moment for what is still to be told, let go of the rest, and end the threads; they come back."""
    if _background:
        _, late = await asyncio.wait(tuple(_background), timeout=LAST_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    await database.close()


async def may_have(generation: Generation, fallback: ChatModel) -> bool:
    """Whether the rules let a fallback have what a user has sent; those of the first model have done so already."""
    return await _refusal(generation, await database.call(_further, generation, fallback)) is None


async def refusal(generation: Generation) -> Ending | None:
    """Judge what a user has sent, before a provider gets it; return the end of the answer when it may not be sent."""
    return await _refusal(generation, await database.call(filters_of, generation, FilterRule.Direction.INPUT))


async def _refusal(generation: Generation, filters: Filters) -> Ending | None:
    if not filters:
        return None
    text, found = await database.call(_matches, generation, filters)
    services = [rule for rule in filters.services if rule.action == "block"]
    looking = [rule for rule in filters.services if rule.action != "block"]
    if looking:
        soon(_look(generation, looking, text))
    told = found + ([] if any(rule.action == "block" for rule, _ in found) else await judge(services, text))
    for rule, why in told:
        await tell(generation, rule, FilterRule.Direction.INPUT, why)
    blocking = [rule for rule, _ in told if rule.action == "block"]
    return unasked(blocking[0].sentence) if blocking else None


def filters_of(generation: Generation, direction: str) -> Filters:
    """Return the rules that hold for a generation. Blocks on the database."""
    return filters_for(generation.message.conversation.owner, generation.model_id, direction)


def _further(generation: Generation, fallback: ChatModel) -> Filters:
    """Return the rules for a fallback that do not hold for the model that was chosen. Blocks on the database."""
    owner, first = generation.message.conversation.owner, generation.instead_of_id or generation.model_id
    asked, filters = (filters_for(owner, pk, FilterRule.Direction.INPUT) for pk in (first, fallback.pk))
    known = {rule.pk for rule in (*asked.changing, *asked.watching)} | {rule.pk for rule in asked.services}
    return Filters(
        tuple(rule for rule in filters.changing if rule.pk not in known),
        tuple(rule for rule in filters.watching if rule.pk not in known),
        tuple(rule for rule in filters.services if rule.pk not in known),
    )


def _matches(generation: Generation, filters: Filters) -> tuple[str, list[tuple[Rule | ServiceRule, str]]]:
    """Return the question, and the rules that find something in it, apart from those that only redact."""
    text = question_text(generation)
    found: list[tuple[Rule | ServiceRule, str]] = []
    for rule in (*filters.changing, *filters.watching):
        if rule.action == "redact":
            continue
        redactor = Redactor([rule])
        if redactor.feed(text).marks or redactor.flush().marks:
            found.append((rule, "matched"))
        elif redactor.too_slow:  # nobody knows what it would have found
            found.append((rule, "too slow"))
    return text, found


async def _look(generation: Generation, services: list[ServiceRule], text: str) -> None:
    for rule, why in await judge(services, text):
        await tell(generation, rule, FilterRule.Direction.INPUT, why)
