"""Hostile text costs in proportion to its length: no expression backtracks over it, nothing is read again and again."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import process_time

import pytest

from conversations.rendering.incremental import IncrementalRenderer
from conversations.rendering.maths import formula_at
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


@pytest.mark.parametrize(
    ("make", "length"),
    [
        (lambda length: "[^1]: " * length, 100),
        (lambda length: f"[a]({' ' * length}", 400),
        (lambda length: "-" * length, 4_000),
        (lambda length: f"words\n{' ' * length}", 4_000),
        (lambda length: f"```\n{'x' * length}", 8_000),
        (lambda length: f"{'`' * length}x`", 1_000),
        (lambda length: "".join(f"[r{n}]: http://x.e\n" for n in range(length)), 400),
    ],
    ids=["notes", "target", "dashes", "blank", "code", "fence", "definitions"],
)
def test_it_costs_in_proportion_in_small_pieces(make, length):
    assert_in_proportion(make, length, 4)


@pytest.mark.parametrize("character", ["a", "中"])
def test_one_long_word_in_one_piece_costs_in_proportion(character):
    assert_in_proportion(lambda length: character * length, 12_500, 100_000)


@pytest.mark.parametrize("text", ["*" + "\\[" * 1_000, "[" + "!<a:\\[*a" * 250, "$" + "\\[" * 1_000])
def test_a_formula_is_looked_for_once_at_each_place(text):
    """In text that waits, and is looked at again with each piece; looking goes far ahead."""
    looked: list[int] = []

    def note(frame, event, _argument) -> None:
        if event == "call" and frame.f_code is formula_at.__code__:
            looked.append(frame.f_locals["start"])

    renderer = IncrementalRenderer()
    sys.setprofile(note)
    try:
        for piece in pieces_of(text, 4):
            renderer.feed(piece)
    finally:
        sys.setprofile(None)
    assert len(looked) < 2 * len(text)
