"""The audit trail: written in the transaction of what it tells of, never changed."""

from __future__ import annotations

import uuid

from chatapp.accounts.models import User
from conversations.models import AuditEntry


def record(
    actor: User | None,
    action: str,
    *,
    conversation_id: uuid.UUID | None = None,
    generation_id: uuid.UUID | None = None,
    **data: str | int,
) -> None:
    """Add one entry; `data` must hold no content of messages."""
    AuditEntry.objects.create(
        actor_id=actor.pk if actor is not None else None,
        action=action,
        conversation_id=conversation_id,
        generation_id=generation_id,
        data=data,
    )
