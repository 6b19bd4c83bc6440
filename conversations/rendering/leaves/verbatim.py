"""Leaves whose lines are taken as they are: code and LaTeX."""

from __future__ import annotations

import re

from markdown_it.common.utils import escapeHtml as escape

from conversations.rendering import elements, maths
from conversations.rendering.growth import Growth
from conversations.rendering.highlighting import LONGEST_LINE, LineHighlighter, language_of
from conversations.rendering.leaves.base import Leaf
from conversations.rendering.lines import CODE_INDENT, Line


class Code(Leaf):
    """A code block. A line is shown when it is complete, or too long to be coloured."""

    def __init__(self, growth: Growth, info: str) -> None:
        language = language_of(info)
        self._growth = growth
        self._highlighter = LineHighlighter(language)
        self._shown = 0  # characters of a line that has not ended
        growth.begin(elements.code(language))

    def end(self) -> None:
        self._growth.end()

    def _line(self, text: str) -> None:
        html = f"{escape(text[self._shown :])}\n" if self._shown else self._highlighter.line(text)
        self._shown = 0
        self._growth.add(html)

    def _long(self, text: str) -> None:
        """Show a line that has not ended and is too long to be coloured, in pieces of one length."""
        while len(text) - self._shown > LONGEST_LINE:
            self._growth.add(escape(text[self._shown : self._shown + LONGEST_LINE]))
            self._shown += LONGEST_LINE


class Fence(Code):
    """Code between fences."""

    kind = "verbatim"

    def __init__(self, growth: Growth, line: Line) -> None:
        fence = line.rest
        self._indent = line.indent
        length = len(fence) - len(fence.lstrip(fence[0]))
        self._closing = re.compile(rf"{re.escape(fence[0])}{{{length},}}[ \t]*")
        super().__init__(growth, fence[length:])

    def inside(self, line: Line) -> bool:
        if line.indent < CODE_INDENT and not self._shown and self._closing.fullmatch(line.rest):
            return False
        self._line(self._text_of(line))
        return True

    def inside_partial(self, line: Line) -> None:
        """Take the beginning of a line that is already long."""
        self._long(self._text_of(line))

    def _text_of(self, line: Line) -> str:
        line.advance(min(self._indent, line.indent))
        return line.remaining()


class IndentedCode(Code):
    """Code that is indented; blank lines belong to it when more code follows."""

    kind = "code"

    def __init__(self, growth: Growth) -> None:
        super().__init__(growth, "")
        self._blank: list[str] = []

    def inside(self, line: Line) -> bool:
        blank = line.blank
        line.advance(CODE_INDENT)
        self._blank.append(line.remaining())
        if not blank:
            for text in self._blank:
                self._line(text)
            self._blank = []
        return True


class MathBlock(Leaf):
    """A block of LaTeX: shown when it is complete."""

    kind = "verbatim"

    def __init__(self, growth: Growth, first: str) -> None:
        self._growth = growth
        self._closer = maths.opens_block(first)
        self._lines = [first]

    @property
    def closed(self) -> bool:
        """Whether its last line has come."""
        return maths.ends_block(self._lines, self._closer)

    @property
    def after(self) -> str:
        """What follows it on its last line."""
        return maths.after_block(self._lines, self._closer)

    def inside(self, line: Line) -> bool:
        if line.blank:
            return False
        self._lines.append(line.rest)
        return not self.closed

    def end(self) -> None:
        self._growth.add(maths.block_html(self._lines, self._closer))

    @property
    def held(self) -> str:
        return "\n".join(self._lines)
