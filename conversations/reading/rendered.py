"""The HTML of finished answers, kept beside their text so that opening a conversation renders nothing again.

What is kept is a copy: it names the renderer and the generations that it was made by and from, and is made anew when
one of these has changed.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Collection, Iterable

from django.conf import settings
from django.db import DatabaseError, transaction

from conversations.live.state import dom_id
from conversations.models import Generation, Message
from conversations.rendering.markdown import RENDERER_VERSION, render
from conversations.search import index_messages
from conversations.threads import writer

logger = logging.getLogger(__name__)


def refresh(messages: Iterable[Message]) -> None:
    """Give each finished answer among these its HTML, if what it has is not of today. Blocks.

    The messages come with their generations; nothing is asked when all are of today. What an answer says now is also
    what the search finds it by.
    """
    stale = [message for message in messages if _is_stale(message)]
    for message in stale:
        fill(message, settings.IMAGE_HOSTS)
    if stale:
        _store(stale)


async def keep(generation_id: uuid.UUID) -> None:
    """Render an answer that has just ended, before somebody waits for it."""
    await writer.call(_keep, generation_id)


def _keep(generation_id: uuid.UUID) -> None:
    refresh(Message.objects.prefetch_related("generations").filter(generations=generation_id))


def _store(messages: list[Message]) -> None:
    try:
        with transaction.atomic():
            Message.objects.bulk_update(messages, ["html", "reasoning_html", "rendered_as"], batch_size=50)
            index_messages(messages)
    except DatabaseError as error:  # it is a copy: whoever wanted to read still can
        logger.warning("The HTML of %d answers could not be kept: %s", len(messages), error)


def _is_stale(message: Message) -> bool:
    generations = message.generations.all()
    return (
        message.role == Message.Role.ASSISTANT
        and not any(generation.is_active for generation in generations)
        and message.rendered_as != _name(generations)
    )


def fill(message: Message, image_hosts: Collection[str]) -> None:
    """Render an answer from the generations that it comes with; nothing is stored. Blocks."""
    prefix = f"{dom_id(message.pk)}-"
    generations = message.generations.all()
    parts = [part for generation in generations for part in generation.output]
    thoughts = [part["text"] for part in parts if part["kind"] == "reasoning"]
    message.html = _html("".join(part["text"] for part in parts if part["kind"] == "text"), prefix, image_hosts)
    message.reasoning_html = "".join(
        _html(thought, f"{prefix}r{number}-", image_hosts) for number, thought in enumerate(thoughts, start=1)
    )
    message.rendered_as = _name(generations)


def _name(generations: Collection[Generation]) -> str:
    """Name what the HTML depends on, besides the text that a generation keeps once it has ended."""
    images = hashlib.sha256(" ".join(sorted(settings.IMAGE_HOSTS)).encode()).hexdigest()[:12]
    last = max((generation.pk for generation in generations), default="nothing")
    return f"{RENDERER_VERSION}-{images}-{len(generations)}-{last}"


def _html(text: str, prefix: str, image_hosts: Collection[str]) -> str:
    return render(text, id_prefix=prefix, image_hosts=image_hosts)
