"""Cuts a large JSON file into the conversations in it without ever holding all of it.

The file is a list of conversations, or an object that has such a list under "conversations", or one conversation.
Only brackets and strings are looked at here, on bytes: what is in a piece is for `json`, which sees one at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

DEEPEST = 100  # far more than any export has; Python's parser would give up at a thousand
LONGEST_HEADER = 1_000_000  # bytes; what is longer says nothing that anybody asks for
# What is no bracket, with whole strings; possessive, so that it cannot run away.
_PLAIN = re.compile(rb'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_NAMED = re.compile(rb'(?:\A|,)\s*+"conversations"\s*+:\s*+\Z')
_BLANK = b" \t\r\n,"
# Up to and with the next sign that a value may stand behind, outside of strings; it matches wherever one ended.
_VALUE = re.compile(rb'(?:[^",\[{]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+(?:([,\[{])|\Z)', re.DOTALL)


class NotJson(ValueError):
    """The file is no JSON, or ends before its end."""


class TooDeep(ValueError):
    """A piece has more levels than any conversation."""


class TooLong(ValueError):
    """A piece is larger than allowed."""


Piece = bytes | ValueError


def has_more_values(piece: bytes, most: int) -> bool:
    """Whether there are more values in a piece than that: each costs far more memory than its bytes say."""
    if sum(map(piece.count, (b",", b"[", b"{"))) <= most:
        return False  # even with those in strings
    return any(found[1] for found in islice(_VALUE.finditer(piece), most, None))


@dataclass(slots=True)
class Splitter:
    """Feed it a file; it yields the pieces: bytes of one JSON value each, or why a piece cannot be read."""

    longest: int
    header: dict[str, Any] = field(default_factory=dict)  # of an object: what comes before its list
    _buffer: bytearray = field(default_factory=bytearray)
    _position: int = 0  # up to where the buffer has been looked at: no byte is looked at twice
    _plain: int = 0  # behind the last bracket
    _in_string: bool = False
    _start: int = 0  # where the piece being read begins
    _depth: int = 0
    _base: int = -1  # the depth of the list; -1 until it is found
    _listed: bool = False  # the list has ended
    _bad: ValueError | None = None
    _ended: bool = False

    def split(self, chunks: Iterable[bytes]) -> Iterator[Piece]:
        """Yield the pieces of a file. Raises `NotJson` and `TooLong`."""
        for chunk in chunks:
            self._buffer += chunk
            yield from self._scan()
            self._shorten()
        if not self._ended:
            raise NotJson

    def _scan(self) -> Iterator[Piece]:
        view = bytes(self._buffer)
        while self._skip(view):
            if self._ended:
                raise NotJson
            begin, self._plain = self._plain, self._position + 1
            self._position += 1
            if view[self._position - 1] in b"[{":
                self._open(view, begin)
            elif (piece := self._close(view)) is not None:
                yield piece
        if self._ended and view[self._plain :].strip():
            raise NotJson

    def _skip(self, view: bytes) -> bool:
        """Go on to the next bracket outside of strings; False when what has been read ends before it."""
        while self._position < len(view):
            if self._in_string:
                self._position = _IN_STRING.match(view, self._position).end()  # type: ignore[union-attr] # matches
                if view[self._position : self._position + 1] != b'"':  # the end, perhaps in the middle of an escape
                    return False
                self._position, self._in_string = self._position + 1, False
            self._position = _PLAIN.match(view, self._position).end()  # type: ignore[union-attr] # matches
            if view[self._position : self._position + 1] != b'"':
                return self._position < len(view)
            self._position, self._in_string = self._position + 1, True
        return False

    def _close(self, view: bytes) -> Piece | None:
        piece = None
        self._depth -= 1
        if self._depth < 0:
            raise NotJson
        self._ended = self._depth == 0
        if (self._depth == self._base and not self._listed) or (self._ended and self._base < 0):
            piece = self._bad or view[self._start : self._position]
            self._bad = None
        if self._depth < self._base:
            self._listed = True
        return piece

    def _open(self, view: bytes, begin: int) -> None:
        if self._depth == self._base:
            self._start = self._position - 1
        self._depth += 1
        if self._base < 0 and self._depth <= 2 and self._begins_list(view, begin):  # noqa: PLR2004 - in an object
            self._base = self._depth
        elif self._depth > max(self._base, 0) + DEEPEST:
            self._bad = TooDeep()

    def _begins_list(self, view: bytes, begin: int) -> bool:
        """Whether the bracket just read, which stands behind `begin`, begins the list of conversations."""
        end = self._position - 1
        if view[end : self._position] != b"[":
            return False
        if self._depth == 1:
            return not view[begin:end].strip(b"\xef\xbb\xbf" + _BLANK)
        if not _NAMED.search(view[begin:end]):
            return False
        if self._position > LONGEST_HEADER:
            return True
        try:
            found = json.loads(view[: self._position].decode("utf-8-sig") + "]}")
        except (ValueError, RecursionError) as error:
            raise NotJson from error
        self.header = {name: value for name, value in found.items() if name != "conversations"}
        return True

    def _shorten(self) -> None:
        """Forget what is done with, and of a piece that is longer than allowed all but that it is there."""
        inside = self._depth > self._base and not self._listed
        if self._base < 0 or inside:
            keep = self._start
            if self._base >= 0 and len(self._buffer) - keep > self.longest:
                self._bad, keep = self._bad or TooLong(), self._position
        else:
            keep = self._position
        if len(self._buffer) - keep > self.longest:  # before the list, or a string without end
            raise TooLong
        del self._buffer[:keep]
        self._position -= keep
        self._plain = max(0, self._plain - keep)
        self._start = max(0, self._start - keep)
