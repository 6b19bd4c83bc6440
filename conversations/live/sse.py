"""From state to the bytes of an event stream. Pure functions; the format is the HTML standard's "server-sent events".

One message an update: it holds the new operations, the tails and the id, so that a connection that breaks breaks
between two states and never inside one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from conversations.live.message import Operation
from conversations.rendering.markdown import RENDERER_VERSION

HEARTBEAT = b":\n\n"
_POSITION = re.compile(r"([a-z0-9]{1,12})\.([0-9]{1,9})\.([0-9]{1,9})", re.ASCII)
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Position:
    """How far a viewer is: so many operations of a state made from so many characters."""

    operations: int
    characters: int

    def __str__(self) -> str:
        return f"{RENDERER_VERSION}.{self.operations}.{self.characters}"

    @classmethod
    def parse(cls, value: str) -> Position | None:
        """Read a position strictly; None for one that this version of the renderer did not write."""
        match = _POSITION.fullmatch(value)
        if match is None or match[1] != RENDERER_VERSION:
            return None
        return cls(int(match[2]), int(match[3]))


def message(data: str, *, event_id: str = "", event: str = "", retry_ms: int | None = None) -> bytes:
    """Return one message. A named one is not swapped into the page by htmx; `id` and `event` must be plain words."""
    lines = [f"id: {event_id}"] if event_id else []
    if event:
        lines.append(f"event: {event}")
    if retry_ms is not None:
        lines.append(f"retry: {retry_ms}")
    lines += [f"data: {line}" for line in _LINE_END.split(data.replace("\0", ""))]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


def partial(target: str, html: str, swap: str) -> str:
    """Return an element that htmx swaps into the element with id `target`, which must be a plain word."""
    return f'<hx-partial hx-target="#{target}" hx-swap="{swap}">{html}</hx-partial>'


def update(operations: Iterable[Operation], tails: Mapping[str, str]) -> str:
    """Return the data of an update: neighbouring operations on one element become one."""
    parts = [
        partial(target, "".join(operation.html for operation in group), swap)
        for (target, swap), group in groupby(operations, key=lambda operation: (operation.target, operation.swap))
    ]
    parts += [partial(target, html, "innerHTML") for target, html in tails.items()]
    return "".join(parts)
