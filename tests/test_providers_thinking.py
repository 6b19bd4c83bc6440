"""Reasoning inside the answer, cut anywhere."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.providers import ReasoningDelta, TextDelta
from conversations.providers.thinking import ThinkSplitter

PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "think", ">", "\n", " ", "```", "~~~\n", "a", "é😀", "</", "<th"]),
    max_size=25,
).map("".join)


def split(*pieces: str) -> tuple[str, str]:
    """(text, reasoning) of `pieces` fed one after the other."""
    splitter = ThinkSplitter()
    events = [event for piece in pieces for event in splitter.feed(piece)] + splitter.flush()
    assert all(event.text for event in events)
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    return text, "".join(event.text for event in events if isinstance(event, ReasoningDelta))


@pytest.mark.parametrize(
    ("whole", "text", "reasoning"),
    [
        ("no tag at all", "no tag at all", ""),
        ("<think>hm</think>answer", "answer", "hm"),
        ("<think>\nhm\n</think>\n\nanswer\n", "answer\n", "\nhm\n"),
        (" \n<think>hm</think> answer", " \nanswer", "hm"),
        ("one\n<think>hm</think>\ntwo", "one\ntwo", "hm"),
        ("<think>a</think>\n<think>b</think>answer", "answer", "ab"),
        ("<think>never closed", "", "never closed"),
        ("<think>half</thi", "", "half</thi"),
        ("<thi", "<thi", ""),
        ("<thinking> is something else", "<thinking> is something else", ""),
        ("the tag <think> in a line</think>", "the tag <think> in a line</think>", ""),
        ("`<think>` quoted", "`<think>` quoted", ""),
        ("```\n<think>\n</think>\n```\n<think>hm</think>x", "```\n<think>\n</think>\n```\nx", "hm"),
        ("</think>alone", "</think>alone", ""),
        ("<think></think>", "", ""),
        ("<think>a < b </ c</think>x", "x", "a < b </ c"),
    ],
)
def test_splitter_tells_reasoning_from_text(whole: str, text: str, reasoning: str) -> None:
    assert split(whole) == (text, reasoning)
    assert split(*whole) == (text, reasoning)
    for cut in range(len(whole)):
        assert split(whole[:cut], whole[cut:]) == (text, reasoning)


@given(whole=PIECES, cuts=st.lists(st.integers(0, 100), max_size=6))
def test_splitter_does_not_depend_on_the_cuts(whole: str, cuts: list[int]) -> None:
    bounds = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(bounds)]
    assert split(*pieces) == split(whole)


@given(whole=PIECES)
def test_splitter_loses_only_tags_and_space(whole: str) -> None:
    def bare(text: str) -> str:
        return "".join(text.replace("<think>", "").replace("</think>", "").split())

    text, reasoning = split(whole)
    assert sorted(bare(text) + bare(reasoning)) == sorted(bare(whole)) or "think" in bare(whole)
    assert len(text) + len(reasoning) <= len(whole)


def test_splitter_joins_what_belongs_together() -> None:
    splitter = ThinkSplitter()
    assert splitter.feed("a\nb\n\nc") == [TextDelta("a\nb\n\nc")]
    assert splitter.feed("\n<think>x\ny</think>z") == [TextDelta("\n"), ReasoningDelta("x\ny"), TextDelta("z")]


@pytest.mark.parametrize("unit", ["\n", "<think></think>", "<think>", "</think>", "<", " ", "a\n<think>b</think>"])
def test_splitter_is_linear(unit: str) -> None:
    started = time.process_time()
    split(unit * (300_000 // len(unit)))
    assert time.process_time() - started < 3
