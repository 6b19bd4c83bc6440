"""Messages that wait until the running answer is complete, and are then sent by whichever process is first.

A queued message is due as soon as the generation it waits for is completed; when that one was stopped or broke off, it
is kept until the user sends it. The process that ran the generation sends what is due at once; the page that shows the
answer asks for it too; and the upkeep of any process finds what one has left that died in between. All of them take
the lock of the conversation, and the row of the queue goes in the transaction that makes the message, so that it is
sent once.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from conversations import audit, dispatch
from conversations.models import ChatModel, Conversation, Generation, Message, QueuedMessage
from conversations.threads import writer
from conversations.turns.attachments import attach_files, refuse_unseen
from conversations.turns.base import (
    AnswerRunning,
    Gone,
    KeyUsed,
    NoServer,
    StillStopping,
    Turn,
    TurnRefused,
    ask,
    locked,
    refuse_while_running,
    repeated_turn,
    storable,
)
from conversations.turns.drafts import end_draft, take_back
from conversations.turns.fitting import complete
from conversations.turns.messages import send

logger = logging.getLogger(__name__)

PASSING = (AnswerRunning, Gone, NoServer, StillStopping)  # refusals that end by themselves

MOST_QUEUED = 20
MOST_AT_ONCE = 100  # conversations that the upkeep looks after in one go


class QueueFull(TurnRefused):
    """So many messages wait that no more are taken."""

    def __init__(self) -> None:
        super().__init__(gettext("Too many messages are waiting. Your text is kept: send it when some have been sent."))


class AlreadySent(TurnRefused):
    """The queued message was sent, or removed, a moment ago."""

    def __init__(self) -> None:
        super().__init__(gettext("This message is no longer waiting: it has just been sent or removed."))


def send_or_queue(  # noqa: PLR0913 - the fields of the composer
    conversation: Conversation,
    *,
    text: str,
    model: ChatModel | None,
    request_key: uuid.UUID,
    stop_first: bool = False,
    draft_key: uuid.UUID | None = None,
    attachments: Collection[uuid.UUID] = (),
) -> Turn | QueuedMessage:
    """Send a message, or, while an answer is written or others are due before it, queue it. Raises `QueueFull`."""
    with transaction.atomic():
        conversation = locked(conversation)
        if (repeated := repeated_turn(conversation.owner, request_key, text)) is not None:
            return repeated
        if (queued := _repeated_queued(conversation, request_key, text)) is not None:
            return queued
        after = None if stop_first else _to_wait_for(conversation)
        if after is None:
            return send(
                conversation,
                text=text,
                model=model,
                request_key=request_key,
                stop_first=stop_first,
                draft_key=draft_key,
                attachments=attachments,
            )
        end_draft(conversation.owner, conversation, text=text, keys=(request_key, draft_key))
        queued = QueuedMessage(text=storable(text), model=model, request_key=request_key, after=after)
        return _queue(conversation, queued, attachments)


def _queue(conversation: Conversation, queued: QueuedMessage, attachments: Collection[uuid.UUID]) -> QueuedMessage:
    if conversation.queued_messages.count() >= MOST_QUEUED:
        raise QueueFull  # takes back what was done in this transaction
    queued.conversation = conversation
    queued.save(force_insert=True)
    audit.record(conversation.owner, "message.queue", conversation_id=conversation.pk, queued=str(queued.pk))
    if attachments:
        attach_files(conversation.owner, attachments, queued_message=queued)
        refuse_unseen(queued.model or conversation.model, queued)
    return queued


def send_due(conversation: Conversation) -> Turn | None:
    """Send the first queued message if the answer it waited for is complete. Raises what `send` does.

    What it raises holds the queue, unless it ends by itself: else the message would be refused again and again, and
    others would wait behind it. Its owner decides.
    """
    try:
        return _send_first(conversation)
    except TurnRefused as refusal:
        if not isinstance(refusal, PASSING):
            conversation.queued_messages.update(after=None)
        raise


def _send_first(conversation: Conversation) -> Turn | None:
    with transaction.atomic():
        conversation = locked(conversation)
        if Generation.objects.filter(message__conversation=conversation).active().exists():
            return None
        queued = conversation.queued_messages.due().select_related("after__message", "model").first()
        if queued is None or queued.after is None:
            return None
        shown = conversation.active_leaf_id
        turn = _send(conversation, queued, queued.after.message)
        if shown != queued.after.message_id:  # somebody reads another version: it stays
            conversation.active_leaf_id = shown
            conversation.save(update_fields=["active_leaf"])
        return turn


def send_queued(queued: QueuedMessage) -> Turn:
    """Send a message that waits, at the end of the branch that is shown. Raises `AnswerRunning`, `AlreadySent`."""
    with transaction.atomic():
        conversation = locked(queued.conversation)
        queued = _still_there(queued)
        refuse_while_running(conversation)
        return _send(conversation, queued, conversation.active_leaf)


def remove_queued(queued: QueuedMessage) -> None:
    """Take a message out of the queue for good. Raises `AlreadySent`."""
    with transaction.atomic():
        conversation = locked(queued.conversation)
        _still_there(queued).delete()
        audit.record(conversation.owner, "message.unqueue", conversation_id=conversation.pk, queued=str(queued.pk))


def edit_queued(queued: QueuedMessage) -> str:
    """Take a message out of the queue, back into the draft, so that it is not sent meanwhile. Raises `AlreadySent`."""
    with transaction.atomic():
        conversation = locked(queued.conversation)
        queued = _still_there(queued)
        take_back(conversation.owner, conversation, queued.text)
        # However long it has waited: its files are in the composer from now on, and kept there for a day.
        queued.attachments.update(queued_message=None, unsent_in=conversation, created_at=timezone.now())
        audit.record(conversation.owner, "message.unqueue", conversation_id=conversation.pk, queued=str(queued.pk))
        queued.delete()
        return queued.text


def attach() -> None:
    """Make the running event loop the one that serves this process, and have what is queued sent by it."""
    dispatch.attach(upkeep=send_all_due, follow_up=send_after)


async def send_after(generation_id: uuid.UUID) -> None:
    """Send what waits for this generation, which has just ended."""
    await writer.call(_send_waiting_for, generation_id)


async def send_all_due() -> None:
    """Send what other processes have left."""
    await writer.call(_send_all_due)


def _send_waiting_for(generation_id: uuid.UUID) -> None:
    for conversation in Conversation.objects.filter(queued_messages__after=generation_id)[:1]:
        _send_due_or_wait(conversation)


def _send_all_due() -> None:
    due = QueuedMessage.objects.due().order_by("conversation").values_list("conversation", flat=True).distinct()
    for conversation in Conversation.objects.filter(pk__in=list(due[:MOST_AT_ONCE])):
        _send_due_or_wait(conversation)


def _send_due_or_wait(conversation: Conversation) -> None:
    try:
        send_due(conversation)
    except TurnRefused as refusal:
        logger.info("A queued message goes on waiting in %s: %s", conversation.pk, type(refusal).__name__)


def _send(conversation: Conversation, queued: QueuedMessage, parent: Message | None) -> Turn:
    if queued.model is not None and queued.model.enabled:
        conversation.model = queued.model
    refuse_unseen(conversation.model, queued)  # it may have changed since
    # A form that was sent elsewhere meanwhile has used the key; what waits is sent all the same.
    used = Generation.objects.filter(request_key=queued.request_key).exists()
    key = uuid.uuid4() if used else queued.request_key
    turn = ask(conversation, parent=parent, text=queued.text, request_key=key)
    queued.attachments.update(queued_message=None, message=turn.answer.parent)
    queued.delete()
    return complete(turn)


def _to_wait_for(conversation: Conversation) -> Generation | None:
    """Return the generation that a message sent now has to wait for, so that the order is kept."""
    active = Generation.objects.filter(message__conversation=conversation, stop_requested_at=None).active()
    running = active.order_by("pk").last()
    if running is not None:
        return running
    due = conversation.queued_messages.due().select_related("after").first()
    return due.after if due is not None else None


def _repeated_queued(conversation: Conversation, request_key: uuid.UUID, text: str) -> QueuedMessage | None:
    """Return what the same request has queued before."""
    queued = QueuedMessage.objects.filter(request_key=request_key).first()
    if queued is not None and (queued.conversation_id != conversation.pk or queued.text != storable(text)):
        raise KeyUsed
    return queued


def _still_there(queued: QueuedMessage) -> QueuedMessage:
    found = QueuedMessage.objects.select_related("model").filter(pk=queued.pk).first()
    if found is None:
        raise AlreadySent
    return found
