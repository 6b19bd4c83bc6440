"""Healing: the blocks that differ are touched, and no others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.rendering.blocks import MOST_COMPARED, blocks_of, edits
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
        ("<p>a</p><p>b</p><p>c</p>", "<p>A</p><p>b</p><p>C</p>", 2),
        ("<p>a</p><p>b</p><p>c</p>", "<p>b</p><p>b2</p><p>c</p><p>d</p>", 3),
    ],
)
def test_only_what_differs_is_touched(old, new, count):
    assert healed(old, new)[1] == count


def paragraphs(*numbers: int) -> str:
    return "".join(f"<p>{number}</p>" for number in numbers)


@pytest.mark.parametrize("length", [10, MOST_COMPARED, MOST_COMPARED + 1, 2_000])
def test_what_stands_between_two_differences_is_left_alone(length):
    new = paragraphs(-1, *range(1, length - 1), -2)
    assert list(edits(paragraphs(*range(length)), new)) == [
        (length, "outerHTML", "<p>-2</p>"),
        (1, "outerHTML", "<p>-1</p>"),
    ]


def test_very_many_blocks_that_are_not_as_many_as_before_are_replaced_as_one():
    many = MOST_COMPARED + 50
    blocks, count = healed(paragraphs(*range(many)), paragraphs(*range(1, many), 7, 8))
    assert blocks == [html_of(block) for block in parse(paragraphs(*range(1, many), 7, 8))]
    assert count == many
