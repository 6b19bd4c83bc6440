"""Private keys as they stand in files: from their first line to their last."""

from __future__ import annotations

import re

from conversations.filters.base import Detector, Match

LONGEST = 240  # characters that decide whether a block begins
MOST = 16_384  # of a block whose last line never comes
_END_ROOM = 80
_GAP = r"[\s\\\"'`+>|,]{0,40}"
_BEGIN = re.compile(
    rf"-----BEGIN(?: [A-Z0-9]{{1,16}}){{0,3}} PRIVATE KEY(?: BLOCK)?-----{_GAP}"
    r"(?:[A-Za-z0-9+/=]{16}|Proc-Type:|DEK-Info:|Version:|Comment:|Charset:|Hash:)"
)
_OPEN = re.compile(rf"-----BEGIN[ A-Z0-9]{{0,80}}(?:-{{1,4}}|-----{_GAP}[A-Za-z0-9+/=:-]{{0,16}})?")
_LINE = re.compile("-----BEGIN")
_LAST = re.compile(r"-----END[ A-Z0-9]{0,60}-----")


class RestOfBlock:
    """Swallows up to the last line of a block, or `MOST` characters."""

    def __init__(self) -> None:
        self._left = MOST
        self._over = False

    def consume(self, text: str) -> tuple[int, bool]:
        """See `Swallow`; like the rest of a word it ends where the next character is, not at its own last one."""
        if self._over:
            return 0, bool(text)
        last = _LAST.search(text, 0, self._left + _END_ROOM)
        if last and last.start() < self._left:
            self._over = True
            return last.end(), last.end() < len(text)
        if len(text) >= self._left + _END_ROOM:
            return self._left, True
        sure = min(self._left, max(0, len(text) - _END_ROOM))
        self._left -= sure
        return sure, False

    def end(self, text: str) -> int:
        """See `Swallow`."""
        if self._over:
            return 0
        last = _LAST.search(text, 0, self._left + _END_ROOM)
        return last.end() if last and last.start() < self._left else min(self._left, len(text))


class PrivateKeys(Detector):
    """PEM, OpenSSH and PGP."""

    def find(self, text: str, start: int, limit: int) -> Match | None:
        """See `Detector`."""
        if text.find("-----BEGIN", start) < 0:
            return None
        match = _BEGIN.search(text, start)
        return Match(match.start(), match.end(), RestOfBlock()) if match and match.start() < limit else None

    def opening(self, text: str, start: int) -> int:
        """See `Detector`."""
        for line in _LINE.finditer(text, max(start, len(text) - LONGEST)):
            if _OPEN.fullmatch(text, line.start()):
                return line.start()
        return max(start, len(text.rstrip("-BEGIN")), len(text) - LONGEST)  # a line that has just begun
