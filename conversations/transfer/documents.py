"""Conversations as plain values: the format "stillwater-conversations", version 1, described in `docs/format.md`.

A document says everything about a conversation that its owner may take along, and nothing about this installation:
no addresses, no keys, no ids but that of the conversation. Messages are numbered, a parent before its children.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from django.db.models import Prefetch
from django.utils import timezone

from conversations.asking.context import parts_of
from conversations.models import Attachment, ChatModel, Conversation, Generation, Message

FORMAT = "stillwater-conversations"
VERSION = 1
PART_FIELDS = ("kind", "text", "from_ms", "to_ms")

Document = dict[str, Any]
Place = Callable[[Attachment], str | None]  # where the bytes of a file stand in the archive with the document


def header() -> Document:
    """Return what comes before the conversations."""
    return {"format": FORMAT, "version": VERSION, "exported_at": moment(timezone.now())}


def nowhere(attachment: Attachment) -> None:
    """Say that the document stands alone, without the bytes of any file."""


def document_of(conversation: Conversation, messages: list[Message] | None = None, place: Place = nowhere) -> Document:
    """Return a conversation: all of its messages, or only these."""
    messages = tree_of(conversation) if messages is None else messages
    numbers = {message.pk: number for number, message in enumerate(messages, start=1)}
    return {
        "id": conversation.origin or str(conversation.pk),
        "title": conversation.title,
        "title_source": conversation.title_source,
        "created_at": moment(conversation.created_at),
        "updated_at": moment(conversation.updated_at),
        "pinned": conversation.pinned,
        "archived": conversation.archived,
        "tags": [tag.name for tag in conversation.tags.all()],
        "model": _model(conversation.model),
        "system_prompt": conversation.system_prompt,
        "parameters": conversation.parameters,
        "active_leaf": numbers.get(conversation.active_leaf_id) if conversation.active_leaf_id else None,
        "messages": [_message(message, numbers, conversation.owner_id, place) for message in messages],
    }


def tree_of(conversation: Conversation) -> list[Message]:
    """Return all messages with all that belongs to them, parents before their children, versions in their order."""
    generations = Prefetch("generations", Generation.objects.select_related("model"))
    rows = conversation.messages.order_by("pk").prefetch_related(generations, "feedback", "attachments")
    children: defaultdict[uuid.UUID | None, list[Message]] = defaultdict(list)
    for message in rows:
        children[message.parent_id].append(message)
    return list(_walk(children))


def moment(value: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC."""
    return value.astimezone(UTC).isoformat() if value is not None else None


def _walk(children: defaultdict[uuid.UUID | None, list[Message]]) -> Iterator[Message]:
    waiting = children[None][::-1]
    while waiting:
        message = waiting.pop()
        yield message
        waiting += children[message.pk][::-1]


def _model(model: ChatModel | None) -> Document | None:
    return {"name": model.model_name, "label": model.label} if model is not None else None


def _message(message: Message, numbers: dict[uuid.UUID, int], owner_id: int, place: Place) -> Document:
    feedback = next((row for row in message.feedback.all() if row.owner_id == owner_id), None)
    return {
        "id": numbers[message.pk],
        "parent": numbers.get(message.parent_id) if message.parent_id else None,
        "role": message.role,
        "text": message.text,
        "created_at": moment(message.created_at),
        "generations": [_generation(row) for row in message.generations.all()],
        "feedback": feedback
        and {"value": feedback.value, "comment": feedback.comment, "created_at": moment(feedback.created_at)},
        "attachments": [_attachment(row, place(row)) for row in message.attachments.all()],
    }


def _attachment(row: Attachment, file: str | None) -> Document:
    fields = {"name": row.name, "kind": row.kind, "content_type": row.content_type, "size": row.size, "text": row.text}
    return fields | ({"file": file} if file else {})


def _generation(row: Generation) -> Document:
    """An answer that is being written is as good as interrupted in a file."""
    return {
        "kind": row.kind,
        "status": Generation.Status.INTERRUPTED.value if row.is_active else row.status,
        "finish_reason": row.finish_reason,
        "instruction": row.instruction,
        "model": _model(row.model),
        "model_name": row.model_name,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "cost": f"{row.cost:f}" if row.cost is not None else None,
        "omitted_messages": row.omitted_messages,
        "takeovers": row.takeovers,
        "error_code": row.error_code,
        "error_message": row.error_message,
        "created_at": moment(row.created_at),
        "started_at": moment(row.started_at),
        "time_to_first_token_ms": row.time_to_first_token_ms,
        "ended_at": moment(row.ended_at),
        "output": [{name: part[name] for name in PART_FIELDS if name in part} for part in parts_of(row)],
        "timeline": row.timeline,
    }
