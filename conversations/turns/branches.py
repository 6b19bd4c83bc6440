"""What a user can do with branches beside asking anew: make one a conversation of its own, undo a continuation."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable

from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from conversations import audit
from conversations.asking.context import branch
from conversations.keeping import holds
from conversations.models import Attachment, Conversation, Generation, Message, uuid7
from conversations.search import index_conversation, index_messages
from conversations.turns.attachments import copy_attachments
from conversations.turns.base import AnswerRunning, TurnRefused, locked

NOT_COPIED = {"input_tokens": None, "output_tokens": None, "cost": None, "epoch": 0}  # what was spent was spent once
BATCH = 200


class NothingToUndo(TurnRefused):
    """This piece of the answer is gone, has been answered, or is not a continuation."""

    def __init__(self) -> None:
        super().__init__(gettext("There is nothing to undo here any more: the answer has changed since."))


def fork(message: Message, *, request_key: uuid.UUID) -> Conversation:
    """Copy the branch down to `message` into a conversation of its own. Raises `AnswerRunning` while it is written.

    The copy has the settings, the title, the tags and the files; it shares nothing with the original.
    """
    try:
        with transaction.atomic():
            source = locked(message.conversation)
            path = branch(message)
            if any(generation.is_active for copied in path for generation in copied.generations.all()):
                raise AnswerRunning
            if (made := _made_before(source, request_key)) is not None:
                return made
            return _copied(source, path, request_key)
    except IntegrityError:  # the same request, a moment earlier, in a database that locks less
        if (made := _made_before(message.conversation, request_key)) is None:
            raise
        return made


def undo_continue(message: Message, *, generation_id: uuid.UUID) -> None:
    """Remove the last continuation of an answer at the end of a branch, and only the one that is named, for good.

    Raises `NothingToUndo`, and `AnswerRunning` while it is written.
    """
    with transaction.atomic():
        conversation = locked(message.conversation)
        last = message.generations.order_by("pk").last()
        if last is None or last.pk != generation_id or last.kind != Generation.Kind.CONTINUE:
            raise NothingToUndo
        if last.is_active:
            raise AnswerRunning
        if message.children.exists() or holds.is_held(conversation):
            raise NothingToUndo
        audit.record(
            conversation.owner, "generation.undo", conversation_id=conversation.pk, generation_id=generation_id
        )
        last.delete()
        index_messages([Message.objects.get(pk=message.pk)])  # nobody finds what is gone


def _made_before(source: Conversation, request_key: uuid.UUID) -> Conversation | None:
    return Conversation.objects.filter(
        owner=source.owner_id, messages__generations__request_key=_key_of_copy(source, request_key, 0)
    ).first()


def _key_of_copy(source: Conversation, request_key: uuid.UUID, number: int) -> uuid.UUID:
    """Return the key of a copied generation: the same request makes the same keys, and so no second copy."""
    return uuid.uuid5(request_key, f"{source.pk} {number}")


def _copied(source: Conversation, path: list[Message], request_key: uuid.UUID) -> Conversation:
    fields = ("owner", "title", "title_source", "system_prompt", "model", "parameters", "temporary")
    copy = Conversation.objects.create(**{name: getattr(source, name) for name in fields})
    copy.tags.set(source.tags.all())
    messages = _copied_messages(copy, path)
    _copy_generations(path, messages, lambda number: _key_of_copy(source, request_key, number))
    for attachment in Attachment.objects.filter(message__in=messages).defer("text").order_by("pk"):
        copy_attachments([attachment], messages[attachment.message_id])  # type: ignore[index] # filtered
    copy.active_leaf = messages[path[-1].pk]
    copy.save(update_fields=["active_leaf"])
    index_conversation(copy)
    audit.record(source.owner, "conversation.fork", conversation_id=copy.pk, source=str(source.pk), messages=len(path))
    return copy


def _copied_messages(conversation: Conversation, path: list[Message]) -> dict[uuid.UUID, Message]:
    """Return the copies by the ids of their originals. They are rendered when they are read: ids are in the HTML."""
    copies: dict[uuid.UUID, Message] = {}
    parent: Message | None = None
    for message in path:
        parent = copies[message.pk] = Message(
            conversation=conversation,
            parent=parent,
            role=message.role,
            text=message.text,
            created_at=message.created_at,
        )
    Message.objects.bulk_create(copies.values(), batch_size=BATCH)
    return copies


def _copy_generations(
    path: Iterable[Message], copies: dict[uuid.UUID, Message], key_of: Callable[[int], uuid.UUID]
) -> None:
    rows = Generation.objects.filter(message__in=[message.pk for message in path]).order_by("pk")
    by_message: dict[uuid.UUID, list[Generation]] = {}
    for row in rows:
        by_message.setdefault(row.message_id, []).append(row)
    generations = [row for message in path for row in by_message.get(message.pk, ())]
    for number, generation in enumerate(generations):
        generation.pk, generation.request_key = uuid7(), key_of(number)
        generation.message = copies[generation.message_id]
        generation.based_on = None  # the other versions stay where they are
        for name, value in NOT_COPIED.items():
            setattr(generation, name, value)
    Generation.objects.bulk_create(generations, batch_size=BATCH)
