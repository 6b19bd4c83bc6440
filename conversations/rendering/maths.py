r"""LaTeX in Markdown: where it begins, where it ends, and what is money or a shell variable instead.

Inline: `$…$`, `\(…\)`, and for a formula on a line of its own within a paragraph `$$…$$`, `\[…\]`. As a block: a line
that begins with `$$` or `\[`, up to the first `$$` or `\]` behind it; what follows that on its line begins a paragraph.
A block without it ends at a blank line, and is text. One set of rules serves complete and growing text: `formula_at`
can also say that it depends on text that is not here yet.

A `$` is not a formula when a space follows it, when its closing `$` follows a space or stands before a letter or digit,
when what follows reads like a price (`$5 a month`, `$20 million`), a variable (`$PATH`, `${HOME}`) or prose. `$$$` is
a class of prices, and so is `$$` before a dash or words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml as escape
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from conversations.rendering.elements import PARAGRAPH
from conversations.rendering.mathml import LONGEST as LONGEST_FORMULA
from conversations.rendering.mathml import formula_html

LONGEST_INLINE = 200
LONGEST_DISPLAY = 1_000

_BRACKETS = {"\\(": "\\)", "\\[": "\\]", "$$": "$$"}
_OPERATOR = r"-+*/=<>^_\\|&×·≤≥±≈→∈"  # noqa: RUF001 - the multiplication sign
_NOT_FORMULA = re.compile(
    rf"""\n
    | \A \d[^\s$]*\s+ (?![A-Za-z](?:[_^{{]|\s*(?:[{_OPERATOR}]|\Z))) [^{_OPERATOR}\s$]  # $5 a month, but not $2 n$
    | \A [A-Z_][A-Z0-9_]+ (?:[^A-Z0-9_^\\${{(+=\-\s]|\s+[^{_OPERATOR}\s$])            # $PATH
    | \A \{{[A-Za-z_]\w*[}}:]                                                     # ${{HOME}}
    | \A [^\\]*? (?:\s[A-Za-z]{{2,}}){{3}}                                        # prose
    """,
    re.VERBOSE,
)
# "$$: fair" or "$$ (fair), or": a dash or two words
_PRICES = re.compile(r"[ \t]*(?:[:,;)!?\u2013\u2014]|\*\*)|[ \t][^\\]*?[A-Za-z]{2}[),.;:!?]*[ \t]+\(?[A-Za-z]{2}")
_MARKS = re.compile(r"\\.|\$+", re.DOTALL)  # read from the left: `\\]` is a line break and a bracket
_AFTER_BLOCK = re.compile(r"(?!\$)([.,;:]?)[ \t]*(|(?:\[[^\[\]\\]*\](?!:)|[^\[| \t]).*)")  # no definition, no table
_BARE_BRACKETS = re.compile(r"\\.|[\[\]]")
_ENDING = re.compile(r"(?:th|st|nd|rd|s)(?![A-Za-z0-9])")  # the $n$th of many $x$s


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that ends before `end`."""

    end: int
    source: str
    display: bool


class Undecided(Exception):
    """It depends on text that has not come yet."""


def formula_at(text: str, start: int, *, ended: bool) -> Formula | None:
    r"""Return the formula that begins at `start`, where a `$` or a backslash stands; None when none does.

    Raises `Undecided` when more text could decide it and `ended` is false. The answer depends only on the text up to a
    bounded distance behind `start`, so it is the same whenever it is asked for.
    """
    opener = text[start : start + 2]
    if opener in _BRACKETS:
        return _bracketed(text, start, _BRACKETS[opener], ended)
    if opener[0] == "\\":
        return None
    if len(opener) < 2:  # noqa: PLR2004 - a lone character at the end of what is here
        _await_more(ended)
        return None
    before = text[start - 1] if start else " "
    if before.isalnum() or before == "$" or opener[1].isspace():
        return None
    return _between_dollars(text, start, ended)


def _await_more(ended: bool) -> None:
    if not ended:
        raise Undecided


def _bracketed(text: str, start: int, closer: str, ended: bool) -> Formula | None:
    opener, begin, limit = text[start : start + 2], start + 2, start + 2 + LONGEST_DISPLAY
    if opener == "$$" and "$" in (text[start - 1 : start], text[begin : begin + 1]):
        return None
    end, found = _first_of(text, {opener, closer}, begin, limit)
    source = text[begin:end]
    if (opener == "$$" and _PRICES.match(source)) or (opener == "\\[" and _closes_too_often(source)):
        return None
    if (not found and end < limit) or (found == "$$" and end + 2 == len(text)):
        _await_more(ended)
    return Formula(end + 2, source, display=closer != "\\)") if found == closer and source.strip() else None


def _first_of(text: str, marks: set[str], begin: int, limit: int) -> tuple[int, str]:
    r"""Return where the first of these stands, and which; without any the end of what there is, and nothing.

    What is opened again is not closed: looking no further makes many openers cost no more than their text.
    """
    for match in _MARKS.finditer(text, begin, limit):
        if match[0] in marks:
            return match.start(), match[0]
    return min(limit, len(text)), ""


def _closes_too_often(source: str) -> bool:
    """Whether a bracket is closed that was not opened: then the first one was just escaped, as in `\\[x]`."""
    depth = 0
    for bracket in _BARE_BRACKETS.findall(source):
        depth += {"[": 1, "]": -1}.get(bracket, 0)
        if depth < 0:
            return True
    return False


def _between_dollars(text: str, start: int, ended: bool) -> Formula | None:
    window = text[start + 1 : start + 1 + LONGEST_INLINE]
    length = window.find("$")
    content = window if length < 0 else window[:length]
    if _NOT_FORMULA.search(content):
        return None
    if length < 0:
        _await_more(ended or len(window) == LONGEST_INLINE)
        return None
    if not content or content[-1].isspace() or content[-1] == "\\":
        return None
    end = start + 2 + length
    after = text[end : end + 3]
    if len(after) < 3 and (not after or after.isalpha()):  # noqa: PLR2004 - an ending and what follows it
        _await_more(ended)
    if after[:1].isalnum() and not _ENDING.match(after):
        return None
    return None if after.startswith("$") else Formula(end, content, display=False)


def opens_block(line: str) -> str:
    r"""Return what closes the block of LaTeX that a line, without its indentation, opens: `$$`, `\]`, or nothing.

    A line that also closes it must end there: `$$x$$ is a number` is a paragraph. When the beginning of a line opens
    nothing, the line does not either.
    """
    closer = _BRACKETS.get(line[:2], "") if line[:2] != "\\(" else ""
    if not closer or len(line) > LONGEST_FORMULA or line.startswith("$$$"):
        return ""
    source, after = _closed(line[2:], closer)
    if (closer == "$$" and _PRICES.match(source)) or (closer == "\\]" and _closes_too_often(source)):
        return ""
    return closer if after is None or (source.strip() and not after.strip(".,;: \t")) else ""


def _closed(text: str, closer: str) -> tuple[str, str | None]:
    """Return what stands before and behind the first closer; None behind it when there is none."""
    end = next((match.start() for match in _MARKS.finditer(text) if match[0].startswith(closer)), -1)
    return (text, None) if end < 0 else (text[:end], text[end + 2 :])


def _ending(lines: list[str], closer: str) -> tuple[str, str, str] | None:
    """Return the last line of the formula, the punctuation that ends it and what begins a paragraph behind it."""
    last, after = _closed(lines[-1] if len(lines) > 1 else lines[0][2:], closer)
    behind = None if after is None else _AFTER_BLOCK.fullmatch(after)
    return (last, behind[1], behind[2]) if behind else None


def ends_block(lines: list[str], closer: str) -> bool:
    """Whether these are all lines of a block of LaTeX: the last one closes it, or they are too long for one."""
    return _ending(lines, closer) is not None or sum(map(len, lines)) > LONGEST_FORMULA


def after_block(lines: list[str], closer: str) -> str:
    """Return what follows the closer in the last line of a block: the beginning of a paragraph, whatever it is."""
    ending = _ending(lines, closer)
    return ending[2] if ending else ""


def block_html(lines: list[str], closer: str) -> str:
    """Return the HTML of a block from its lines, the first of which begins with its opener."""
    ending = _ending(lines, closer)
    if ending is None:
        return PARAGRAPH.begin + escape("\n".join(lines).rstrip()) + PARAGRAPH.end
    source = "\n".join([*lines[:-1], ending[0]] if len(lines) > 1 else [f"{closer}{ending[0]}"])[2:]
    return f'<div class="math-block">{formula_html(source.rstrip() + ending[1], display=True)}</div>'


def inline_html(formula: Formula) -> str:
    """Return the HTML of a formula in running text."""
    name = "math display" if formula.display else "math"
    return f'<span class="{name}">{formula_html(formula.source, display=formula.display)}</span>'


def maths_plugin(md: MarkdownIt) -> None:
    """Teach a parser these rules."""
    md.inline.ruler.before("escape", "math_inline", _inline_rule)
    paragraphs: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    md.block.ruler.before("fence", "math_block", _block_rule, paragraphs)


def _inline_rule(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "$\\":
        return False
    formula = formula_at(state.src, state.pos, ended=True)
    if formula is None:
        return False
    if not silent:
        state.push("math_inline", "math", 0).meta = {"formula": formula}
    state.pos = formula.end
    return True


def _block_rule(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    if state.is_code_block(start):
        return False
    first = _line(state, start)
    closer = opens_block(first)
    if not closer or silent:
        return bool(closer)
    lines = [first]
    line = start + 1
    while (
        not ends_block(lines, closer)
        and line < end
        and not state.isEmpty(line)
        and state.sCount[line] >= state.blkIndent
    ):
        lines.append(_line(state, line))
        line += 1
    state.line = line
    token = state.push("math_block", "math", 0)
    token.map = [start, line]
    token.meta = {"lines": lines, "closer": closer}
    _begin_paragraph(state, line - 1, after_block(lines, closer), end)
    return True


def _begin_paragraph(state: StateBlock, line: int, text: str, end: int) -> None:
    """Let a paragraph begin with `text`, the end of a line, which would mean something else if it were all of it."""
    if text:
        state.bMarks[line] = state.eMarks[line] - len(text)
        state.tShift[line], state.sCount[line] = 0, state.blkIndent
        *_, paragraph = state.md.block.ruler.getRules("")
        paragraph(state, line, end, False)


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
