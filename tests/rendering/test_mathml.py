"""The LaTeX that models write most, as MathML that browsers draw."""

from __future__ import annotations

import re

import pytest

from conversations.rendering.markdown import render

ALIGNED = '<mtd class="align-right"><mi>a</mi></mtd><mtd class="align-left"><mi></mi><mo>=</mo><mi>b</mi></mtd>'
LIMIT = '<munder><mo movablelimits="true">lim</mo><mrow><mi>x</mi><mo>→</mo><mn>0</mn></mrow></munder>'
CORPUS = {
    r"\begin{aligned} a &= b \\[4pt] a &= b \end{aligned}": f"<mtr>{ALIGNED}</mtr><mtr>{ALIGNED}</mtr></mtable>",
    r"\begin{aligned}[t] a &= b \end{aligned}": f'class="aligned"><mtr>{ALIGNED}</mtr></mtable>',
    r"\begin{alignedat}{2} a &= b \end{alignedat}": f'class="aligned"><mtr>{ALIGNED}</mtr></mtable>',
    r"\begin{align*} a &= b \end{align*}": f'class="aligned"><mtr>{ALIGNED}</mtr></mtable>',
    r"\begin{gathered} a \\ b \end{gathered}": "<mtr><mtd><mi>a</mi></mtd></mtr><mtr><mtd><mi>b</mi></mtd></mtr>",
    r"\begin{gather} a \\ b \end{gather}": "<mtr><mtd><mi>a</mi></mtd></mtr><mtr><mtd><mi>b</mi></mtd></mtr>",
    r"\begin{cases} x & y \\ u & v \end{cases}": '<mtd class="align-left"><mi>x</mi></mtd><mtd class="align-left">',
    r"\begin{dcases} x & y \end{dcases}": '<mtd class="align-left"><mi>x</mi></mtd><mtd class="align-left">',
    r"\begin{array}{rl} a & b \end{array}": '<mtd class="align-right"><mi>a</mi></mtd><mtd class="align-left">',
    r"a \\ b": "<mtr><mtd><mi>a</mi></mtd></mtr><mtr><mtd><mi>b</mi></mtd></mtr></mtable>",
    r"\begin{pmatrix} a & b \end{pmatrix}": "<mtr><mtd><mi>a</mi></mtd><mtd><mi>b</mi></mtd></mtr>",
    r"\boxed{42}": '<mrow class="boxed"><mrow><mn>42</mn></mrow></mrow>',
    r"\cancel{x}": '<mrow class="cancel-up"><mrow><mi>x</mi></mrow></mrow>',
    r"\xcancel{x}": '<mrow class="cancel-both">',
    r"\lim_{x \to 0} f": LIMIT,
    r"\arg\max_x f": '<mo>arg</mo><munder><mo movablelimits="true">max</mo><mi>x</mi></munder>',
    r"\sum_{i=1}^n i": "<munderover><mo>∑</mo>",
    r"x_1": "<msub><mi>x</mi><mn>1</mn></msub>",
    r"a \& b \setminus \{ c \}": "<mi>&amp;</mi>",
}


@pytest.mark.parametrize("source", CORPUS)
def test_what_models_write_most_is_drawn(source):
    for html in (render(f"$$\n{source}\n$$"), render(f"\\[ {source} \\]")):
        assert CORPUS[source] in html
        assert " style=" not in html
        assert not re.search(r">[^<]*(?:\\|&amp;(?!</mi>))", html)


def test_limits_of_a_formula_in_a_line_are_left_to_the_browser():
    assert LIMIT in render("$\\lim_{x \\to 0} f$")


@pytest.mark.parametrize(
    "source", [r"\ce{H2O}", r"a &= b", r"\begin{tabular}{cc} a & b \end{tabular}", r"\frac{", r"x + \unknown"]
)
def test_a_formula_of_which_something_is_left_over_is_shown_as_written(source):
    html = render(f"$$\n{source}\n$$")
    shown = source.replace("&", "&amp;")
    assert html == f'<div class="math-block"><code class="math-source">{shown}</code></div>'
