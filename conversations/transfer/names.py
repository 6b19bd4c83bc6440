"""Names of files that people download: readable, and harmless on every system and in every header."""

from __future__ import annotations

import re

LONGEST = 80
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # on Windows


def file_name(title: str, extension: str, fallback: str = "Conversation") -> str:
    """Return a file name that says what is in it."""
    words = " ".join(_UNSAFE.sub(" ", title.encode("utf-8", "replace").decode()).split())
    stem = words[:LONGEST].strip(". ") or fallback
    return f"{'_' if _RESERVED.fullmatch(stem) else ''}{stem}.{extension}"


class Names:
    """Hands out names for one archive, each once."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def unique(self, name: str) -> str:
        """Return the name, with a number if it is taken; upper and lower case count as one."""
        count = self._used[name.casefold()] = self._used.get(name.casefold(), 0) + 1
        if count == 1:
            return name
        stem, dot, extension = name.rpartition(".")
        return self.unique(f"{stem} ({count}){dot}{extension}")
