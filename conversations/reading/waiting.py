"""What waits in a conversation to be sent, as templates need it."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Prefetch

from conversations.models import Attachment, Conversation, Generation, QueuedMessage


@dataclass(frozen=True, slots=True)
class QueueView:
    """The queue below a thread.

    `due`: its first message is being sent this moment. `held`: it is not sent by itself, because the answer that it
    waited for was not completed, or because it was refused. `blind` is the model that cannot see the images of that
    first message. `seen` names what a page shows that has this: the last
    message of its thread, and the queue.
    """

    messages: list[QueuedMessage] = field(default_factory=list)
    due: bool = False
    held: bool = False
    blind: str = ""
    seen: str = ""


def queue(conversation: Conversation) -> QueueView:
    """Return what is queued in a conversation, with the names of its files, in at most two queries; held, in three."""
    files = Prefetch("attachments", Attachment.objects.only("name", "kind", "queued_message_id"))
    messages = list(conversation.queued_messages.select_related("after", "model").prefetch_related(files))
    after = messages[0].after if messages else None
    status = after.status if after is not None else ""
    due = status == Generation.Status.COMPLETED
    held = bool(messages) and not due and status not in Generation.ACTIVE
    blind = _blind(conversation, messages[0]) if held else ""
    state = f"{messages[0].pk if messages else ''}.{len(messages)}.{'held' if held else ''}"
    return QueueView(messages, due, held, blind, f"{conversation.active_leaf_id or ''} {state}")


def _blind(conversation: Conversation, queued: QueuedMessage) -> str:
    """Return the name of the model that would not see the images of a message; nothing when there is none such."""
    if all(row.kind != Attachment.Kind.IMAGE for row in queued.attachments.all()):
        return ""
    model = queued.model if queued.model is not None and queued.model.enabled else conversation.model
    return model.label if model is not None and not model.sees_images else ""
