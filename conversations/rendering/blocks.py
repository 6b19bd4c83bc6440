"""The top-level blocks of sanitised HTML, and what makes one list of them of another by touching only what differs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TAG = re.compile(r"<(/?)([a-z0-9]+)[^>]*>")  # clean HTML has no bare < or > in attributes
_VOID = frozenset({"br", "hr", "img", "input"})


class Edit(NamedTuple):
    """Put `html` where `swap` (htmx's name) says, seen from the `child`th top-level block; 0 is what holds them."""

    child: int
    swap: str
    html: str


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
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    rest = 0
    while rest < min(len(before), len(after)) - same and before[-1 - rest] == after[-1 - rest]:
        rest += 1
    html = "".join(after[same : len(after) - rest])
    gone = range(same + 1, len(before) - rest + 1)
    for child in reversed(gone[1:]):
        yield Edit(child, "delete", "")
    if gone:
        yield Edit(gone[0], "outerHTML" if html else "delete", html)
    elif html:
        yield Edit(same, "afterend" if same else "afterbegin", html)
