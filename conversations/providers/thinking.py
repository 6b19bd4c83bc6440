"""Takes `<think>…</think>` out of a growing text: models without a field for reasoning write it into the answer.

A tag counts only at the beginning of a line outside a fenced code block, so that an answer which speaks about the tag
keeps it. A `</think>` that nothing opened stays text. Nothing is lost: what is inside an unclosed tag is reasoning.
"""

from __future__ import annotations

from conversations.providers.base import ReasoningDelta, TextDelta

_OPEN = "<think>"
_CLOSE = "</think>"
_FENCES = ("```", "~~~")


class ThinkSplitter:
    """Feed pieces in order, then `flush`; the events' texts do not depend on where the pieces were cut."""

    def __init__(self) -> None:
        self._held = ""  # may be the beginning of a tag
        self._thinking = False
        self._blank = True  # the open line holds nothing but space so far
        self._head = ""  # its first characters, which show a fence
        self._fenced = False
        self._skip_space = False

    def feed(self, text: str) -> list[TextDelta | ReasoningDelta]:
        events: list[TextDelta | ReasoningDelta] = []
        rest = self._held + text
        self._held = ""
        while rest:
            rest = self._inside(rest, events) if self._thinking else self._outside(rest, events)
        return events

    def flush(self) -> list[TextDelta | ReasoningDelta]:
        """What was held back in case a tag would follow; call once, at the end."""
        held, self._held = self._held, ""
        if not held:
            return []
        return [ReasoningDelta(held)] if self._thinking else [TextDelta(held)]

    def _inside(self, rest: str, events: list[TextDelta | ReasoningDelta]) -> str:
        end = rest.find(_CLOSE)
        if end < 0:
            keep = _overlap(rest, _CLOSE)
            self._held = rest[len(rest) - keep :]
            rest, after = rest[: len(rest) - keep], ""
        else:
            rest, after = rest[:end], rest[end + len(_CLOSE) :]
            self._thinking = False
            self._skip_space = True
        if rest:
            events.append(ReasoningDelta(rest))
        return after

    def _outside(self, rest: str, events: list[TextDelta | ReasoningDelta]) -> str:
        """One line, or the part of it that has arrived; returns what comes behind it."""
        if self._skip_space:
            rest = rest.lstrip()
            if not rest:
                return ""
            self._skip_space = False
        newline = rest.find("\n")
        piece, after = (rest, "") if newline < 0 else (rest[: newline + 1], rest[newline + 1 :])
        tag = -1 if self._fenced or not self._blank else len(piece) - len(piece.lstrip())
        if tag >= 0 and piece.startswith(_OPEN, tag):
            self._thinking = True
            after = piece[tag + len(_OPEN) :] + after
            piece = piece[:tag]
        elif tag >= 0 and _OPEN.startswith(piece[tag:]) and newline < 0:
            self._held = piece[tag:]
            piece = piece[:tag]
        self._emit(piece, events)
        return after

    def _emit(self, piece: str, events: list[TextDelta | ReasoningDelta]) -> None:
        if not piece:
            return
        events.append(TextDelta(piece))
        self._blank = self._blank and not piece.strip()
        self._head = (self._head + piece)[:12]
        if piece.endswith("\n"):
            if self._head.lstrip(" ").startswith(_FENCES):
                self._fenced = not self._fenced
            self._blank, self._head = True, ""


def _overlap(text: str, tag: str) -> int:
    """Length of the longest end of `text` that begins `tag`."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])), 0)
