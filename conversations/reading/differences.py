"""What differs between two texts, word by word, in bounded time. Plain values; no Django.

`difflib` is quadratic and worse on texts that repeat themselves. The work of each comparison is counted and limited:
texts that are too much for a comparison of words are compared by lines, and if that is too much, as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate

MOST_WORK = 400_000  # pairs of equal words or lines looked at: about 0.2 s
MOST_PIECES = 20_000  # words or lines of one text
_WORD = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of one of the texts; `changed` when the other one does not have it there."""

    text: str
    changed: bool


class TooDifferent(Exception):
    """The comparison would take too long."""


class _Matcher(SequenceMatcher[str]):
    """Counts what it looks at, and gives up in time."""

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        super().__init__(None, old, new, autojunk=False)
        occurrences = (len(self.b2j.get(piece, ())) + 1 for piece in old)  # type: ignore[attr-defined] # not in the stubs
        self._costs = [0, *accumulate(occurrences)]
        self._work = 0

    def find_longest_match(self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None):  # type: ignore[no-untyped-def]
        end = len(self._costs) - 1 if ahi is None else ahi
        self._work += self._costs[end] - self._costs[alo]
        if self._work > MOST_WORK:
            raise TooDifferent
        return super().find_longest_match(alo, ahi, blo, bhi)


def compare(old: str, new: str) -> tuple[list[Run], list[Run]]:
    """Return both texts in runs: joined, the runs of each are that text again; the unchanged ones are in both."""
    for pattern in (_WORD, _LINE):
        pieces = pattern.findall(old), pattern.findall(new)
        if max(map(len, pieces)) > MOST_PIECES:
            continue
        try:
            return _runs(*pieces)
        except TooDifferent:
            continue
    same = old == new
    return [Run(old, not same)] if old else [], [Run(new, not same)] if new else []


def _runs(old: Sequence[str], new: Sequence[str]) -> tuple[list[Run], list[Run]]:
    before: list[Run] = []
    after: list[Run] = []
    for tag, old_start, old_end, new_start, new_end in _Matcher(old, new).get_opcodes():
        changed = tag != "equal"
        _add(before, "".join(old[old_start:old_end]), changed=changed)
        _add(after, "".join(new[new_start:new_end]), changed=changed)
    return before, after


def _add(runs: list[Run], text: str, *, changed: bool) -> None:
    if text:
        runs.append(Run(text, changed))
