"""The headings of a rendered answer: where they are and what they say, for the list that leads to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

FEWEST = 3
MOST = 60
_HEADING = re.compile(r'<h([3-6]) id="([\w-]+)"[^>]*>(.*?)</h\1>', re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Heading:
    """One entry; `depth` is 0 for the highest level that the answer uses."""

    id: str
    text: str
    depth: int


def outline(html: str) -> list[Heading]:
    """Return the headings of an answer that has several, else nothing; `html` is the renderer's."""
    found = _HEADING.findall(html)[:MOST]
    if len(found) < FEWEST:
        return []
    top = min(int(level) for level, _, _ in found)
    texts = ((int(level) - top, name, _plain(words)) for level, name, words in found)
    return [Heading(name, text, depth) for depth, name, text in texts if text]


def _plain(html: str) -> str:
    return " ".join(unescape(_TAG.sub("", html)).split())
