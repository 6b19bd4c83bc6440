"""Conversations as Markdown: front matter, then a heading for each message and its text as it was written."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Iterator

from django.utils.translation import gettext

from conversations.asking.context import answer_text, parts_of
from conversations.models import Conversation, Message
from conversations.transfer.documents import moment


def markdown_of(conversation: Conversation, messages: list[Message]) -> str:
    """Return messages of a conversation as one text; where there are versions, a heading says which one it is."""
    notes = version_notes(messages)
    parts = ["\n".join(_front_matter(conversation, messages)), f"# {_one_line(str(conversation))}"]
    if conversation.system_prompt:
        parts += [f"## {gettext('System prompt')}", conversation.system_prompt.strip()]
    for message in messages:
        parts += _section(message, notes.get(message.pk, ""))
    return "\n\n".join(parts) + "\n"


def models_of(messages: list[Message]) -> list[str]:
    """Return the names of the models that wrote these, each once."""
    rows = [row for message in messages for row in message.generations.all()]
    return list(dict.fromkeys(name for row in rows if (name := row.model.label if row.model else row.model_name)))


def version_notes(messages: list[Message]) -> dict[uuid.UUID, str]:
    """Return what tells a version from the others, for messages that have some among these."""
    siblings: defaultdict[uuid.UUID | None, list[uuid.UUID]] = defaultdict(list)
    numbers = {message.pk: number for number, message in enumerate(messages, start=1)}
    for message in messages:
        siblings[message.parent_id].append(message.pk)
    notes = {}
    for parent, versions in siblings.items():
        for place, pk in enumerate(versions, start=1):
            values = {"number": place, "count": len(versions), "parent": numbers.get(parent, 0) if parent else 0}
            if len(versions) > 1:
                notes[pk] = gettext("version %(number)s of %(count)s, after message %(parent)s") % values
    return notes


def _front_matter(conversation: Conversation, messages: list[Message]) -> Iterator[str]:
    values = {
        "title": _one_line(str(conversation)),
        "created": moment(conversation.created_at),
        "updated": moment(conversation.updated_at),
        "models": [_one_line(name) for name in models_of(messages)],
        "tags": [_one_line(tag.name) for tag in conversation.tags.all()],
        "messages": len(messages),
    }
    yield "---"
    for name, value in values.items():
        yield f"{name}: {json.dumps(value, ensure_ascii=False)}"  # JSON is YAML
    yield "---"


def _section(message: Message, note: str) -> Iterator[str]:
    generations = list(message.generations.all())
    if message.role == Message.Role.USER:
        heading = gettext("You")
    elif message.role == Message.Role.ASSISTANT:
        last = generations[-1] if generations else None
        label = (last.model.label if last.model else last.model_name) if last is not None else ""
        heading = _one_line(label) or gettext("Assistant")
    else:
        heading = message.get_role_display().capitalize()
    yield f"## {heading}" + (f" ({note})" if note else "")
    yield from (f"*{gettext('File')}: {_one_line(row.name)}*" for row in message.attachments.all())
    thoughts = "".join(
        part["text"] for row in generations for part in parts_of(row) if part["kind"] == "reasoning"
    ).strip()
    if thoughts:
        heading = "*{}*".format(gettext("Reasoning"))
        yield "\n".join(f"> {line}".rstrip() for line in [heading, "", *thoughts.splitlines()])
    text = answer_text(message) if message.role == Message.Role.ASSISTANT else message.text
    yield text.strip("\n") or "*{}*".format(gettext("There is no text here."))


def _one_line(text: str) -> str:
    """Headings and front matter hold no line breaks or control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
