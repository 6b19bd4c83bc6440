"""What the actions share: why one can be refused, what one makes, and how an answer is begun."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from chatapp.accounts.addresses import client_network
from chatapp.accounts.models import User
from chatapp.logs import about
from conversations import audit, dispatch, limits, metrics
from conversations.asking.context import answer_text, branch
from conversations.asking.routes import route_of
from conversations.limits import Estimate, LimitExceeded
from conversations.measuring import pacing, tracing
from conversations.models import Conversation, Generation, Message
from conversations.providers.tokens import estimate
from conversations.search import index_messages

logger = logging.getLogger(__name__)


class TurnRefused(Exception):
    """The action cannot be done now; `str()` is the sentence for the user, `status` what HTTP calls it."""

    status = 409
    retry_after_seconds: float | None = None


class AnswerRunning(TurnRefused):
    """An answer is being written in this conversation."""

    def __init__(self) -> None:
        super().__init__(
            gettext("An answer is still being written. Stop it first, or tick “Stop the running answer first”.")
        )


class Gone(TurnRefused):
    """The conversation was deleted meanwhile."""

    def __init__(self) -> None:
        super().__init__(gettext("This conversation has been deleted."))


class KeyUsed(TurnRefused):
    """The form was used before, for something else."""

    def __init__(self) -> None:
        super().__init__(gettext("An earlier message was sent with this form. Your text is kept: send it again."))


class NoServer(TurnRefused):
    """Nobody is there who could write an answer."""

    def __init__(self) -> None:
        super().__init__(
            gettext("Answers cannot be written at the moment: the server is just stopping. Try again soon.")
        )


class StillStopping(TurnRefused):
    """The answer was told to stop, and has not yet."""

    def __init__(self) -> None:
        super().__init__(gettext("The answer is still being stopped. Try again in a moment."))


class NothingToContinue(TurnRefused):
    """The answer is complete, or not the kind that can be continued."""

    def __init__(self) -> None:
        super().__init__(
            gettext("This answer is complete; there is nothing to continue. Send a message or regenerate it.")
        )


class LimitReached(TurnRefused):
    """The user, a group of theirs or their address has used what it may; `retry_after_seconds` None: for good."""

    def __init__(self, user: User, exceeded: LimitExceeded) -> None:
        super().__init__(str(exceeded))
        metrics.limits_hit.labels(exceeded.limit).inc()
        self.user = user
        self.limit = exceeded.limit
        self.retry_after_seconds = exceeded.retry_after_seconds
        self.status = 422 if exceeded.retry_after_seconds is None else 429


class OutOfService(TurnRefused):
    """An admin has put the model out of service; the sentence is theirs."""

    status = 503


@dataclass(frozen=True, slots=True)
class Turn:
    """What an action made: the generation that was queued; `repeated` when the same request had made it before."""

    generation: Generation
    repeated: bool = False

    @property
    def answer(self) -> Message:
        """The assistant message that is being written."""
        return self.generation.message

    @property
    def conversation(self) -> Conversation:
        """Where it happens."""
        return self.generation.message.conversation


def locked(conversation: Conversation) -> Conversation:
    """Return the row of a conversation, locked until the end of the transaction. Raises `Gone`."""
    rows = Conversation.objects.select_for_update(of=("self",)).select_related("owner", "model", "active_leaf")
    locked = rows.filter(pk=conversation.pk, deleted_at=None).first()
    if locked is None:
        raise Gone
    return locked


def repeated_turn(user: User, request_key: uuid.UUID, text: str | None = None) -> Turn | None:
    """Return what the same request has made before; `text` is what it asked, if it asked something."""
    generation = (
        Generation.objects.select_related("message__conversation", "message__parent")
        .filter(request_key=request_key)
        .first()
    )
    if generation is None:
        return None
    if generation.message.conversation.owner_id != user.pk:
        raise TurnRefused(gettext("This form is not yours, or too old. Reload the page and try again."))
    question = generation.message.parent
    if text is not None and (question is None or question.text != storable(text)):
        raise KeyUsed
    return Turn(generation, repeated=True)


def refuse_while_running(conversation: Conversation) -> None:
    """Raise `AnswerRunning` when it is so."""
    if is_running(conversation):
        raise AnswerRunning


def is_running(conversation: Conversation) -> bool:
    """Whether an answer is being written that nobody has told to stop."""
    active = Generation.objects.filter(message__conversation=conversation, stop_requested_at=None).active()
    return active.exists()


def ask(conversation: Conversation, *, parent: Message | None, text: str, request_key: uuid.UUID) -> Turn:
    """Add a question below `parent`, and have it answered. Raises `LimitReached` when it is too long."""
    try:
        limits.check_message(conversation.owner, text)
    except LimitExceeded as exceeded:
        raise LimitReached(conversation.owner, exceeded) from exceeded
    question = Message.objects.create(
        conversation=conversation, parent=parent, role=Message.Role.USER, text=storable(text)
    )
    index_messages([question])
    return answer(conversation, parent=question, request_key=request_key)


def storable(text: str) -> str:
    """Return a text as every database takes it."""
    return text.replace("\0", "")  # PostgreSQL takes no NUL


def answer(
    conversation: Conversation,
    *,
    parent: Message | None,
    request_key: uuid.UUID,
    instruction: str = "",
    based_on: Message | None = None,
) -> Turn:
    """Add an answer below `parent`, and have it written; `instruction` says how it differs from `based_on`."""
    message = Message.objects.create(conversation=conversation, parent=parent, role=Message.Role.ASSISTANT)
    generation = Generation(message=message, request_key=request_key, instruction=instruction, based_on=based_on)
    return generate(conversation, generation)


def generate(conversation: Conversation, generation: Generation) -> Turn:
    """Have a new generation written once the transaction is committed.

    What is queued in the conversation waits for it from now on. Raises `NoServer`, `OutOfService` and `LimitReached`;
    the transaction must then be rolled back.
    """
    if not dispatch.can_start():
        raise NoServer
    refuse_out_of_service(conversation)
    generation.model = conversation.model
    generation.arm = pacing.arm_of(conversation.owner_id)
    reserve(conversation, generation)
    generation.save(force_insert=True)
    conversation.queued_messages.update(after=generation)
    conversation.active_leaf = generation.message
    conversation.updated_at = timezone.now()
    conversation.left_at = None
    conversation.save(update_fields=["active_leaf", "updated_at", "left_at", "model"])
    action = f"generation.{generation.kind}"
    audit.record(conversation.owner, action, conversation_id=conversation.pk, generation_id=generation.pk)
    transaction.on_commit(lambda: _start(generation))
    return Turn(generation)


def _start(generation: Generation) -> None:
    """Start it; the line in the log is where the id of the request meets that of the generation."""
    with about(generation_id=generation.pk, conversation_id=generation.message.conversation_id):
        logger.info("A generation was asked for")
        tracing.carry(generation.pk, tracing.carried())
        dispatch.start(generation.pk)


def refuse_out_of_service(conversation: Conversation) -> None:
    """Raise `OutOfService` when the model is, and no fallback answers instead."""
    model = conversation.model
    if model is not None and model.out_of_service_message and route_of(model) is None:
        raise OutOfService(model.out_of_service_message)


def reserve(conversation: Conversation, generation: Generation) -> None:
    """Set aside what an answer is expected to use. Raises `LimitReached`."""
    try:
        limits.reserve(
            generation.pk, conversation.owner, client_network.get(), lambda: expected_use(conversation, generation)
        )
    except LimitExceeded as exceeded:
        raise LimitReached(conversation.owner, exceeded) from exceeded


def expected_use(conversation: Conversation, generation: Generation) -> Estimate:
    """Return about how many tokens an answer will take: all that is sent, and the most that may come back."""
    message = generation.message
    said = [conversation.system_prompt, *(row.text or answer_text(row) for row in branch(message.parent))]
    if generation.kind == Generation.Kind.CONTINUE:
        said.append(answer_text(message))
    tokens = sum(estimate(text) for text in said)
    if conversation.model is not None and conversation.model.context_window:
        tokens = min(tokens, conversation.model.context_window)
    most = conversation.parameters.get("max_tokens")
    return Estimate(tokens, most if isinstance(most, int) and most > 0 else settings.RESERVED_OUTPUT_TOKENS)
