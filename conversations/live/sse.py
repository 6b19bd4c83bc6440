"""From state to the bytes of an event stream. Pure functions; the format is the HTML standard's "server-sent events".

One message an update: it holds all changes and the id, so that a connection that breaks breaks
between two states and never inside one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from conversations.live.message import Change
from conversations.rendering.markdown import RENDERER_VERSION

DEFAULT_SWAP = "beforeend"  # as `htmx-config` in the page says
HEARTBEAT = b":\n\n"
_POSITION = re.compile(r"([a-z0-9]{1,12})\.([0-9]{1,9})(?:\.([0-9]{1,9}))?", re.ASCII)
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Position:
    """How far a viewer is: so many operations, and whether it shows a tail behind them for the time being.

    `tail` is 0 when there is none, else one more than the characters that are in it.
    """

    operations: int
    tail: int = 0

    def __str__(self) -> str:
        return f"{RENDERER_VERSION}.{self.operations}" + (f".{self.tail}" if self.tail else "")

    @classmethod
    def parse(cls, value: str) -> Position | None:
        """Read a position strictly; None for one that this version of the renderer did not write."""
        match = _POSITION.fullmatch(value)
        if match is None or match[1] != RENDERER_VERSION:
            return None
        return cls(int(match[2]), int(match[3] or 0))


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
    """Return an element that htmx swaps into the element that the CSS selector `target` finds.

    The page's default is to append. Most of what a stream carries is that, and its framing is as long as its text.
    """
    how = "" if swap == DEFAULT_SWAP else f' hx-swap="{swap}"'
    return f'<hx-partial hx-target="{target}"{how}>{html}</hx-partial>'


def update(prefix: str, changes: Iterable[Change]) -> str:
    """Return the data of an update of the message whose inner elements' ids begin with `prefix`."""
    return "".join(partial(f"#{prefix}{change.part}{change.path}", change.html, change.swap) for change in changes)
