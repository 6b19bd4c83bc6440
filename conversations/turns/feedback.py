"""What users think of answers."""

from __future__ import annotations

from django.db import transaction

from chatapp.accounts.models import User
from conversations import audit
from conversations.models import Feedback, Flag, Message
from conversations.review import flags
from conversations.turns.base import storable


def give_feedback(user: User, message: Message, *, value: int, comment: str | None = None) -> Feedback:
    """Keep what a user thinks of an answer; without a `comment` the one that is there stays.

    A bad opinion with a word to it raises a flag, which goes when the opinion or the word does.
    """
    fields: dict[str, str | int] = {"value": value} | ({"comment": storable(comment)} if comment is not None else {})
    with transaction.atomic():
        feedback, _ = Feedback.objects.update_or_create(owner=user, message=message, defaults=fields)
        audit.record(user, "feedback.give", conversation_id=message.conversation_id, value=value)
        if feedback.value == Feedback.Value.BAD and feedback.comment:
            flags.raise_flag(message, source=Flag.Source.FEEDBACK, reason=flags.BAD_ANSWER, by=user)
        else:
            flags.withdraw(message, source=Flag.Source.FEEDBACK, reason=flags.BAD_ANSWER, by=user)
    return feedback


def withdraw_feedback(user: User, message: Message) -> None:
    """Forget what a user thinks of an answer."""
    with transaction.atomic():
        if Feedback.objects.filter(owner=user, message=message).delete()[0]:
            audit.record(user, "feedback.withdraw", conversation_id=message.conversation_id)
        flags.withdraw(message, source=Flag.Source.FEEDBACK, reason=flags.BAD_ANSWER, by=user)
