"""Emphasis: which runs of `*`, `_` and `~` open and close, and which of them belong together (CommonMark 6.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from markdown_it.common.utils import isMdAsciiPunct, isPunctChar

from conversations.rendering.maths import Undecided

DELIMITERS = re.compile(r"\*+|_+|~+")


@dataclass(slots=True)
class Opener:
    """A run of delimiters that waits for its end."""

    marker: str
    left: int  # delimiters that nothing has closed yet
    usable: int
    length: int
    both: bool


def flanking(text: str, at: int, ended: bool) -> tuple[int, bool, bool]:
    """Return the end of a run of delimiters, and whether it can open and close (CommonMark 6.2)."""
    run = DELIMITERS.match(text, at)
    assert run is not None  # noqa: S101 - there is one at `at`
    end = run.end()
    if end == len(text) and not ended:
        raise Undecided
    if run[0] == "~":
        return end, False, False
    before, after = (text[at - 1] if at else " "), (text[end] if end < len(text) else " ")
    left = not after.isspace() and (not _punctuation(after) or before.isspace() or _punctuation(before))
    right = not before.isspace() and (not _punctuation(before) or after.isspace() or _punctuation(after))
    if run[0][0] == "_":
        return end, left and (not right or _punctuation(before)), right and (not left or _punctuation(after))
    return end, left, right


def _punctuation(character: str) -> bool:
    return isMdAsciiPunct(ord(character)) or isPunctChar(character)


def pair(openers: list[Opener], run: str, opens: bool, closes: bool) -> None:
    """Let a run close what it can, and open what is left of it."""
    marker, length = run[0], len(run)
    left = length - length % 2 if marker == "~" else length
    while closes and left:
        index = next((i for i in reversed(range(len(openers))) if _fits(openers[i], marker, length, opens)), -1)
        if index < 0:
            break
        opener = openers[index]
        del openers[index + 1 :]
        used = 2 if marker == "~" or (opener.left > 1 and left > 1) else 1
        left -= used
        opener.left -= used
        if opener.left <= 0:
            openers.pop()
    if left and opens:
        openers.append(Opener(marker, left, left, length, closes))


def _fits(opener: Opener, marker: str, length: int, opens: bool) -> bool:
    if opener.marker != marker:
        return False
    if marker == "~" or not (opener.both or opens):
        return True
    return (opener.length + length) % 3 != 0 or (opener.length % 3 == 0 and length % 3 == 0)
