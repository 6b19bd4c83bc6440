"""What is sent to a model: the branch from the root to the message that is being written, as plain values."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import cast

from django.conf import settings
from django.db.models import Prefetch

from conversations.models import ChatModel, Generation, Message
from conversations.providers.base import ChatMessage, ChatRequest, Deadlines, Endpoint, Prefill, Role


def branch(leaf: Message | None) -> list[Message]:
    """Return the messages from the root to `leaf`, with their generations, in three queries."""
    if leaf is None:
        return []
    parents = dict(Message.objects.filter(conversation=leaf.conversation_id).values_list("pk", "parent_id"))
    path: list[uuid.UUID] = []
    current: uuid.UUID | None = leaf.pk
    while current is not None:
        path.append(current)
        current = parents.get(current)
    generations = Generation.objects.defer("timeline").select_related("model")
    rows = Message.objects.filter(pk__in=path).prefetch_related(Prefetch("generations", generations)).in_bulk()
    return [rows[pk] for pk in reversed(path) if pk in rows]


def answer_text(message: Message) -> str:
    """Return an assistant message's text: that of its generations that have ended, in order, without reasoning."""
    return "".join(
        part["text"] for generation in message.generations.all() for part in generation.output if part["kind"] == "text"
    )


def request_for(generation: Generation) -> ChatRequest:
    """Return what the provider is asked for."""
    message = generation.message
    earlier = branch(message.parent)
    return ChatRequest(
        messages=tuple(_chat_messages(message.conversation.system_prompt, earlier)),
        parameters=_parameters(generation),
        partial=answer_text(message) if generation.kind == Generation.Kind.CONTINUE else "",
    )


def _parameters(generation: Generation) -> dict[str, float | int | str]:
    parameters = dict(generation.message.conversation.parameters)
    if generation.model is not None and generation.model.is_demo:
        # The demo says the same to the same words: another version, which has another id, is to differ.
        parameters.setdefault("seed", generation.message_id.int % 1_000_000)
    return parameters


def _chat_messages(system_prompt: str, messages: list[Message]) -> Iterator[ChatMessage]:
    if system_prompt:
        yield ChatMessage("system", system_prompt)
    for message in messages:
        text = answer_text(message) if message.role == Message.Role.ASSISTANT else message.text
        if text:  # an answer that failed before its first word says nothing
            yield ChatMessage(cast(Role, message.role), text)


def endpoint_of(model: ChatModel) -> Endpoint:
    """Return where and how to reach a model; its key is read from the environment at this moment."""
    return Endpoint(
        base_url=model.base_url,
        api_key=os.environ.get(model.api_key_variable, "") if model.api_key_variable else "",
        model_name=model.model_name,
        prefill=cast(Prefill, model.prefill),
    )


def deadlines() -> Deadlines:
    """Return the four deadlines from the settings."""
    return Deadlines(
        connect_seconds=settings.CONNECT_SECONDS,
        first_token_seconds=settings.FIRST_TOKEN_SECONDS,
        idle_seconds=settings.IDLE_SECONDS,
        total_seconds=settings.TOTAL_SECONDS,
    )
