"""Text as words to be found by: the same for both databases, so that both find the same. No database, no Django.

Words are folded: no case, no accents, compatible forms as one. Scripts that are written without spaces (Chinese,
Japanese, Thai, Lao, Khmer, Burmese) become overlapping pairs of characters, and the last character by itself; a query
of one such character then is the beginning of a pair, and a longer one asks for all of its pairs. Whoever searches for
part of a word in other scripts must begin at its beginning.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

LONGEST_WORD = 64
MOST_BYTES = 400_000  # of a message's words: PostgreSQL takes no more than a megabyte
LONGEST_QUERY = 200
MOST_TERMS = 12
SHORTEST_PREFIX = 3  # shorter words are only found whole, but for the last: it is still being typed

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN = re.compile(rf"(?P<unspaced>[{_UNSPACED}]+)|[^\W_{_UNSPACED}]+")
_ACCENTS = dict.fromkeys(range(768, 880))


@dataclass(frozen=True, slots=True)
class Term:
    """What one word of a query asks for; `shown` is how it looks in a folded text."""

    words: tuple[str, ...]
    prefix: bool
    shown: str
    unspaced: bool = False


@lru_cache(maxsize=20_000)
def fold_character(character: str) -> str:
    """Return what a character counts as: nothing, itself, or several."""
    if unicodedata.category(character)[0] == "M":
        return ""
    plain = unicodedata.normalize("NFKD", character).translate(_ACCENTS)
    return unicodedata.normalize("NFKC", plain).casefold()


def fold(text: str) -> str:
    """Return a text as it is compared."""
    if text.isascii():
        return text.lower()
    return "".join(map(fold_character, unicodedata.normalize("NFC", text)))


def words(text: str) -> list[str]:
    """Return the words of a text, each once, as many as an index takes."""
    found: dict[str, None] = {}
    size = 0
    for word in _words(fold(text)):
        if word not in found:
            found[word] = None
            size += len(word.encode("utf-8", "ignore"))
            if size > MOST_BYTES:
                break
    return list(found)


def _words(folded: str) -> Iterator[str]:
    for match in _RUN.finditer(folded):
        run = match[0]
        if match["unspaced"]:
            yield from (run[place : place + 2] for place in range(len(run)))
        else:
            yield run[:LONGEST_WORD]


def terms(query: str) -> list[Term]:
    """Return what a query asks for; whatever is no word in it asks for nothing."""
    runs = list(_RUN.finditer(fold(query[:LONGEST_QUERY])))[:MOST_TERMS]
    found = []
    for number, match in enumerate(runs, start=1):
        run = match[0][:LONGEST_WORD]
        if match["unspaced"]:
            pairs = tuple(run[place : place + 2] for place in range(max(1, len(run) - 1)))
            found.append(Term(pairs, len(run) == 1, run, unspaced=True))
        else:
            found.append(Term((run,), len(run) >= SHORTEST_PREFIX or number == len(runs), run))
    return found
