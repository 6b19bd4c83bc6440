"""Healing: the blocks that differ are touched, and no others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.rendering.blocks import blocks_of, edits
from conversations.rendering.markdown import render
from tests.rendering.texts import SAMPLE
from tests.viewer import Viewer, html_of, parse

BLOCKS = st.lists(
    st.sampled_from(["<p>a</p>", "<p>b<br>c</p>", "<ul><li>x</li></ul>", "<hr>", "<p><img alt=''></p>"]), max_size=6
)


def healed(old: str, new: str) -> tuple[list[str], int]:
    viewer = Viewer(f'<div id="body">{old}</div>')
    count = 0
    for edit in edits(old, new):
        viewer.swap("#body" + (f">:nth-child({edit.child})" if edit.child else ""), edit.swap, parse(edit.html))
        count += 1
    return [html_of(block) for block in viewer.find("body")], count


@given(BLOCKS, BLOCKS)
def test_any_list_of_blocks_is_made_of_any_other(old, new):
    blocks, _ = healed("".join(old), "".join(new))
    assert blocks == [html_of(block) for block in parse("".join(new))]


def test_blocks_are_whole_elements():
    html = render(SAMPLE)
    assert "".join(blocks_of(html)) == html
    assert [len(parse(block)) for block in blocks_of(html)] == [1] * len(parse(html))


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [
        ("<p>a</p><p>b</p><p>c</p>", "<p>a</p><p>b</p><p>c</p>", 0),
        ("<p>a</p><p>b</p><p>c</p>", "<p>a</p><p>B</p><p>c</p>", 1),
        ("<p>a</p>", "<p>a</p><p>b</p>", 1),
        ("<p>a</p><p>b</p>", "<p>b</p>", 1),
        ("", "<p>a</p>", 1),
    ],
)
def test_only_what_differs_is_touched(old, new, count):
    assert healed(old, new)[1] == count
