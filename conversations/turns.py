"""What a user can do to a conversation, each action once. No HTTP and no HTML: views call these, whoever asks.

Every action that makes a model write is one transaction: the messages, the generation `queued`, the audit entry; the
generation is started when that has been committed. The row of the conversation is locked meanwhile, so that two
actions at once have an order. A `request_key` makes an action happen once, however often it is asked for.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from chatapp.accounts.models import User
from conversations import audit, dispatch
from conversations.journal import Ending, end_generation
from conversations.models import ChatModel, Conversation, Generation, Message
from conversations.titles import first_words


class TurnRefused(Exception):
    """The action cannot be done now; `str()` is the sentence for the user."""


class AnswerRunning(TurnRefused):
    """An answer is being written in this conversation."""

    def __init__(self) -> None:
        super().__init__("An answer is still being written. Stop it first, or tick “Stop the running answer first”.")


class NothingToContinue(TurnRefused):
    """The answer is complete, or not the kind that can be continued."""

    def __init__(self) -> None:
        super().__init__("This answer is complete; there is nothing to continue. Send a message or regenerate it.")


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


def start(user: User, *, text: str, model: ChatModel | None, request_key: uuid.UUID) -> Turn:
    """Begin a conversation with a first message. Raises `TurnRefused` when the key is somebody else's."""
    if (repeated := _repeated(user, request_key)) is not None:
        return repeated
    try:
        with transaction.atomic():
            conversation = Conversation.objects.create(owner=user, title=first_words(text), model=model)
            audit.record(user, "conversation.start", conversation_id=conversation.pk)
            return _ask(conversation, parent=None, text=text, request_key=request_key)
    except IntegrityError:  # the same request, a moment earlier: there is no row yet that both could lock
        if (repeated := _repeated(user, request_key)) is None:
            raise
        return repeated


def send(
    conversation: Conversation, *, text: str, model: ChatModel | None, request_key: uuid.UUID, stop_first: bool = False
) -> Turn:
    """Add a message at the end of the branch that is shown. Raises `AnswerRunning` unless `stop_first`."""
    with transaction.atomic():
        conversation = _locked(conversation)
        if (repeated := _repeated(conversation.owner, request_key)) is not None:
            return repeated
        if _runs(conversation):
            if not stop_first:
                raise AnswerRunning
            stop(conversation)
        conversation.model = model or conversation.model
        return _ask(conversation, parent=conversation.active_leaf, text=text, request_key=request_key)


def edit(message: Message, *, text: str, request_key: uuid.UUID) -> Turn:
    """Ask anew in other words: a sibling of a user's message, with an answer of its own."""
    with transaction.atomic():
        conversation = _locked(message.conversation)
        if (repeated := _repeated(conversation.owner, request_key)) is not None:
            return repeated
        _refuse_while_running(conversation)
        return _ask(conversation, parent=message.parent, text=text, request_key=request_key)


def regenerate(message: Message, *, request_key: uuid.UUID, model: ChatModel | None = None) -> Turn:
    """Have an answer written again, as a new version beside the old one."""
    with transaction.atomic():
        conversation = _locked(message.conversation)
        if (repeated := _repeated(conversation.owner, request_key)) is not None:
            return repeated
        _refuse_while_running(conversation)
        conversation.model = model or conversation.model
        return _answer(conversation, parent=message.parent, request_key=request_key)


def continue_(message: Message, *, request_key: uuid.UUID, model: ChatModel | None = None) -> Turn:
    """Have a partial answer continued: another generation of the same message. Raises `NothingToContinue`."""
    with transaction.atomic():
        conversation = _locked(message.conversation)
        if (repeated := _repeated(conversation.owner, request_key)) is not None:
            return repeated
        _refuse_while_running(conversation)
        last = message.generations.order_by("pk").last()
        if last is None or not last.is_partial:
            raise NothingToContinue
        conversation.model = model or conversation.model
        return _generate(conversation, message, Generation.Kind.CONTINUE, request_key)


def stop(conversation: Conversation) -> int:
    """Stop whatever is being written in a conversation; return how many generations were asked to stop."""
    with transaction.atomic():
        active = Generation.objects.filter(message__conversation=conversation).active()
        queued = active.filter(status=Generation.Status.QUEUED)
        never_started = [pk for pk in queued.values_list("pk", flat=True) if _end_queued(pk)]
        running = list(active.values_list("pk", flat=True))
        Generation.request_stop(active)
        for pk in (*never_started, *running):
            audit.record(conversation.owner, "generation.stop", conversation_id=conversation.pk, generation_id=pk)
        transaction.on_commit(lambda: dispatch.hint_stop(running))
        transaction.on_commit(lambda: dispatch.hint_ended(never_started))
        return len(running) + len(never_started)


def activate(message: Message) -> None:
    """Show the branch that a message is on, down to its newest end."""
    with transaction.atomic():
        conversation = _locked(message.conversation)
        conversation.active_leaf = _newest_leaf(message)
        conversation.save(update_fields=["active_leaf"])


def rename(conversation: Conversation, *, title: str) -> None:
    """Give a conversation a title that no model changes any more."""
    conversation.title = first_words(title)
    conversation.title_source = Conversation.TitleSource.USER
    conversation.save(update_fields=["title", "title_source"])


def delete(conversation: Conversation) -> None:
    """Stop what runs in a conversation and delete all of it; the audit trail remembers that it was."""
    with transaction.atomic():
        stop(conversation)
        audit.record(conversation.owner, "conversation.delete", conversation_id=conversation.pk)
        conversation.delete()


def _locked(conversation: Conversation) -> Conversation:
    rows = Conversation.objects.select_for_update(of=("self",)).select_related("owner", "model", "active_leaf")
    return rows.get(pk=conversation.pk)


def _repeated(user: User, request_key: uuid.UUID) -> Turn | None:
    generation = Generation.objects.select_related("message__conversation").filter(request_key=request_key).first()
    if generation is None:
        return None
    if generation.message.conversation.owner_id != user.pk:
        raise TurnRefused("This form is not yours, or too old. Reload the page and try again.")
    return Turn(generation, repeated=True)


def _refuse_while_running(conversation: Conversation) -> None:
    if _runs(conversation):
        raise AnswerRunning


def _runs(conversation: Conversation) -> bool:
    active = Generation.objects.filter(message__conversation=conversation, stop_requested_at=None).active()
    return active.exists()


def _ask(conversation: Conversation, *, parent: Message | None, text: str, request_key: uuid.UUID) -> Turn:
    question = Message.objects.create(
        conversation=conversation, parent=parent, role=Message.Role.USER, text=text.replace("\0", "")
    )
    return _answer(conversation, parent=question, request_key=request_key)


def _answer(conversation: Conversation, *, parent: Message | None, request_key: uuid.UUID) -> Turn:
    answer = Message.objects.create(conversation=conversation, parent=parent, role=Message.Role.ASSISTANT)
    return _generate(conversation, answer, Generation.Kind.NEW, request_key)


def _generate(conversation: Conversation, answer: Message, kind: str, request_key: uuid.UUID) -> Turn:
    generation = Generation.objects.create(message=answer, kind=kind, request_key=request_key, model=conversation.model)
    conversation.active_leaf = answer
    conversation.updated_at = timezone.now()
    conversation.save(update_fields=["active_leaf", "updated_at", "model"])
    audit.record(conversation.owner, f"generation.{kind}", conversation_id=conversation.pk, generation_id=generation.pk)
    transaction.on_commit(lambda: dispatch.start(generation.pk))
    return Turn(generation)


def _end_queued(generation_id: uuid.UUID) -> bool:
    queued = Generation.objects.filter(pk=generation_id, status=Generation.Status.QUEUED)
    return end_generation(queued, generation_id, Ending(Generation.Status.STOPPED))


def _newest_leaf(message: Message) -> Message:
    children: dict[uuid.UUID, Message] = {}
    for child in Message.objects.filter(conversation=message.conversation_id).order_by("pk"):
        if child.parent_id is not None:
            children[child.parent_id] = child  # the last one wins: ids grow with time
    while message.pk in children:
        message = children[message.pk]
    return message
