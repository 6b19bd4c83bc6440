"""What has been typed and not been sent, kept until it is.

A draft that arrives late, when its text has been sent already, must not come back: it carries the key of the form it
was typed into, and what was sent with a key ends the drafts of that key, before and after. Drafts and sends of one
place wait for one another: the row of the conversation, or of the user for a new conversation, is locked meanwhile.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from chatapp.accounts.models import User
from conversations.models import Conversation, Draft, Generation, QueuedMessage
from conversations.turns.base import locked, storable


def keep_draft(user: User, conversation: Conversation | None, *, text: str, request_key: uuid.UUID) -> bool:
    """Keep what was typed, the newest of all tabs; nothing ends the draft. False when it has been sent. Raises `Gone`.

    Without a conversation it is the draft of a new one.
    """
    with transaction.atomic():
        _wait_for_others(user, conversation)
        if _was_sent(request_key):
            return False
        rows = Draft.objects.filter(owner=user, conversation=conversation)
        if not text.strip():
            rows.delete()
            return True
        fields = {"text": storable(text), "request_key": request_key, "updated_at": timezone.now()}
        Draft.objects.update_or_create(owner=user, conversation=conversation, defaults=fields)
        return True


def end_draft(user: User, conversation: Conversation | None, *, text: str, keys: Iterable[uuid.UUID | None]) -> None:
    """End the draft of what is being sent, in the caller's transaction; what was typed elsewhere meanwhile stays.

    `keys` are the form's own and that of the draft which the form was filled with.
    """
    if conversation is None:
        _wait_for_others(user, None)
    sent = Q(request_key__in=[key for key in keys if key is not None]) | Q(text=storable(text))
    Draft.objects.filter(sent, owner=user, conversation=conversation).delete()


def take_back(user: User, conversation: Conversation, text: str) -> None:
    """Put a text behind what is being typed, in the caller's transaction, which has locked the conversation."""
    draft = Draft.objects.filter(owner=user, conversation=conversation).first()
    draft = draft or Draft(owner=user, conversation=conversation)
    draft.text = "\n\n".join(filter(None, (draft.text, text)))
    draft.request_key, draft.updated_at = uuid.uuid4(), timezone.now()
    draft.save()


def draft_of(user: User, conversation: Conversation | None) -> Draft | None:
    """Return what this user has typed and not sent."""
    return Draft.objects.filter(owner=user, conversation=conversation).first()


def _wait_for_others(user: User, conversation: Conversation | None) -> None:
    if conversation is not None:
        locked(conversation)
    else:
        User.objects.select_for_update(no_key=True).get(pk=user.pk)


def _was_sent(request_key: uuid.UUID) -> bool:
    return (
        Generation.objects.filter(request_key=request_key).exists()
        or QueuedMessage.objects.filter(request_key=request_key).exists()
    )
