"""The top-level blocks of sanitised HTML, and what makes one list of them of another by touching only what differs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

_TAG = re.compile(r"<(/?)([a-z0-9]+)[^>]*>")  # clean HTML has no bare < or > in attributes
_VOID = frozenset({"br", "hr", "img", "input"})

MOST_COMPARED = (
    120  # blocks between the first and the last difference; what comparing them costs grows with their square
)


class Edit(NamedTuple):
    """Put `html` where `swap` (htmx's name) says, seen from the `child`th top-level block; 0 is what holds them."""

    child: int
    swap: str
    html: str


class _Hunk(NamedTuple):
    """Blocks that differ: from `begin` to `end` of the old ones, and what takes their place."""

    begin: int
    end: int
    new_begin: int
    new_end: int


def blocks_of(html: str) -> list[str]:
    """Return the top-level elements; what stands between them belongs to the one before."""
    ends, depth = [], 0
    for tag in _TAG.finditer(html):
        if tag[2] not in _VOID:
            depth += -1 if tag[1] else 1
        if depth == 0:
            ends.append(tag.end())
    return [html[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def edits(old: str, new: str) -> Iterator[Edit]:
    """Yield what turns the blocks of `old` into those of `new`, last first, so that earlier places stay right."""
    before, after = blocks_of(old), blocks_of(new)
    for hunk in reversed(list(_hunks(before, after))):
        yield from _replace(range(hunk.begin + 1, hunk.end + 1), "".join(after[hunk.new_begin : hunk.new_end]))


def _replace(gone: range, html: str) -> Iterator[Edit]:
    """Put `html` in the place of these children; behind the one before it if there are none."""
    for child in reversed(gone[1:]):
        yield Edit(child, "delete", "")
    if gone:
        yield Edit(gone[0], "outerHTML" if html else "delete", html)
    elif html:
        child = gone.start - 1
        yield Edit(child, "afterend" if child else "afterbegin", html)


def _hunks(before: list[str], after: list[str]) -> Iterator[_Hunk]:
    """Yield what differs, first first."""
    same = _same(before, after)
    rest = _same(before[same:][::-1], after[same:][::-1])
    old, new = before[same : len(before) - rest], after[same : len(after) - rest]
    for hunk in _between(old, new):
        yield _Hunk(*(place + same for place in hunk))


def _same(before: list[str], after: list[str]) -> int:
    """Return how many blocks are the same at the beginning."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((number for number, (old, new) in pairs if old != new), min(len(before), len(after)))


def _between(old: list[str], new: list[str]) -> Iterator[_Hunk]:
    if max(len(old), len(new)) <= MOST_COMPARED:
        for tag, *places in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag != "equal":
                yield _Hunk(*places)
    elif len(old) == len(new):
        yield from (_Hunk(at, at + 1, at, at + 1) for at in range(len(old)) if old[at] != new[at])
    else:
        yield _Hunk(0, len(old), 0, len(new))
