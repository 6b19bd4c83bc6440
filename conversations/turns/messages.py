"""What a user can do with messages and their conversation as a whole.

Every action that makes a model write is one transaction: the messages, the generation `queued`, the audit entry; the
generation is started when that has been committed. The row of the conversation is locked meanwhile, so that two
actions at once have an order. A `request_key` makes an action happen once, however often it is asked for.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection

from django.db import IntegrityError, transaction

from chatapp.accounts.models import User
from conversations import audit, dispatch, metrics
from conversations.asking.titles import first_words
from conversations.journal import Ending, end_generation
from conversations.models import ChatModel, Conversation, Generation, GenerationQuerySet, Message
from conversations.models.paths import newest_leaf
from conversations.search import index_titles
from conversations.turns.attachments import copy_attachments
from conversations.turns.base import (
    AnswerRunning,
    NothingToContinue,
    StillStopping,
    Turn,
    answer,
    ask,
    generate,
    is_running,
    locked,
    refuse_while_running,
    repeated_turn,
)
from conversations.turns.drafts import end_draft
from conversations.turns.fitting import complete
from conversations.turns.settings import ConversationSettings


def start(  # noqa: PLR0913 - the fields of the composer
    user: User,
    *,
    text: str,
    model: ChatModel | None,
    request_key: uuid.UUID,
    settings: ConversationSettings | None = None,
    attachments: Collection[uuid.UUID] = (),
    draft_key: uuid.UUID | None = None,
    temporary: bool = False,
) -> Turn:
    """Begin a conversation with a first message and its files. Raises `TurnRefused`."""
    if (repeated := repeated_turn(user, request_key, text)) is not None:
        return repeated
    try:
        with transaction.atomic():
            conversation = Conversation(owner=user, title=first_words(text), model=model, temporary=temporary)
            if settings is not None:
                conversation.system_prompt, conversation.parameters = settings.system_prompt, settings.parameters
            conversation.save(force_insert=True)
            index_titles([conversation.pk])
            audit.record(user, "conversation.start", conversation_id=conversation.pk)
            end_draft(user, None, text=text, keys=(request_key, draft_key))
            turn = complete(ask(conversation, parent=None, text=text, request_key=request_key), attachments)
            _title_from_files(conversation, turn.answer.parent)
            return turn
    except IntegrityError:  # the same request, a moment earlier: there is no row yet that both could lock
        if (repeated := repeated_turn(user, request_key, text)) is None:
            raise
        return repeated


def _title_from_files(conversation: Conversation, question: Message | None) -> None:
    """Call a conversation that begins without words by its first file."""
    if conversation.title or question is None:
        return
    first = question.attachments.first()
    conversation.title = first.name if first is not None else ""
    conversation.save(update_fields=["title"])
    index_titles([conversation.pk])


def send(  # noqa: PLR0913 - each is named by the caller
    conversation: Conversation,
    *,
    text: str,
    model: ChatModel | None,
    request_key: uuid.UUID,
    stop_first: bool = False,
    attachments: Collection[uuid.UUID] = (),
    draft_key: uuid.UUID | None = None,
) -> Turn:
    """Add a message, with its files, at the end of the branch that is shown.

    Raises `AnswerRunning` unless `stop_first`, and what `fitting.complete` does.
    """
    with transaction.atomic():
        conversation = locked(conversation)
        if (repeated := repeated_turn(conversation.owner, request_key, text)) is not None:
            return repeated
        if is_running(conversation):
            if not stop_first:
                raise AnswerRunning
            stop(conversation)
        conversation.model = model or conversation.model
        end_draft(conversation.owner, conversation, text=text, keys=(request_key, draft_key))
        turn = ask(conversation, parent=conversation.active_leaf, text=text, request_key=request_key)
        return complete(turn, attachments)


def edit(message: Message, *, text: str, request_key: uuid.UUID) -> Turn:
    """Ask anew in other words: a sibling of a user's message, with the same files and an answer of its own."""
    with transaction.atomic():
        conversation = locked(message.conversation)
        if (repeated := repeated_turn(conversation.owner, request_key, text)) is not None:
            return repeated
        refuse_while_running(conversation)
        audit.record(conversation.owner, "message.edit", conversation_id=conversation.pk, message=str(message.pk))
        turn = ask(conversation, parent=message.parent, text=text, request_key=request_key)
        if turn.answer.parent is not None:
            copy_attachments(message.attachments.defer("text"), turn.answer.parent)
        return complete(turn)


def regenerate(
    message: Message, *, request_key: uuid.UUID, model: ChatModel | None = None, instruction: str = ""
) -> Turn:
    """Have an answer written again, as a new version beside the old one; `instruction` says how it is to differ."""
    with transaction.atomic():
        conversation = locked(message.conversation)
        if (repeated := repeated_turn(conversation.owner, request_key)) is not None:
            return repeated
        refuse_while_running(conversation)
        conversation.model = model or conversation.model
        audit.record(conversation.owner, "answer.regenerate", conversation_id=conversation.pk, message=str(message.pk))
        turn = answer(
            conversation,
            parent=message.parent,
            request_key=request_key,
            instruction=instruction,
            based_on=message if instruction else None,
        )
        return complete(turn)


def continue_(message: Message, *, request_key: uuid.UUID, model: ChatModel | None = None) -> Turn:
    """Have a partial answer at the end of a branch continued: another generation of the same message.

    Raises `NothingToContinue` and `StillStopping`.
    """
    with transaction.atomic():
        conversation = locked(message.conversation)
        if (repeated := repeated_turn(conversation.owner, request_key)) is not None:
            return repeated
        refuse_while_running(conversation)
        if message.generations.active().exists():
            raise StillStopping
        if not message.is_partial or message.children.exists():
            raise NothingToContinue
        conversation.model = model or conversation.model
        return generate(conversation, _continuation(message, request_key))


def _continuation(message: Message, request_key: uuid.UUID) -> Generation:
    begun = message.generations.order_by("pk").last()
    return Generation(
        message=message,
        kind=Generation.Kind.CONTINUE,
        request_key=request_key,
        instruction=begun.instruction if begun else "",
        based_on=begun.based_on if begun else None,
    )


def stop(conversation: Conversation) -> int:
    """Stop whatever is being written in a conversation; return how many generations were asked to stop."""
    return stop_generations(Generation.objects.filter(message__conversation=conversation), actor=conversation.owner)


def stop_generations(rows: GenerationQuerySet, *, actor: User) -> int:
    """Stop those of these generations that have not ended; return how many were asked to stop."""
    with transaction.atomic():
        places = dict(rows.active().values_list("pk", "message__conversation"))
        active = Generation.objects.filter(pk__in=places).active()
        queued = active.filter(status=Generation.Status.QUEUED)
        never_started = [pk for pk in queued.values_list("pk", flat=True) if _end_queued(pk)]
        running = list(active.values_list("pk", flat=True))
        Generation.request_stop(active)
        for pk in (*never_started, *running):
            audit.record(actor, "generation.stop", conversation_id=places[pk], generation_id=pk)
        transaction.on_commit(lambda: dispatch.hint_stop(running))
        transaction.on_commit(lambda: dispatch.hint_ended(never_started))
        return len(running) + len(never_started)


def activate(message: Message) -> None:
    """Show the branch that a message is on, down to its newest end."""
    with transaction.atomic():
        conversation = locked(message.conversation)
        conversation.active_leaf_id = newest_leaf(message.pk)
        conversation.save(update_fields=["active_leaf"])
        audit.record(conversation.owner, "conversation.branch", conversation_id=conversation.pk)


def rename(conversation: Conversation, *, title: str) -> None:
    """Give a conversation a title that no model changes any more."""
    conversation.title = title.replace("\0", "")
    conversation.title_source = Conversation.TitleSource.USER
    with transaction.atomic():
        conversation.save(update_fields=["title", "title_source"])
        index_titles([conversation.pk])
        audit.record(conversation.owner, "conversation.rename", conversation_id=conversation.pk)


def _end_queued(generation_id: uuid.UUID) -> bool:
    queued = Generation.objects.filter(pk=generation_id, status=Generation.Status.QUEUED)
    ended = end_generation(queued, generation_id, Ending(Generation.Status.STOPPED))
    if ended:
        row = Generation.objects.select_related("model").get(pk=generation_id)
        metrics.count_end(row, Generation.Status.STOPPED, "")
    return ended
