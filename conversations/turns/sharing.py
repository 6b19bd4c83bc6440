"""What a user can do with links by which others read along."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from conversations import audit
from conversations.models import Conversation, Share
from conversations.reading import copies
from conversations.turns.base import TurnRefused, locked


class NothingToShare(TurnRefused):
    """There is no message yet that has been written to its end."""

    def __init__(self) -> None:
        super().__init__(gettext("There is nothing to share yet."))


def share(conversation: Conversation, *, follows: bool, named: bool) -> Share:
    """Make a link to the branch that is shown, as it is now, or as it will be if the link follows.

    A snapshot leaves out an answer that is still being written. The same wish again gives the same link. Raises
    `NothingToShare`.
    """
    with transaction.atomic():
        conversation = locked(conversation)
        messages = copies.shown(conversation)
        if not messages:
            raise NothingToShare
        wanted = {
            "leaf": messages[-1],
            "last_generation_id": copies.last_ended(messages),
            "follows": follows,
            "named": named,
            "revoked_at": None,
        }
        same = conversation.shares.filter(**wanted, title=conversation.title).first()
        if same is not None:
            return same
        audit.record(conversation.owner, "conversation.share", conversation_id=conversation.pk)
        return conversation.shares.create(**wanted, title=conversation.title)


def revoke(share: Share) -> None:
    """Make a link lead nowhere, for good."""
    with transaction.atomic():
        if Share.objects.filter(pk=share.pk, revoked_at=None).update(revoked_at=timezone.now()):
            owner = share.conversation.owner
            audit.record(owner, "conversation.unshare", conversation_id=share.conversation_id)
