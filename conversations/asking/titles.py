"""Titles: the first words at once, a better one from the model after the first answer."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from contextlib import aclosing
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from django.db import transaction

from conversations.asking.context import answer_text, deadlines, endpoint_of
from conversations.filters.base import Rule
from conversations.models import Conversation, FilterRule, Generation
from conversations.providers import open_provider
from conversations.providers.base import ChatMessage, ChatRequest, Endpoint, ProviderError, TextDelta
from conversations.safety.filtering import filters_for, outgoing, redacted
from conversations.search import index_titles
from conversations.threads import reader, writer

logger = logging.getLogger(__name__)

TITLE_SECONDS = 20
MOST_AT_ONCE = 50  # in one process: more wait, and when their time is over the first words stay
LONGEST_TITLE = 80
EXCERPT_CHARACTERS = 1_000
_DIRECTIVE = re.compile(r"\[\[[a-z]+=[^\]\s]*\]\]")  # what only the demo model understands
INSTRUCTION = (
    "Write a title for this conversation: at most six words, in its language, no quotation marks, no full stop. "
    "Answer with the title alone."
)
_places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Untitled:
    """A conversation that wants a title, and whom to ask."""

    conversation_id: uuid.UUID
    endpoint: Endpoint
    request: ChatRequest
    changing: tuple[Rule, ...]


def first_words(text: str) -> str:
    """Return the beginning of a message as a title."""
    words = " ".join(_DIRECTIVE.sub("", text.replace("\0", "")).split())
    return words if len(words) <= LONGEST_TITLE else words[: LONGEST_TITLE - 1].rsplit(" ", 1)[0] + "…"


async def suggest(generation_id: uuid.UUID) -> None:
    """Give a conversation a title from the model when this was its first answer; a failure leaves the first words."""
    untitled = await reader.call(_untitled, generation_id)
    if untitled is None:
        return
    places = _places.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MOST_AT_ONCE))
    try:
        async with asyncio.timeout(TITLE_SECONDS), places:
            title = await _ask(untitled)
    except (ProviderError, TimeoutError) as error:
        logger.info("No title for conversation %s: %s", untitled.conversation_id, type(error).__name__)
        title = ""
    await writer.call(_keep, untitled.conversation_id, title)


def _untitled(generation_id: uuid.UUID) -> Untitled | None:
    generation = (
        Generation.objects.select_related("message__conversation__owner", "message__parent", "model")
        .filter(pk=generation_id, status=Generation.Status.COMPLETED, kind=Generation.Kind.NEW)
        .first()
    )
    if generation is None or generation.model is None or generation.message.parent is None:
        return None
    if not generation.was_sent:  # a rule has kept the question from the provider
        return None
    message, question = generation.message, generation.message.parent
    conversation = message.conversation
    if question.parent_id or conversation.temporary:
        return None
    if conversation.title_source != Conversation.TitleSource.FIRST_WORDS:
        return None
    excerpt = f"{question.text[:EXCERPT_CHARACTERS]}\n\n{answer_text(message)[:EXCERPT_CHARACTERS]}"
    request = ChatRequest(messages=(ChatMessage("system", INSTRUCTION), ChatMessage("user", excerpt)), parameters={})
    filters = filters_for(conversation.owner, generation.model_id, FilterRule.Direction.OUTPUT)
    endpoint = endpoint_of(generation.model)
    return Untitled(message.conversation_id, endpoint, outgoing(request, generation), filters.changing)


async def _ask(untitled: Untitled) -> str:
    text = ""
    async with aclosing(open_provider(untitled.endpoint, deadlines()).stream(untitled.request)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                text += event.text
            if len(text) > EXCERPT_CHARACTERS:
                break
    lines = redacted(text, untitled.changing).strip().splitlines()
    return first_words(lines[0].strip("\"'“”«»*#. ")) if lines else ""


def _keep(conversation_id: uuid.UUID, title: str) -> None:
    fields = {"title_source": Conversation.TitleSource.MODEL} | ({"title": title} if title else {})
    rows = Conversation.objects.filter(pk=conversation_id, title_source=Conversation.TitleSource.FIRST_WORDS)
    with transaction.atomic():
        if rows.update(**fields) and title:
            index_titles([conversation_id])
