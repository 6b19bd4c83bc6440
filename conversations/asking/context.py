"""What is sent to a model: the branch from the root to the message that is being written, as plain values."""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from django.conf import settings
from django.db.models import Prefetch, prefetch_related_objects

from conversations.asking.budget import fit
from conversations.asking.parameters import Parameters, usable
from conversations.journal import fold, replay
from conversations.models import Attachment, ChatModel, Generation, Message, Parts
from conversations.models.paths import upward
from conversations.providers.base import ChatMessage, ChatRequest, Deadlines, Endpoint, Image, Prefill, Role
from conversations.providers.tokens import MESSAGE_TOKENS, estimate
from conversations.safety.filtering import outgoing

logger = logging.getLogger(__name__)

# What a model is asked after its answer; it is not stored, and the demo model knows these sentences.
INSTRUCTIONS = {
    Generation.Instruction.SHORTER: "Write your last answer again, shorter: about half as long, in the same language.",
    Generation.Instruction.LONGER: "Write your last answer again, longer: in more detail, in the same language.",
    Generation.Instruction.MORE_FORMAL: "Write your last answer again, more formally, in the same language.",
}


def branch(leaf: Message | None) -> list[Message]:
    """Return the messages from the root to `leaf`, with their generations, in three queries."""
    return messages_at(upward(leaf.pk)[::-1]) if leaf is not None else []


def said(leaf: Message | None) -> list[Message]:
    """Return what a model is told of a branch: what its owner can read, too.

    Messages of a system or a tool are shown nowhere; such came in by imports, from files that anybody may have made.
    """
    return [message for message in branch(leaf) if message.role in {Message.Role.USER, Message.Role.ASSISTANT}]


def messages_at(ids: Sequence[uuid.UUID]) -> list[Message]:
    """Return messages in the order of their ids here, with their generations; those that are gone are left out."""
    generations = Generation.objects.defer("timeline").select_related("model", "instead_of")
    rows = Message.objects.filter(pk__in=ids).prefetch_related(Prefetch("generations", generations)).in_bulk()
    return [rows[pk] for pk in ids if pk in rows]


def answer_text(message: Message, before: Generation | None = None) -> str:
    """Return an assistant message's text as far as it is durable, without reasoning.

    It is that of its generations, in order; only of those `before` one if that is given.
    """
    generations = [row for row in message.generations.all() if before is None or row.pk < before.pk]
    parts = [part for generation in generations for part in parts_of(generation)]
    return "".join(part["text"] for part in parts if part["kind"] == "text")


def parts_of(generation: Generation) -> Parts:
    """Return what a generation has written; one that is being stopped has it in its deltas still."""
    if not generation.is_active:
        parts: Parts = generation.output
        return parts
    progress = replay(generation.pk)
    if progress is None:
        return []
    return progress.output if progress.ended else fold((d.kind, d.text, d.at_ms) for d in progress.deltas)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the provider is asked for, how many tokens that is about, and how many of the oldest messages stay behind.

    `fits` is False when even the newest question alone is more than the model reads.
    """

    request: ChatRequest
    input_tokens: int
    omitted: int
    fits: bool


def plan_for(generation: Generation, written: str = "", *, window: int | None = None) -> Plan:
    """Return what is asked for, within the model's window, or within a smaller `window` (in tokens).

    `written` is what this generation's earlier writers have left. When all does not fit, the oldest turns stay behind:
    the system prompt, the newest question and room for the answer always have their place.
    """
    message = generation.message
    model = generation.model
    sees = model is not None and model.sees_images
    known = model.window if model is not None else settings.DEFAULT_CONTEXT_WINDOW
    window = min(known, window or known)
    partial = (answer_text(message, generation) if generation.kind == Generation.Kind.CONTINUE else "") + written
    system = message.conversation.system_prompt
    earlier = with_attachments(said(message.parent))
    fixed = sum(estimate(text) + MESSAGE_TOKENS for text in (system, partial, *_instructed(generation)) if text)
    parameters = _parameters(generation)
    sizes = [(row.role == Message.Role.USER, message_tokens(row, sees=sees)) for row in earlier]
    fitted = fit(sizes, fixed=fixed, window=window, wanted=int(parameters.get("max_tokens", 0)))
    if "max_tokens" in parameters:
        parameters["max_tokens"] = min(int(parameters["max_tokens"]), max(1, window - fitted.tokens))
    messages = _as_instructed(generation, list(_chat_messages(system, earlier[fitted.omitted :], sees=sees)))
    request = outgoing(ChatRequest(tuple(messages), parameters, partial), generation)
    return Plan(request, fitted.tokens, fitted.omitted, fitted.fits)


def with_attachments(messages: list[Message]) -> list[Message]:
    """Return messages with their attachments, without what is in these."""
    prefetch_related_objects(messages, Prefetch("attachments", Attachment.objects.defer("text")))
    return messages


def message_tokens(message: Message, *, sees: bool) -> int:
    """Return about how many tokens a message with its attachments costs; a model that does not `see` gets no image."""
    text = answer_text(message) if message.role == Message.Role.ASSISTANT else message.text
    files = [row for row in message.attachments.all() if sees or row.kind != Attachment.Kind.IMAGE]
    return estimate(text) + MESSAGE_TOKENS + sum(row.tokens for row in files)


def request_for(generation: Generation, written: str = "") -> ChatRequest:
    """Return what the provider is asked for; see `plan_for`."""
    return plan_for(generation, written).request


def _instructed(generation: Generation) -> list[str]:
    """Return the answer that is to be written otherwise, if there is one, and how; nothing without an instruction."""
    if not generation.instruction:
        return []
    before = answer_text(generation.based_on) if generation.based_on is not None else ""
    return [*filter(None, [before]), INSTRUCTIONS[Generation.Instruction(generation.instruction)]]


def _as_instructed(generation: Generation, messages: list[ChatMessage]) -> list[ChatMessage]:
    """Return the messages with the answer that is to be written otherwise, and how; roles go on taking turns."""
    said = _instructed(generation)
    if not said or not messages:
        return messages
    *before, instruction = said
    if before:
        return [*messages, ChatMessage("assistant", before[0]), ChatMessage("user", instruction)]
    *others, last = messages
    return [*others, ChatMessage(last.role, f"{last.content}\n\n{instruction}", last.images)]


def _parameters(generation: Generation) -> Parameters:
    parameters = usable(generation.message.conversation.parameters)
    if generation.model is not None and generation.model.is_demo:
        # The demo says the same to the same words: another version, which has another id, is to differ.
        parameters.setdefault("seed", generation.message_id.int % 1_000_000)
    return parameters


def _chat_messages(system_prompt: str, messages: list[Message], *, sees: bool) -> Iterator[ChatMessage]:
    if system_prompt:
        yield ChatMessage("system", system_prompt)
    withheld = {message.parent_id for message in messages for row in message.generations.all() if not row.was_sent}
    for message in messages:
        if message.pk in withheld:
            continue
        answered = message.role == Message.Role.ASSISTANT
        text, images = (answer_text(message), ()) if answered else _with_files(message, sees=sees)
        if text or images:  # an answer that failed before its first word says nothing
            yield ChatMessage(cast(Role, message.role), text, images)


def _with_files(message: Message, *, sees: bool) -> tuple[str, tuple[Image, ...]]:
    """Return what a user said, behind the files that came with it: texts in the text, images beside it."""
    texts, images = [], []
    for row in message.attachments.all():
        if row.kind == Attachment.Kind.TEXT:
            texts.append(fenced(row.name, row.text))
        elif not sees:
            texts.append(f"[{row.name}: an image, which you cannot see]")
        elif (content := _content(row)) is not None:
            images.append(Image(row.content_type, content))
        else:
            texts.append(f"[{row.name}: an image that is no longer there]")
    return "\n\n".join([*texts, *filter(None, [message.text])]), tuple(images)


def _content(row: Attachment) -> bytes | None:
    """Return what is in a file; None when its storage has lost it, as after a restore of the database alone."""
    try:
        with row.file.open() as file:
            content: bytes = file.read()
    except OSError as error:
        logger.warning("Attachment %s cannot be read: %s", row.pk, type(error).__name__)
        return None
    return content


def question_text(generation: Generation) -> str:
    """Return what a user asked, with the texts of the files that came with it. Blocks on the database."""
    question = generation.message.parent
    return _with_files(question, sees=False)[0] if question is not None else ""


def fenced(name: str, text: str) -> str:
    """Return a file as a model reads it: its name, then its text between fences longer than any in it."""
    longest = max((len(run) for run in re.findall("`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{name}:\n{fence}\n{text.rstrip()}\n{fence}"


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
