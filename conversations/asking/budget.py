"""What of a conversation fits into a model's window, and what the reader is told about it. Plain values, in tokens.

A window holds what is sent and what is answered. When a conversation outgrows it, its oldest turns stay behind, whole
turns at a time, so that what is sent begins with a question. The newest question is always sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ANSWER_TOKENS = 4_096  # the room kept for an answer when nobody has said how long it may be
LEAST_ANSWER_TOKENS = 256  # with less than this there is no point in asking


@dataclass(frozen=True, slots=True)
class Fitted:
    """How many of the oldest messages stay behind, how many tokens are sent, and whether that can be answered."""

    omitted: int
    tokens: int
    fits: bool


def fit(sizes: Sequence[tuple[bool, int]], *, fixed: int, window: int, wanted: int = 0) -> Fitted:
    """Choose from messages, oldest first, each given as (asked by the user, tokens).

    `fixed` is what is sent in any case, `wanted` how long the answer may be (0: not said).
    """
    room = window - reserve(window, wanted)
    total = fixed + sum(size for _, size in sizes)
    # Where a request may begin: at each question, the newest one last.
    starts = [number for number, (asked, _) in enumerate(sizes) if asked] or [max(0, len(sizes) - 1)]
    omitted = 0
    for start in starts if starts[0] == 0 else [0, *starts]:
        total -= sum(size for _, size in sizes[omitted:start])
        omitted = start
        if total <= room:
            break
    return Fitted(omitted, total, total + least_answer(window) <= window)


def reserve(window: int, wanted: int = 0) -> int:
    """Return how much room an answer is kept: what it may need, but never more than half of the window."""
    return min(wanted, window // 2) if wanted else min(ANSWER_TOKENS, window // 4)


def least_answer(window: int) -> int:
    """Return the least room that an answer needs."""
    return min(LEAST_ANSWER_TOKENS, window // 8)
