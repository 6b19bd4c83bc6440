"""Takes `<think>…</think>` out of a growing text: models without a field for reasoning write it into the answer.

A tag counts only at the beginning of a line outside a fenced code block, so that an answer which speaks about the tag
keeps it. A `</think>` that nothing opened stays text. Nothing is lost: what is inside an unclosed tag is reasoning.
"""

from __future__ import annotations

import re
from itertools import groupby

from conversations.providers.base import ReasoningDelta, TextDelta

_OPEN = "<think>"
_CLOSE = "</think>"
_FENCES = ("```", "~~~")
_HEAD = 12  # characters of a line that show whether it is a fence, indentation included
_MARK = re.compile("[<`~]")
_SPACE = re.compile(r"\s*")
_INDENT = re.compile(r"[^\S\n]*")


class ThinkSplitter:
    """Feed pieces in order, then `flush`; the joined texts do not depend on where the pieces were cut.

    Linear in the length of the text, whatever it holds: positions move on, the rest is never copied.
    """

    def __init__(self) -> None:
        self._held = ""  # may be the beginning of a tag
        self._thinking = False
        self._skip_space = False  # between `</think>` and the answer
        self._blank = True  # the open line holds nothing but space so far
        self._head = ""  # the beginning of the open line
        self._fenced = False
        self._events: list[TextDelta | ReasoningDelta] = []

    def feed(self, text: str) -> list[TextDelta | ReasoningDelta]:
        text, self._held = self._held + text, ""
        if not (self._thinking or self._skip_space or _MARK.search(self._head) or _MARK.search(text)):
            return self._plain(text)
        position = 0
        while position < len(text):
            position = self._inside(text, position) if self._thinking else self._outside(text, position)
        return self._taken()

    def _plain(self, text: str) -> list[TextDelta | ReasoningDelta]:
        """Text without any tag or fence, as most of it is: no need to look at its lines."""
        last = text[text.rfind("\n") + 1 :]
        if len(last) < len(text):
            self._blank, self._head = True, ""
        self._blank = self._blank and not last.strip()
        self._head = (self._head + last[:_HEAD])[:_HEAD]
        return [TextDelta(text)] if text else []

    def flush(self) -> list[TextDelta | ReasoningDelta]:
        """What was held back in case a tag would follow; call once, at the end."""
        held, self._held = self._held, ""
        if held:
            self._events.append(ReasoningDelta(held) if self._thinking else TextDelta(held))
        return self._taken()

    def _taken(self) -> list[TextDelta | ReasoningDelta]:
        events, self._events = self._events, []
        if len(events) < 2:  # noqa: PLR2004 - nothing to join
            return events
        return [kind("".join(event.text for event in group)) for kind, group in groupby(events, type)]

    def _inside(self, text: str, position: int) -> int:
        end = text.find(_CLOSE, position)
        if end >= 0:
            self._thinking = False
            self._skip_space = True
            after = end + len(_CLOSE)
        else:
            after = len(text)
            end = after - _overlap(text, position)
            self._held = text[end:]
        if end > position:
            self._events.append(ReasoningDelta(text[position:end]))
        return after

    def _outside(self, text: str, position: int) -> int:
        """At most one line of the answer."""
        if self._skip_space:
            position = _end(_SPACE, text, position)
            self._skip_space = position == len(text)
        newline = text.find("\n", position)
        end = len(text) if newline < 0 else newline + 1
        if self._blank and not self._fenced:
            tag = _end(_INDENT, text, position)
            if text.startswith(_OPEN, tag):
                self._thinking = True
                self._emit(text[position:tag])
                return tag + len(_OPEN)
            if len(text) - tag < len(_OPEN) and _OPEN.startswith(text[tag:]):
                self._held = text[tag:]
                end = tag
        self._emit(text[position:end])
        return len(text) if self._held else end

    def _emit(self, piece: str) -> None:
        """`piece` lies within one line, its end included."""
        if not piece:
            return
        self._events.append(TextDelta(piece))
        self._blank = self._blank and piece.isspace()
        if len(self._head) < _HEAD:
            self._head = (self._head + piece)[:_HEAD]
        if piece.endswith("\n"):
            if self._head.lstrip(" ").startswith(_FENCES):
                self._fenced = not self._fenced
            self._blank, self._head = True, ""


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    """Where a match of `pattern`, which matches everywhere, ends."""
    match = pattern.match(text, position)
    return match.end() if match else position


def _overlap(text: str, position: int) -> int:
    """Length of the longest end of `text` (behind `position`) that begins a closing tag."""
    longest = min(len(_CLOSE) - 1, len(text) - position)
    return next((size for size in range(longest, 0, -1) if text.endswith(_CLOSE[:size])), 0)
