"""What of a model's window a conversation uses, and what answers have cost, as pages tell it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.db.models import Sum
from django.utils.formats import number_format

from conversations.asking.budget import reserve
from conversations.asking.context import message_tokens, said, with_attachments
from conversations.models import ChatModel, Conversation, Generation, Message
from conversations.providers.tokens import BYTES_A_TOKEN, MESSAGE_TOKENS, estimate

NEAR_PERCENT = 70
NO_ROW = uuid.UUID(int=0)


@dataclass(frozen=True, slots=True)
class Meter:
    """How full the window is, in tokens; `room` is what is left for words when an answer has its place."""

    used: int
    window: int
    room: int
    bytes_a_token: float = BYTES_A_TOKEN
    near_percent: int = NEAR_PERCENT

    @property
    def percent(self) -> int:
        """How much of the window is used, at most 100."""
        return min(100, round(100 * self.used / self.window))

    @property
    def left(self) -> int:
        """How many tokens are left."""
        return max(0, self.window - self.used)

    @property
    def level(self) -> str:
        """`full` when the oldest messages stay behind, `near` when that is not far, else nothing."""
        if self.used > self.room:
            return "full"
        return "near" if self.percent >= NEAR_PERCENT else ""


def meter(conversation: Conversation | None, model: ChatModel | None, system_prompt: str = "") -> Meter:
    """Return how full the window of `model` is with a conversation, or with a new one that has a system prompt."""
    window = model.window if model is not None else settings.DEFAULT_CONTEXT_WINDOW
    sees = model is not None and model.sees_images
    if conversation is None:
        used, wanted = _system_tokens(system_prompt), 0
    else:
        used = used_tokens(conversation, sees=sees)
        most = conversation.parameters.get("max_tokens")
        wanted = most if isinstance(most, int) else 0
    return Meter(used, window, window - reserve(window, wanted))


def used_tokens(conversation: Conversation, *, sees: bool) -> int:
    """Return what would be sent of the branch that is shown: as the provider counted it, as far as it has.

    Reads the end of the branch; the whole of it only when none of its last two answers has been counted.
    """
    rows = Message.objects.select_related("parent__parent").filter(pk=conversation.active_leaf_id or NO_ROW)
    if (leaf := rows.first()) is None:
        return _system_tokens(conversation.system_prompt)
    before = leaf.parent.parent if leaf.parent is not None else None
    counted = {
        row.message_id: row
        for row in Generation.objects.filter(message__in=[row for row in (leaf, before) if row is not None])
        .defer("timeline")
        .order_by("pk")
    }
    if (tokens := _counted(counted.get(leaf.pk))) is not None:
        return tokens
    tokens = _counted(counted.get(before.pk)) if before is not None else None
    if before is not None and leaf.parent is not None and tokens is not None:
        return tokens + message_tokens(leaf.parent, sees=sees) + message_tokens(leaf, sees=sees)
    whole = with_attachments(said(leaf))
    return sum(message_tokens(row, sees=sees) for row in whole) + _system_tokens(conversation.system_prompt)


def _counted(last: Generation | None) -> int | None:
    """Return the tokens down to the end of an answer, by its last generation; None when nobody has counted them."""
    if last is None or last.is_active or not last.input_tokens:
        return None
    text = "".join(part["text"] for part in last.output if part["kind"] == "text")
    return last.input_tokens + estimate(text)


def _system_tokens(prompt: str) -> int:
    return estimate(prompt) + MESSAGE_TOKENS if prompt else 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What an answer took, all its generations together; None where nobody knows."""

    input_tokens: int | None
    output_tokens: int | None
    estimated: bool
    cost: str
    first_token_seconds: float | None
    seconds: float | None
    redactions: int = 0


def facts_of(generations: Sequence[Generation]) -> Facts | None:
    """Return what an answer that has ended took; None when there is nothing to tell."""
    ended = [row for row in generations if row.ended_at is not None]
    if not ended:
        return None
    costs = [row.cost for row in ended if row.cost is not None]
    first_ms = ended[0].time_to_first_token_ms
    return Facts(
        input_tokens=_sum([row.input_tokens for row in ended]),
        output_tokens=_sum([row.output_tokens for row in ended]),
        estimated=any(row.usage_estimated for row in ended),
        cost=money(sum(costs, Decimal(0))) if costs else "",
        first_token_seconds=None if first_ms is None else round(first_ms / 1000, 2),
        seconds=round(sum((row.ended_at - row.created_at).total_seconds() for row in ended if row.ended_at), 1),
        redactions=sum(row.redaction_count for row in ended),
    )


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


@dataclass(frozen=True, slots=True)
class Spent:
    """What a conversation has taken so far, all its branches together."""

    input_tokens: int
    output_tokens: int
    cost: str


def spent(conversation: Conversation) -> Spent:
    """Return what a conversation has taken, in one query."""
    rows = Generation.objects.filter(message__conversation=conversation)
    sums = rows.aggregate(input=Sum("input_tokens"), output=Sum("output_tokens"), cost=Sum("cost"))
    cost = money(sums["cost"]) if sums["cost"] is not None else ""
    return Spent(sums["input"] or 0, sums["output"] or 0, cost)


def money(amount: Decimal) -> str:
    """Return an amount in the currency of the prices: two places, and more when it is small."""
    places = 2 if amount >= 1 or not amount else 4 if amount >= Decimal("0.01") else 6
    return f"{number_format(round(amount, places), decimal_pos=places, use_l10n=True)} {settings.CURRENCY}"
