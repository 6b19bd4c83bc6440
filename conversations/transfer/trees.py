"""A conversation as it comes in: plain values that have been checked, whoever wrote them. Strings stay strings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext, ngettext

from conversations.asking.parameters import Parameters, usable

MOST_MESSAGES = 20_000
LONGEST_TEXT = 2_000_000  # characters of one message
MOST_PARTS = 1_000
MOST_FILES = 100  # of one message
LARGEST_NUMBER = 2**31 - 1
LARGEST_PRICE = 10**7
_YEARS = range(1970, 2101)


class NotImported(Exception):
    """This conversation cannot be imported; `str()` is the sentence that says why."""


class Skipped(NotImported):
    """There is nothing to import in it."""


@dataclass(frozen=True, slots=True)
class Enclosed:
    """A file of a message: what it says, or under which name its bytes stand in the archive."""

    name: str
    text: str = ""
    member: str = ""


@dataclass(slots=True)
class Node:
    """A message; `parent` is the place of another one earlier in the list. `generations` are fields of rows."""

    parent: int | None
    role: str
    text: str = ""
    created_at: datetime | None = None
    generations: list[dict[str, Any]] = field(default_factory=list)
    feedback: dict[str, Any] | None = None
    files: list[Enclosed] = field(default_factory=list)


@dataclass(slots=True)
class Tree:
    """A conversation; `active` is the place of the message at the end of the branch that was shown."""

    origin: str
    title: str = ""
    title_source: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    pinned: bool = False
    archived: bool = False
    tags: list[str] = field(default_factory=list)
    model: tuple[str, str] = ("", "")  # its name and label
    system_prompt: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    active: int | None = None
    left_out: int = 0  # files that did not come along
    unshown: int = 0  # messages that nobody would see here
    first_orders: bool = False  # the system prompt was a message


def text(value: Any, longest: int = LONGEST_TEXT) -> str:
    """Return a string as every database takes it, anything else as nothing. Raises `NotImported` when it is too long.

    A short limit cuts instead: names and titles need no refusal.
    """
    if not isinstance(value, str):
        return ""
    if len(value) > longest == LONGEST_TEXT:
        raise NotImported(gettext("A message in it is longer than %(limit)s characters.") % {"limit": f"{longest:,}"})
    return value[:longest].replace("\0", "").encode("utf-8", "replace").decode()


def line(value: Any, longest: int) -> str:
    """Return a string as one line."""
    return " ".join(text(value, 4 * longest).split())[:longest]


def moment(value: Any) -> datetime | None:
    """Return a time from ISO 8601 or from seconds since 1970, or now for one to come; None for anything else."""
    try:
        if isinstance(value, str):
            found = parse_datetime(value)
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found = datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)  # noqa: PLR2004 - milliseconds
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    if found is None or found.year not in _YEARS:
        return None
    found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return min(found, timezone.now())


def number(value: Any, largest: int = LARGEST_NUMBER) -> int | None:
    """Return a whole number from nothing to `largest`; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= largest else None


def price(value: Any) -> Decimal | None:
    """Return an amount of money."""
    try:
        amount = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        return None
    if amount is None or not amount.is_finite() or not 0 <= amount < LARGEST_PRICE:
        return None
    return amount.quantize(Decimal("1e-8"))  # as the column has it: rows that do not fit cannot be read again


def choice(value: Any, known: Any, default: str) -> str:
    """Return one of the values that are known."""
    return value if isinstance(value, str) and value in known else default


def parameters(value: Any) -> Parameters:
    """Return those settings that a model may be sent: a file may not add others to every request."""
    return usable(value) if isinstance(value, dict) else {}


def parts(value: Any) -> list[dict[str, Any]]:
    """Return what a model has written, as typed parts."""
    found = []
    for part in value[:MOST_PARTS] if isinstance(value, list) else ():
        if isinstance(part, dict) and part.get("kind") in {"text", "reasoning"} and (words := text(part.get("text"))):
            start = number(part.get("from_ms")) or 0
            end = max(start, number(part.get("to_ms")) or start)
            found.append({"kind": part["kind"], "text": words, "from_ms": start, "to_ms": end})
    return found


def notes(tree: Tree) -> str:
    """Say what did not come along, and what has become of a message that is none here."""
    found = []
    if tree.first_orders:
        found.append(gettext("Its first system message is its system prompt now: look at its settings."))
    if tree.unshown:
        sentence = ngettext(
            "%(count)s message of the system or of a tool is not part of it.",
            "%(count)s messages of the system or of tools are not part of it.",
            tree.unshown,
        )
        found.append(sentence % {"count": tree.unshown})
    if tree.left_out:
        sentence = ngettext("%(count)s file is not part of it.", "%(count)s files are not part of it.", tree.left_out)
        found.append(sentence % {"count": tree.left_out})
    return " ".join(found)


def check_size(nodes: int) -> None:
    """Raise `NotImported` for a conversation with more messages than anybody writes."""
    if nodes > MOST_MESSAGES:
        raise NotImported(gettext("It has more than %(limit)s messages.") % {"limit": f"{MOST_MESSAGES:,}"})
