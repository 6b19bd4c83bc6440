"""Server-sent events as providers send them: bytes, cut anywhere, to JSON objects.

Tolerant where servers are sloppy (no blank line between events, junk lines, CRLF, a BOM, invalid UTF-8), strict about
size. It knows nothing of what the objects mean.
"""

from __future__ import annotations

import enum
import json
from typing import Any

MAX_LINE_BYTES = 1_000_000
MAX_EVENT_LINES = 50


class Mark(enum.Enum):
    """A value that is not JSON."""

    DONE = enum.auto()  # `data: [DONE]`
    TOO_LONG = enum.auto()  # a line over MAX_LINE_BYTES: the last value of its list, the stream is of no further use


Value = dict[str, Any] | Mark


class EventStreamParser:
    """`feed` bytes in order, then `flush`; each returns the values that were completed by then."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._pending: list[bytes] = []  # data lines of an event that is not valid JSON yet
        self._name = b""
        self.seen = False  # whether any field of the protocol has appeared at all

    def feed(self, data: bytes) -> list[Value]:
        end = data.rfind(b"\n")
        values: list[Value] = []
        if end >= 0:
            values = self._lines(bytes(self._rest) + data[:end])
            self._rest.clear()
        self._rest += data[end + 1 :]
        if len(self._rest) > MAX_LINE_BYTES:
            values.append(Mark.TOO_LONG)
        return values

    def flush(self) -> list[Value]:
        """The connection has ended: what stands in the last, unended line."""
        return self._lines(bytes(self._rest))

    def _lines(self, data: bytes) -> list[Value]:
        values: list[Value] = []
        for line in data.split(b"\n"):
            value = self._line(line.removesuffix(b"\r"))
            if value is not None:
                values.append(value)
            if value is Mark.TOO_LONG:
                break
        return values

    def _line(self, line: bytes) -> Value | None:
        if line.startswith(b"data:"):
            self.seen = True
            return self._data(line[5:].strip())
        if not line:
            self._pending, self._name = [], b""
        elif line.startswith(b"event:"):
            self.seen = True
            self._name = line[6:].strip()
        elif not self.seen and line.startswith(b"\xef\xbb\xbf"):
            return self._line(line[3:])
        return None

    def _data(self, data: bytes) -> Value | None:
        if data == b"[DONE]":
            return Mark.DONE
        if len(data) > MAX_LINE_BYTES:
            return Mark.TOO_LONG
        value = _parse(data)
        if value is None:
            self._pending = [*self._pending[-MAX_EVENT_LINES:], data]
            value = _parse(b"\n".join(self._pending)) if len(self._pending) > 1 else None
        if value is None:
            return None  # the beginning of an event in several lines, or junk that the next blank line drops
        self._pending = []
        return {"error": value} if self._name == b"error" and "error" not in value else value


def _parse(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
