"""A rule tried on stored transcripts before it is switched on: how much it would find, and where, with that covered."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from conversations.filters.base import Rule
from conversations.filters.redactor import Redactor
from conversations.models import FilterRule, Message
from conversations.safety.filtering import compiled

MOST_MESSAGES = 2_000
MOST_SECONDS = 3.0
MOST_EXCERPTS = 20
AT_ONCE = 50  # messages read by one query
LONGEST_TEXT = 200_000  # characters of one message
AROUND = 30  # characters on each side
COVER = "█████"


@dataclass(slots=True)
class Trial:
    """What a rule found; `complete` is False when its time was over before the messages were.

    `too_slow` counts the messages for which a pattern ran out of time.
    """

    messages: int = 0
    characters: int = 0
    found: int = 0
    touched: int = 0
    seconds: float = 0.0
    complete: bool = True
    too_slow: int = 0
    excerpts: list[tuple[str, str]] = field(default_factory=list)  # id of the message, text around what is covered


def try_rule(row: FilterRule, messages: int, *, readable: Collection[uuid.UUID]) -> Trial:
    """Run a rule over the newest `messages` in its direction. Raises `BadPattern`. Blocks on the database.

    Only conversations that are `readable` count: numbers alone would spell out what is masked, pattern by pattern.
    """
    rules = [replace(rule, action="redact") for rule in compiled(row)]
    trial, started = Trial(), time.monotonic()
    for message in _newest(row.direction, min(messages, MOST_MESSAGES), readable):
        if time.monotonic() - started > MOST_SECONDS:
            trial.complete = False
            break
        _add(trial, message, rules)
    trial.seconds = round(time.monotonic() - started, 2)
    return trial


def _add(trial: Trial, message: Message, rules: list[Rule]) -> None:
    text = (message.text or _written(message))[:LONGEST_TEXT]
    redactor = Redactor(rules)
    piece, rest = redactor.feed(text), redactor.flush()
    covered, marks = piece.text, [*piece.marks]
    marks += [replace(mark, offset=mark.offset + len(covered)) for mark in rest.marks]
    covered += rest.text
    trial.messages += 1
    trial.characters += len(text)
    trial.found += len(marks)
    trial.touched += bool(marks)
    trial.too_slow += bool(redactor.too_slow)
    for mark in marks[: MOST_EXCERPTS - len(trial.excerpts)]:
        after = mark.offset + len(mark.rule.mark)
        before = covered[max(0, mark.offset - AROUND) : mark.offset]
        trial.excerpts.append((str(message.pk), f"{before}{COVER}{covered[after : after + AROUND]}"))


def _newest(direction: str, messages: int, readable: Collection[uuid.UUID]) -> Iterator[Message]:
    """Give the newest messages, read in pieces: never all of them at once."""
    roles = {"input": [Message.Role.USER], "output": [Message.Role.ASSISTANT]}
    wanted = roles.get(direction, [Message.Role.USER, Message.Role.ASSISTANT])
    rows = Message.objects.filter(role__in=wanted, conversation__in=readable, conversation__deleted_at=None)
    for start in range(0, messages, AT_ONCE):
        yield from rows.order_by("-pk").prefetch_related("generations")[start : min(start + AT_ONCE, messages)]


def _written(message: Message) -> str:
    """What models wrote and thought, as far as it has ended."""
    return "\n".join(part["text"] for row in message.generations.all() for part in row.output)
