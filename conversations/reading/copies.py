"""Branches to read elsewhere: what shared, printed and exported pages show. No actions, no versions, no stream."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db.models import Prefetch, prefetch_related_objects
from django.utils.safestring import SafeString, mark_safe

from conversations.asking.context import branch
from conversations.live.message import thought_label
from conversations.live.state import RenderedState, dom_id, read_state
from conversations.models import Attachment, Conversation, Generation, Message, Share
from conversations.reading.rendered import fill, refresh


@dataclass(slots=True)
class Copy:
    """One message as `_copy.html` shows it; `url` of a file is set by whoever serves it."""

    id: uuid.UUID
    dom_id: str
    role: str
    created_at: datetime
    text: str = ""
    html: SafeString = field(default_factory=SafeString)
    reasoning_html: SafeString = field(default_factory=SafeString)
    reasoning_label: str = ""
    model_label: str = ""
    running: bool = False
    files: list[FileCopy] = field(default_factory=list)
    note: str = ""


@dataclass(slots=True)
class FileCopy:
    """A file of a message, and where this page has it, if it does."""

    id: uuid.UUID
    name: str
    is_image: bool
    size: int
    url: str = ""


def shown(conversation: Conversation) -> list[Message]:
    """Return the branch that its owner has open."""
    return branch(conversation.active_leaf)


def of_share(share: Share) -> list[Message]:
    """Return what may be read by a link: the branch as it was when it was shared, or as it is if the link follows."""
    if share.follows:
        return shown(share.conversation)
    return [_until(message, share.last_generation_id) for message in branch(share.leaf)]


def last_ended(messages: Iterable[Message]) -> uuid.UUID | None:
    """Return the newest generation of these messages that has ended: what a snapshot of today ends with."""
    ended = [row.pk for message in messages for row in message.generations.all() if not row.is_active]
    return max(ended, default=None)


def copies(messages: Iterable[Message]) -> list[Copy]:
    """Return messages, which come with their generations, as templates show them."""
    messages = [message for message in messages if message.role in {Message.Role.USER, Message.Role.ASSISTANT}]
    refresh(message for message in messages if not hasattr(message, "cut"))
    prefetch_related_objects(messages, Prefetch("attachments", Attachment.objects.defer("text")))
    return [_copy(message) for message in messages]


def without_images(messages: Iterable[Message]) -> None:
    """Render those answers anew that show images from elsewhere, as links: for pages that ask nobody for anything."""
    for message in messages:
        if "<img" in message.html or "<img" in message.reasoning_html:
            fill(message, ())


def _until(message: Message, last: uuid.UUID | None) -> Message:
    """Return a message without what was written into it after generation `last`."""
    if not any(last is None or row.pk > last for row in message.generations.all()):
        return message
    earlier = (
        Generation.objects.select_related("model", "instead_of").filter(pk__lte=last)
        if last
        else Generation.objects.none()
    )
    cut = Message.objects.prefetch_related(Prefetch("generations", earlier)).get(pk=message.pk)
    fill(cut, settings.IMAGE_HOSTS)
    cut.cut = True  # type: ignore[attr-defined] # what is stored beside it is the whole
    return cut


def _copy(message: Message) -> Copy:
    copy = Copy(message.pk, dom_id(message.pk), message.role, message.created_at, text=message.text)
    copy.files = [
        FileCopy(row.pk, row.name, row.kind == Attachment.Kind.IMAGE, row.size) for row in message.attachments.all()
    ]
    generations = list(message.generations.all())
    if not generations:
        return copy
    last = generations[-1]
    copy.model_label = last.model.label if last.model else last.model_name
    state = read_state(last.pk) if last.is_active else None
    if state is not None:
        _add_running(copy, state)
    else:
        _add_ended(copy, message, generations)
    return copy


def _add_running(copy: Copy, state: RenderedState) -> None:
    copy.running = True
    copy.html = mark_safe(state.renderer.body_html())  # noqa: S308 - the renderer's output is sanitised
    if state.renderer.has_reasoning:
        copy.reasoning_html = mark_safe(state.renderer.reasoning_html())  # noqa: S308 - as above
        copy.reasoning_label = state.renderer.reasoning_label


def _add_ended(copy: Copy, message: Message, generations: list[Generation]) -> None:
    copy.html = mark_safe(message.html)  # noqa: S308 - the renderer's output is sanitised
    copy.reasoning_html = mark_safe(message.reasoning_html)  # noqa: S308 - as above
    thoughts = [part for row in generations for part in row.output if part["kind"] == "reasoning"]
    copy.reasoning_label = thought_label(sum(part["to_ms"] - part["from_ms"] for part in thoughts))
