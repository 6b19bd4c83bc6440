"""Refuses what cannot be answered before it is asked: a question larger than the model's window, unseen images."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from django.utils.translation import gettext

from conversations.asking.budget import least_answer
from conversations.asking.context import message_tokens
from conversations.files.inspection import grouped
from conversations.models import Generation
from conversations.providers.tokens import MESSAGE_TOKENS, estimate
from conversations.turns.attachments import attach_files, refuse_unseen
from conversations.turns.base import Turn, TurnRefused


class TooLong(TurnRefused):
    """The question alone, with its files and the system prompt, is more than the model reads."""

    def __init__(self, tokens: int, window: int) -> None:
        sentence = gettext(
            "This is about %(tokens)s tokens with its files and the system prompt, and the model reads %(window)s. "
            "Shorten it, or choose a model with more room."
        )
        super().__init__(sentence % {"tokens": grouped(tokens), "window": grouped(window)})


def complete(turn: Turn, attachment_ids: Collection[uuid.UUID] = ()) -> Turn:
    """Attach the files of a question that was just added, and return the turn if it can be answered.

    Within the transaction that makes it, which must be rolled back when this raises `FileGone`, `TooManyFiles`,
    `CannotSee` or `TooLong`.
    """
    question = turn.answer.parent
    if question is not None and attachment_ids:
        attach_files(turn.conversation.owner, attachment_ids, message=question)
        refuse_unseen(turn.generation.model, question)
    refuse_unfit(turn.generation)
    return turn


def refuse_unfit(generation: Generation) -> None:
    """Raise `TooLong` when nothing could be left out to make room for the question and a short answer."""
    model, question = generation.model, generation.message.parent
    if model is None or question is None:
        return
    system = generation.message.conversation.system_prompt
    tokens = message_tokens(question, sees=model.sees_images)
    tokens += estimate(system) + MESSAGE_TOKENS if system else 0
    if tokens + least_answer(model.window) > model.window:
        raise TooLong(tokens, model.window)
