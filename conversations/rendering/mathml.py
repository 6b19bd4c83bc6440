r"""LaTeX to the MathML that browsers draw.

The converter is latex2mathml. What it does not know but models write is put into words that it knows before, what
browsers do not draw from attributes becomes classes of the style sheet after, and a formula of which something is left
over is shown as its source: half a formula is worse than none.
"""

from __future__ import annotations

import re
from html import unescape
from xml.etree.ElementTree import Element, SubElement, tostring

from latex2mathml.converter import convert_to_element
from markdown_it.common.utils import escapeHtml as escape

LONGEST = 2_000  # characters

_ENVIRONMENTS = {
    "aligned": "align*",
    "alignedat": "align*",
    "alignat": "align*",
    "alignat*": "align*",
    "gathered": "eqalign",
    "gather": "eqalign",
    "gather*": "eqalign",
    "dcases": "cases",
}
_ENVIRONMENT = re.compile(
    rf"\\(begin|end)\{{({'|'.join(map(re.escape, _ENVIRONMENTS))})\}}(?:\[[tbc]\])?(?:\{{\d+\}})?"  # position, columns
)
_REWRITTEN = (
    (re.compile(r"\\\\\s*\[\s*-?[\d.]+\s*(?:pt|em|ex|mm|cm|in|px)\s*\]"), r"\\\\"),  # a line break and its height
    (re.compile(r"(?<!\\)\\arg(?![A-Za-z])"), r"\\operatorname{arg}"),
    (re.compile(r"(?<!\\)\\label\{[^{}]*\}"), ""),
)
_LIMITED = frozenset({"lim", "sup", "inf", "max", "min"})  # beside these the converter leaves what belongs below
_BELOW = {"msub": "munder", "msup": "mover", "msubsup": "munderover"}
_ENCLOSED = {
    "box": "boxed",
    "updiagonalstrike": "cancel-up",
    "downdiagonalstrike": "cancel-down",
    "updiagonalstrike downdiagonalstrike": "cancel-both",
    "horizontalstrike": "cancel-through",
}


def formula_html(source: str, *, display: bool) -> str:
    """Return a formula as MathML; as it was written when it cannot be converted."""
    source = source.strip()
    try:
        if len(source) <= LONGEST:
            return _converted(_rewritten(source), display="block" if display else "inline")
    except Exception:  # noqa: S110 - the converter raises whatever it stumbles over; the source is shown
        pass
    return f'<code class="math-source">{escape(source)}</code>'


def _rewritten(source: str) -> str:
    """Return a formula in words that the converter knows."""
    for pattern, words in _REWRITTEN:
        source = pattern.sub(words, source)
    return _ENVIRONMENT.sub(lambda match: f"\\{match[1]}{{{_ENVIRONMENTS[match[2]]}}}", source)


def _converted(source: str, *, display: str) -> str:
    formula = convert_to_element(source, display=display)
    for element in formula.iter():
        if _is_left_over(element):
            raise ValueError(element.text)
        _adapt(element)
    _break_lines(formula[0])
    for element in formula.iter():
        element.text = unescape(element.text) if element.text else element.text  # the converter leaves its entities
        element.tail = None
    return tostring(formula, encoding="unicode", short_empty_elements=False)


def _is_left_over(element: Element) -> bool:
    """Whether this is LaTeX: a command nobody knows, or a column outside a table. Characters are entities so far."""
    text = element.text or ""
    return element.tag in {"mi", "mo"} and (text == "&" or (len(text) > 1 and text.startswith("\\")))


def _adapt(element: Element) -> None:
    """Say in elements and classes what browsers do not take from attributes."""
    if element.tag == "menclose":
        element.tag, element.attrib = "mrow", {"class": _ENCLOSED.get(element.get("notation", ""), "boxed")}
    elif element.tag == "mtd" and "columnalign" in element.attrib:
        element.attrib = {"class": f"align-{element.attrib['columnalign']}"}
    elif element.tag == "mtable" and element.get("columnspacing", "").startswith("0em"):
        element.set("class", "aligned")
    elif element.tag in _BELOW and element[0].tag == "mo":
        _let_limits_move(element)


def _let_limits_move(element: Element) -> None:
    r"""Put what belongs to `\lim` below it; where there is little room the browser puts it at its side."""
    if element[0].text in _LIMITED or element[0].get("movablelimits") == "true":
        element.tag = _BELOW[element.tag]
        element[0].set("movablelimits", "true")


def _break_lines(row: Element) -> None:
    """Put the lines of a formula below each other: browsers do not break where they are told to."""
    parts = list(row)
    if not any(part.get("linebreak") for part in parts):
        return
    row[:] = []
    table = SubElement(row, "mtable", {"displaystyle": "true"})
    line = SubElement(SubElement(table, "mtr"), "mtd")
    for part in parts:
        if part.get("linebreak"):
            line = SubElement(SubElement(table, "mtr"), "mtd")
        else:
            line.append(part)
