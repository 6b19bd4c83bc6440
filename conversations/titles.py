"""Titles: the first words at once, a better one from the model after the first answer."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from contextlib import aclosing
from dataclasses import dataclass

from conversations.context import answer_text, deadlines, endpoint_of
from conversations.models import Conversation, Generation
from conversations.providers import open_provider
from conversations.providers.base import ChatMessage, ChatRequest, Endpoint, ProviderError, TextDelta
from conversations.threads import reader

logger = logging.getLogger(__name__)

TITLE_SECONDS = 20
LONGEST_TITLE = 80
EXCERPT_CHARACTERS = 1_000
_DIRECTIVE = re.compile(r"\[\[[a-z]+=[^\]\s]*\]\]")  # what only the demo model understands
INSTRUCTION = (
    "Write a title for this conversation: at most six words, in its language, no quotation marks, no full stop. "
    "Answer with the title alone."
)


@dataclass(frozen=True, slots=True)
class Task:
    """A conversation that wants a title, and whom to ask."""

    conversation_id: uuid.UUID
    endpoint: Endpoint
    request: ChatRequest


def first_words(text: str) -> str:
    """Return the beginning of a message as a title."""
    words = " ".join(_DIRECTIVE.sub("", text.replace("\0", "")).split())
    return words if len(words) <= LONGEST_TITLE else words[: LONGEST_TITLE - 1].rsplit(" ", 1)[0] + "…"


async def suggest(generation_id: uuid.UUID) -> None:
    """Give a conversation a title from the model when this was its first answer; a failure leaves the first words."""
    task = await reader.call(_task_for, generation_id)
    if task is None:
        return
    try:
        async with asyncio.timeout(TITLE_SECONDS):
            title = await _ask(task)
    except (ProviderError, TimeoutError) as error:
        logger.info("No title for conversation %s: %s", task.conversation_id, type(error).__name__)
        title = ""
    await reader.call(_keep, task.conversation_id, title)


def _task_for(generation_id: uuid.UUID) -> Task | None:
    generation = (
        Generation.objects.select_related("message__conversation", "message__parent", "model")
        .filter(pk=generation_id, status=Generation.Status.COMPLETED, kind=Generation.Kind.NEW)
        .first()
    )
    if generation is None or generation.model is None or generation.message.parent is None:
        return None
    message, question = generation.message, generation.message.parent
    if question.parent_id or message.conversation.title_source != Conversation.TitleSource.FIRST_WORDS:
        return None
    excerpt = f"{question.text[:EXCERPT_CHARACTERS]}\n\n{answer_text(message)[:EXCERPT_CHARACTERS]}"
    request = ChatRequest(messages=(ChatMessage("system", INSTRUCTION), ChatMessage("user", excerpt)), parameters={})
    return Task(message.conversation_id, endpoint_of(generation.model), request)


async def _ask(task: Task) -> str:
    text = ""
    async with aclosing(open_provider(task.endpoint, deadlines()).stream(task.request)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                text += event.text
            if len(text) > EXCERPT_CHARACTERS:
                break
    lines = text.strip().splitlines()
    return first_words(lines[0].strip("\"'“”«»*#. ")) if lines else ""


def _keep(conversation_id: uuid.UUID, title: str) -> None:
    fields = {"title_source": Conversation.TitleSource.MODEL} | ({"title": title} if title else {})
    Conversation.objects.filter(pk=conversation_id, title_source=Conversation.TitleSource.FIRST_WORDS).update(**fields)
