"""Documents as language models write them, to measure rendering with; their pieces are about as long as tokens."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

LENGTHS = (1, 3, 4, 4, 5, 7)  # characters of a piece: 4 on average


def documents() -> dict[str, str]:
    """Return the text of each document by its name."""
    return {path.stem: path.read_text() for path in sorted(Path(__file__).parent.glob("*.md"))}


def pieces(text: str) -> Iterator[str]:
    """Cut a text into pieces, the same ones each time."""
    chance, begin = random.Random(len(text)), 0
    while begin < len(text):
        end = begin + chance.choice(LENGTHS)
        yield text[begin:end]
        begin = end
