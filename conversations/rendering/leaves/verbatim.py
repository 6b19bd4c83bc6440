"""Leaves whose lines are taken as they are: code and LaTeX.

A long line of code is cut at multiples of `LONGEST_LINE`, whether it comes whole or in parts: where pieces end is part
of the contract, see `growth`.
"""

from __future__ import annotations

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
        self._long = ""  # the rest of a line that is too long to be coloured
        growth.begin(elements.code(language))

    def begin_long(self, line: Line) -> bool:
        """Take the beginning of a line, if it is too long to be coloured already and certain to be code."""
        raise NotImplementedError

    def more(self, text: str) -> None:
        """Take more of a long line; show it in pieces of one length."""
        text = self._long + text
        cut = max(0, len(text) - 1) // LONGEST_LINE * LONGEST_LINE
        for begin in range(0, cut, LONGEST_LINE):
            self._growth.add(escape(text[begin : begin + LONGEST_LINE]))
        self._long = text[cut:]

    def end_line(self) -> None:
        if self._long:
            self._growth.add(f"{escape(self._long)}\n")
            self._long = ""

    def end(self) -> None:
        self._growth.end()

    @property
    def held(self) -> str:
        return self._long

    def _line(self, text: str) -> None:
        if len(text) > LONGEST_LINE:
            self.more(text)
            self.end_line()
        else:
            self._growth.add(self._highlighter.line(text))


class Fence(Code):
    """Code between fences."""

    kind = "verbatim"

    def __init__(self, growth: Growth, line: Line) -> None:
        fence = line.rest
        self._indent = line.indent
        self._marker = fence[0]
        self._length = len(fence) - len(fence.lstrip(fence[0]))
        super().__init__(growth, fence[self._length :])

    def inside(self, line: Line) -> bool:
        if self._may_close(line) and len(line.rest.rstrip(" \t")) >= self._length:
            return False
        self._line(self._text_of(line))
        return True

    def begin_long(self, line: Line) -> bool:
        if self._may_close(line):
            return False
        text = self._text_of(line)
        if len(text) > LONGEST_LINE:
            self.more(text)
        return len(text) > LONGEST_LINE

    def _may_close(self, line: Line) -> bool:
        """Whether nothing but the marker and white space behind it is there, as far as the line is known."""
        return line.indent < CODE_INDENT and not line.rest.rstrip(" \t").strip(self._marker)

    def _text_of(self, line: Line) -> str:
        line.advance(min(self._indent, line.indent))
        return line.remaining()


class IndentedCode(Code):
    """Code that is indented; blank lines belong to it when more code follows."""

    kind = "code"

    def __init__(self, growth: Growth) -> None:
        super().__init__(growth, "")
        self._blank: list[str] = []

    def begin(self, line: Line) -> None:
        """Take the first line, or the beginning of it if that is long already."""
        line.advance(CODE_INDENT)
        text = line.remaining()
        if len(text) > LONGEST_LINE:
            self.more(text)
        else:
            self._line(text)

    def inside(self, line: Line) -> bool:
        blank = line.blank
        line.advance(CODE_INDENT)
        if blank:
            self._blank.append(line.remaining())
        else:
            self._show_blank_lines()
            self._line(line.remaining())
        return True

    def begin_long(self, line: Line) -> bool:
        blank = line.blank
        line.advance(CODE_INDENT)
        text = line.remaining()
        if blank or len(text) <= LONGEST_LINE:
            return False
        self._show_blank_lines()
        self.more(text)
        return True

    def _show_blank_lines(self) -> None:
        blank, self._blank = self._blank, []
        for text in blank:
            self._line(text)


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
