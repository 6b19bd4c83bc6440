"""Where formulas begin and end, and what is money or code instead."""

from __future__ import annotations

import re
import time

import pytest

from conversations.rendering.incremental import IncrementalRenderer
from conversations.rendering.markdown import render
from conversations.rendering.maths import Undecided, formula_at


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("$x$", "x"),
        ("$x^2 + y$ is", "x^2 + y"),
        ("$2x + 3$", "2x + 3"),
        ("$5$", "5"),
        ("$2 n$", "2 n"),
        ("$10 n + 2$", "10 n + 2"),
        ("$ABC \\sim DEF$", "ABC \\sim DEF"),
        ("$n$th", "n"),
        ("$x$s ", "x"),
        ("$N$", "N"),
        ("$AB$", "AB"),
        ("\\(a b\\)", "a b"),
        ("\\[a\nb\\]", "a\nb"),
        ("\\[\\sqrt[3]{x}\\]", "\\sqrt[3]{x}"),
        ("$$z$$", "z"),
        ("$\\text{if a and b so}$", "\\text{if a and b so}"),
    ],
)
def test_a_formula(text, source):
    formula = formula_at(text, 0, ended=True)
    assert formula is not None
    assert formula.source == source


@pytest.mark.parametrize(
    "text",
    [
        "$5 a month and $6 a year",
        "$5-$10",
        "$5, $6",
        "$20 million of $30 million",
        "$1,000.50 or €$",
        "$PATH:$HOME",
        "$PATH and $HOME",
        "${HOME}/x$",
        "$ x$",
        "$x $",
        "$x$y",
        "$x$this",
        "$5 a month or $6",
        "$$",
        "$a word and another and more$",
        "$x\ny$",
        "\\( \\)",
        "\\(a \\(b",
        "$$ (moderate), or $$$ (high)",
        "$$ – moderate, $$ – moderate",
        "$$: moderate, $$: moderate",
        "$$$x$$",
        "$$x$$$",
        "\\[x] is no task",
        "$" + "x" * 300 + "$",
    ],
)
def test_no_formula(text):
    assert formula_at(text, 0, ended=True) is None
    assert "<math" not in render(text)


@pytest.mark.parametrize("text", ["$", "$x", "$x$", "$x$t", "$5", "\\(a", "\\[a", "$$a", "$$", "$$a$$", "$PATH"])
def test_more_text_may_decide(text):
    with pytest.raises(Undecided):
        formula_at(text, 0, ended=False)


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("$$\nx\n$$", 1),
        ("$$ x $$", 1),
        ("\\[\nx\n\\]\nwords", 1),
        ("words\n$$\nx\n$$", 1),
        ("- item\n  $$\n  x\n  $$", 1),
        ("$$\nx\n\nno end", 0),
        ("$$x$$.", 1),
        ("$$ is expensive and\n$$", 0),
        ("$$$ is expensive\nnext line", 0),
        ("- $$ – moderate\n- $$$ – high", 0),
        ("$$\n\\text{\\$$}\n$$", 1),
        ("\\[\na \\\\\n[b]\n\\]", 1),
        ("$$x$$ is a number", 0),
        ("    $$\n    x", 0),
    ],
)
def test_blocks(text, blocks):
    assert render(text).count('class="math-block"') == blocks


@pytest.mark.parametrize(
    ("text", "formula", "rest"),
    [
        ("\\[\nx = 1\n\\],\nwhere x is", "x=1,", "where x is"),
        ("$$\nx\n$$ where *x* is\na number\n- item", "x", "where x is\na numberitem"),
        ("$$\nx\n$$.\n\nNext", "x.", "Next"),
        ("$$\nx\n$$ [1], # no *heading", "x", "[1], # no *heading"),
        ("$$\nx\n$$ 1. no item", "x", "1. no item"),
        ("$$\nx\n$$ a | b\n--|--", "x", "a | b\n--|--"),
        ("> $$\n> x\n> $$ and\nmore", "x", "and\nmore"),
        ("- $$\n  x\n  $$ $y$ and\n\n  more", "x", "y andmore"),
    ],
)
def test_what_follows_a_block_on_its_last_line_begins_a_paragraph(text, formula, rest):
    html = render(text)
    begin, end = html.index("</math>"), html.index("</div>") + len("</div>")
    assert re.sub(r"<[^>]*>", "", html[:begin]) == formula
    assert re.sub(r"<[^>]*>", "", html[end:]) == rest
    assert html[end:].startswith('<p dir="auto">')
    for split in range(len(text)):
        renderer = IncrementalRenderer()
        renderer.feed(text[:split])
        renderer.feed(text[split:])
        renderer.finish()
        assert renderer.growth.html() == html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("$$\nx & y\n\nno end", '<p dir="auto">$$\nx &amp; y</p><p dir="auto">no end</p>'),
        ("\\[\nx\n\\] [a]: http://a.example", '<p dir="auto">\\[\nx\n\\] [a]: http://a.example</p>'),
        ("$$\nx\n$$ | a |\n|---|", '<p dir="auto">$$\nx\n$$ | a |\n|---|</p>'),
    ],
)
def test_a_block_that_is_not_closed_is_text(text, html):
    assert render(text) == html
    renderer = IncrementalRenderer()
    for character in text:
        renderer.feed(character)
    renderer.finish()
    assert renderer.growth.html() == html


def test_display_openers_without_an_end_cost_no_more_than_inline_ones():
    def seconds(opener: str) -> float:
        renderer = IncrementalRenderer()
        started = time.process_time()
        for begin in range(800):
            renderer.feed((opener * 4)[begin % 3 :][:4])
        return time.process_time() - started

    seconds("\\(a")
    assert seconds("$\\[") < 4 * seconds("\\(a")  # they cost ten times as much


def test_what_cannot_be_converted_is_shown_as_written():
    assert '<code class="math-source">\\frac{</code>' in render("$\\frac{$")
