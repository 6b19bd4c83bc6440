"""What holds in the stylesheet: an interface that runs from right to left needs no rules of its own."""

from __future__ import annotations

import re
from pathlib import Path

CSS = Path(__file__).resolve().parent.parent / "static" / "css" / "stillwater.css"
SIDED = re.compile(
    r"(?<![\w-])((?:margin|padding|border|scroll-margin|scroll-padding)-(?:left|right)[\w-]*|left|right"
    r"|border-(?:top|bottom)-(?:left|right)-radius|(?:text-align|float|clear):\s*(?:left|right))\s*[:;]"
)
FOUR = re.compile(r"(?<![\w-])(margin|padding|inset|border-width|border-color):\s*([^;}]+)")
# What an author asked for in Markdown is meant as it is written.
MEANT = {".align-left { text-align: left; }", ".align-right { text-align: right; }"}


def rules() -> str:
    css = re.sub(r"/\*.*?\*/", "", CSS.read_text(encoding="utf-8"), flags=re.DOTALL)
    for meant in MEANT:
        css = css.replace(meant, "")
    return css


def parts(value: str) -> list[str]:
    """Split a value at the spaces that are not inside parentheses."""
    return re.findall(r"(?:[^\s()]+\((?:[^()]|\([^()]*\))*\)|[^\s()]+)+", value.replace("!important", ""))


def test_no_rule_speaks_of_left_and_right():
    assert [found[0].strip() for found in SIDED.finditer(rules())] == []


def test_no_shorthand_sets_the_sides_apart():
    """Of four values the second is the right and the fourth the left side."""
    unlike = [
        found[0] for found in FOUR.finditer(rules()) if len(sides := parts(found[2])) == 4 and sides[1] != sides[3]
    ]
    assert unlike == []
