"""Where formulas begin and end, and what is money or code instead."""

from __future__ import annotations

import pytest

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
        "\\[x] is no task",
        "$" + "x" * 300 + "$",
    ],
)
def test_no_formula(text):
    assert formula_at(text, 0, ended=True) is None
    assert "<math" not in render(text)


@pytest.mark.parametrize("text", ["$", "$x", "$x$", "$x$t", "$5", "\\(a", "\\[a", "$$a", "$PATH"])
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
        ("$$\nx\n\nno end", 1),
        ("$$x$$ is a number", 0),
        ("    $$\n    x", 0),
    ],
)
def test_blocks(text, blocks):
    assert render(text).count('class="math-block"') == blocks


def test_what_cannot_be_converted_is_shown_as_written():
    assert '<code class="math-source">\\frac{</code>' in render("$\\frac{$")
