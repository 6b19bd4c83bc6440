"""Two versions of a message side by side, as templates need them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from conversations.asking.context import answer_text
from conversations.live.state import dom_id
from conversations.models import Message
from conversations.reading.differences import Run, compare
from conversations.reading.transcript import instruction_label

LONGEST = 400_000  # characters of a text that are shown; answers end long before


@dataclass(frozen=True, slots=True)
class Version:
    """One version, whether it is shown or can be chosen: its number counts from one."""

    id: uuid.UUID
    dom_id: str
    number: int
    created_at: datetime
    model_label: str
    instruction: str
    runs: list[Run]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All versions to choose from, and the two that are compared; with one version `old` is None."""

    versions: list[Version]
    old: Version | None
    new: Version
    same: bool


def compared(message: Message, *, old: uuid.UUID | None, new: uuid.UUID | None) -> Comparison:
    """Compare two siblings of a message; what was not chosen, or is no sibling, is the message and the one before."""
    rows = list(
        Message.objects.filter(conversation=message.conversation_id, parent=message.parent_id, role=message.role)
        .prefetch_related("generations__model")
        .order_by("pk")
    )
    places = {row.pk: number for number, row in enumerate(rows)}
    second = places.get(new or message.pk, places[message.pk])
    first = places.get(old) if old is not None else None
    if first is None or first == second:
        first, second = (second - 1, second) if second else (0, min(1, len(rows) - 1))
    texts = _text(rows[first]), _text(rows[second])
    runs = compare(*texts)
    shown = {first: runs[0], second: runs[1]}
    versions = [_version(row, number, shown.get(number, [])) for number, row in enumerate(rows)]
    return Comparison(versions, versions[first] if first != second else None, versions[second], texts[0] == texts[1])


def _text(message: Message) -> str:
    text = answer_text(message) if message.role == Message.Role.ASSISTANT else message.text
    return text[:LONGEST]


def _version(message: Message, number: int, runs: list[Run]) -> Version:
    generations = list(message.generations.all())
    first = generations[0] if generations else None
    label = (first.model.label if first.model else first.model_name) if first is not None else ""
    instruction = instruction_label(first.instruction) if first is not None else ""
    return Version(message.pk, dom_id(message.pk), number + 1, message.created_at, label, instruction, runs)
