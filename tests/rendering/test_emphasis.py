"""Emphasis, and where it differs from CommonMark: beside Chinese, Japanese and Korean characters."""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from conversations.rendering.emphasis import emphasis_plugin
from conversations.rendering.incremental import IncrementalRenderer
from conversations.rendering.markdown import render
from tests.rendering.texts import SPECIFICATIONS


def inside(html: str) -> list[str]:
    """The emphasised words."""
    return re.findall(r"<(?:strong|em|s)>(.*?)</(?:strong|em|s)>", html)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("**注意：**请阅读", ["注意："]),
        ("这是**“重要”**的内容。请注意**重点:**后面", ["“重要”", "重点:"]),
        ("これは**「重要」**です。", ["「重要」"]),
        ("**わ〜い！**問題なし", ["わ〜い！"]),
        ("請*（看）*這裡", ["（看）"]),
        ("价格~~100元。~~现在", ["100元。"]),
        ("이것은 **(중요)**합니다", ["(중요)"]),
        ("中文**粗**字", ["粗"]),
        ("**a:**b", []),
        ("a**“b”**c", []),
        ("**🙂.**b", []),
        ("中_b_文", []),
    ],
)
def test_punctuation_beside_wide_characters_opens_and_closes(text, words):
    html = render(text)
    assert inside(html) == words
    for split in range(len(text) + 1):
        renderer = IncrementalRenderer()
        renderer.feed(text[:split])
        renderer.feed(text[split:])
        renderer.finish()
        assert renderer.growth.html() == html


def test_every_example_of_the_specifications_keeps_its_result():
    plain = MarkdownIt("commonmark").enable("strikethrough")
    ours = MarkdownIt("commonmark").enable("strikethrough").use(emphasis_plugin)
    for text in SPECIFICATIONS:
        assert ours.render(text) == plain.render(text)
