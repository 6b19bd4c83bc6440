"""Legal holds: what must be kept, whoever wants it gone.

A hold refuses no user anything visible: what they delete vanishes from their lists at once, and is kept out of sight
until the hold is released; then it goes like everything that was deleted.
"""

from __future__ import annotations

from django.db import transaction

from chatapp.accounts.models import User
from conversations import audit
from conversations.models import Conversation, LegalHold


def place(hold: LegalHold, *, by: User) -> LegalHold:
    """Keep a user's data, or a conversation, from now on."""
    with transaction.atomic():
        hold.placed_by = by
        hold.save(force_insert=True)
        _note(hold, by, "hold.place")
    return hold


def release(hold: LegalHold, *, by: User) -> None:
    """Keep it no longer; what was deleted meanwhile goes within minutes."""
    with transaction.atomic():
        _note(hold, by, "hold.release")
        hold.delete()


def is_held(conversation: Conversation) -> bool:
    """Whether a conversation must be kept as it is."""
    return LegalHold.objects.on(Conversation.objects.filter(pk=conversation.pk)).exists()


def _note(hold: LegalHold, by: User, action: str) -> None:
    about = hold.user_id or 0
    audit.record(by, action, conversation_id=hold.conversation_id, hold=hold.pk, user_id=about)
