"""Hostile text costs in proportion to its length: no expression backtracks over it, nothing is read again and again."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import pytest

from conversations.rendering.incremental import IncrementalRenderer
from tests.rendering.texts import pieces_of

TIMES_AS_LONG = 4
MOST = 10  # times the cost: 4 would be in proportion, 16 a square


def cpu_of(text: str, size: int) -> float:
    """The least CPU time of a few: a measure that sees what is spent inside one regular expression, too."""
    return min(_cpu_once(text, size) for _ in range(3))


def _cpu_once(text: str, size: int) -> float:
    renderer = IncrementalRenderer()
    started = process_time()
    for piece in pieces_of(text, size):
        renderer.feed(piece)
    renderer.finish()
    return process_time() - started


def assert_in_proportion(make: Callable[[int], str], length: int, size: int) -> None:
    short, long = cpu_of(make(length), size), cpu_of(make(TIMES_AS_LONG * length), size)
    assert long <= MOST * short + 0.005, (short, long)


@pytest.mark.parametrize("size", [100, 100_000])
@pytest.mark.parametrize("words", ["a", "a #", "#"])
def test_white_space_in_a_heading_costs_in_proportion(words, size):
    assert_in_proportion(lambda length: f"# {words}{' ' * length}x", 500, size)
