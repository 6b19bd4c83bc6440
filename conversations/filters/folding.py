"""Texts as detectors read them: invisible characters gone, look-alikes replaced by what they look like.

A folded text has one character for each character of the original that is not invisible; `positions` leads back. What
has been found is cut out of the original, which is otherwise left as it is.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

MOST_INVISIBLE = 16  # in a row; the next one separates, so that what is held back stays bounded
SEPARATOR = "\0"  # no text from a provider holds it

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]"
)
_FOLDED_RANGES = ((0x80, 0x3100), (0xA600, 0xAC00), (0xFE10, 0xFE70), (0xFF00, 0xFFF0), (0x1D400, 0x1D800))
_CYRILLIC = "аАеЕоОрРсСхХуУкКмМтТвВнНіІјЈѕЅһԁԛԝ"
_CYRILLIC_LATIN = "aAeEoOpPcCxXyYkKmMtTBBHHiIjJsShdqw"
_GREEK = "αΑΒΕεΖΗιΙκΚΜνΝοΟρΡτΤυΥχΧ"
_GREEK_LATIN = "aABEeZHiIkKMvNoOpPtTuYxX"


def _compatible() -> dict[int, str]:
    """Full-width and mathematical letters, digits of all scripts, spaces and hyphens, by their plain forms."""
    table = {}
    for first, end in _FOLDED_RANGES:
        for point in range(first, end):
            character = chr(point)
            plain = _plain(character)
            if plain != character:
                table[point] = plain
    return table


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Zs":
        return " "
    if category == "Pd" or character == "\u2212":
        return "-"
    normal = unicodedata.normalize("NFKC", character)
    return normal if len(normal) == 1 and normal.isascii() and normal.isprintable() else character


COMPATIBLE = _compatible()
_LATIN = str.maketrans(_CYRILLIC + _GREEK, _CYRILLIC_LATIN + _GREEK_LATIN)


@dataclass(frozen=True, slots=True)
class Folded:
    """`plain` is for patterns in any language; in `latin`, of the same length, foreign letters are look-alikes, too.

    `positions`: where each character stands in the original, None when all stand where they were.
    """

    plain: str
    latin: str
    positions: list[int] | None = None

    def original(self, position: int) -> int:
        """Return where a character stands in the original; `position` is before the end of the folded text."""
        return position if self.positions is None else self.positions[position]

    def end(self, position: int) -> int:
        """Return where the original of what ends at `position` ends; what is invisible behind it is not part of it."""
        return position if self.positions is None else self.positions[position - 1] + 1 if position else 0


def fold(text: str, invisible_before: int = 0) -> Folded:
    """Fold a text, before which so many invisible characters stood in a row."""
    if text.isascii():
        return Folded(text, text)
    if not _INVISIBLE.search(text):
        plain = text.translate(COMPATIBLE)
        return Folded(plain, plain.translate(_LATIN))
    kept, positions, run = [], [], invisible_before
    for position, character in enumerate(text):
        invisible = _INVISIBLE.match(character)
        run = run + 1 if invisible else 0
        if not invisible or run > MOST_INVISIBLE:
            kept.append(SEPARATOR if invisible else character)
            positions.append(position)
    plain = "".join(kept).translate(COMPATIBLE)
    return Folded(plain, plain.translate(_LATIN), positions)


def trailing_invisible(text: str, before: int) -> int:
    """Return how many invisible characters in a row end a text, before which `before` stood in a row."""
    if text.isascii():
        return 0 if text else before
    count = 0
    for character in reversed(text):
        if not _INVISIBLE.match(character):
            return count
        count += 1
    return count + before
