"""Leaves of running text: paragraphs and headings."""

from __future__ import annotations

import re
from typing import Any

from markdown_it.common.utils import escapeHtml as escape
from markdown_it.common.utils import normalizeReference

from conversations.rendering import elements
from conversations.rendering.definitions import maybe_definitions
from conversations.rendering.elements import Element
from conversations.rendering.footnotes import defined
from conversations.rendering.grammar import is_costly
from conversations.rendering.growth import Growth
from conversations.rendering.leaves.base import MARKUP, Leaf
from conversations.rendering.markdown import learn_definitions, render_inline
from conversations.rendering.words import Release

FIRST_CELL = 20  # characters of a new paragraph that wait, because a bar could make them the first cell of a table
LONGEST_HEADER = 500  # of the header of a table, when it begins with a bar; a longer line is shown as it comes
LONGEST_BARE_HEADER = 120  # likewise, when it does not: most lines like that are prose, as `a | b` is here
MOST_DEFINITION_LINES = 4
_MAYBE_DELIMITER_ROW = re.compile(r"[|:\- \t]*")


class RunningText:
    """Inline content that is shown word by word, in an element that is opened with the first word."""

    def __init__(self, growth: Growth, element: Element, env: dict[str, Any]) -> None:
        self._growth = growth
        self._element = element
        self._env = env
        self._release = Release(self._is_known)
        self._opened = False
        self.pending = ""

    def feed(self, text: str) -> None:
        """Take more text; show what can be shown."""
        self.pending += text
        self._show(ended=False)

    def end(self, *, even_empty: bool = False) -> None:
        """Show the rest and close the element; without any text there is none, unless it is wanted `even_empty`."""
        self.pending = self.pending.rstrip(" \t\n")
        self._show(ended=True)
        if even_empty:
            self._open()
        if self._opened:
            self._growth.end()

    def _show(self, *, ended: bool) -> None:
        begin = 0
        for cut in self._release.cuts(self.pending, ended=ended):
            self._open()
            self._growth.add(self._html(self.pending[begin:cut]))
            begin = cut
        self.pending = self.pending[begin:]

    def _open(self) -> None:
        if not self._opened:
            self._growth.begin(self._element)
            self._opened = True

    def _html(self, segment: str) -> str:
        if self._release.gave_up or not MARKUP.search(segment) or is_costly(segment):
            return escape(segment)
        return render_inline(segment, self._env)

    def _is_known(self, label: str) -> bool:
        if label.startswith("^"):
            return label[1:].isdigit() or label[1:] in defined(self._env)
        return normalizeReference(label) in self._env["references"]


class Paragraph(Leaf):
    """Running text. Its first lines may be link definitions, its first or last one the header of a table: these wait.

    A line that could be a header is known by the bar it begins with, or in the first line of a paragraph by a bar
    among its first `FIRST_CELL` characters; for these a new paragraph waits if it `may_be_table`. A line that is longer
    than `LONGEST_HEADER`, or without a bar before it `LONGEST_BARE_HEADER`, waits no more.
    """

    kind = "paragraph"

    def __init__(self, growth: Growth, env: dict[str, Any], *, may_be_table: bool) -> None:
        self._env = env
        self._text = RunningText(growth, elements.PARAGRAPH, env)
        self._wait = FIRST_CELL if may_be_table else 0
        self._is_open = True  # whether it could still turn out to be no text at all
        self._beginning = ""
        self.header = ""

    def begin_line(self, rest: str) -> None:
        if self._beginning:
            self._learn_definitions(before=rest)
        self._show_header()
        if not self._is_open and rest.startswith("|"):
            self._await_delimiter_row(rest)
        else:
            self.more(rest)

    def more(self, text: str) -> None:
        if self.header:
            self._await_delimiter_row(self.header + text)
        elif self._is_open:
            self._decide(self._beginning + text)
        else:
            self._text.feed(text)

    def end_line(self) -> None:
        if not self.header:
            self.more("\n")

    def end(self) -> None:
        if self._beginning:
            self._begin_text(learn_definitions(self._beginning.rstrip(" \t\n"), self._env))
        self._show_header()
        self._text.end()

    @property
    def held(self) -> str:
        return self._text.pending + self._beginning + self.header

    def waits_for_delimiter_row(self, rest: str) -> bool:
        """Whether this line, as far as it is known, could make a table of the one before."""
        return bool(self.header) and bool(_MAYBE_DELIMITER_ROW.fullmatch(rest))

    def _decide(self, beginning: str) -> None:
        """Find out what the paragraph begins with."""
        self._beginning = ""
        if beginning.startswith("["):
            if maybe_definitions(beginning):
                self._beginning = beginning
            else:
                self._begin_text(beginning)
        elif beginning.startswith("|") or "|" in beginning[: self._wait]:
            self._is_open = False
            self._await_delimiter_row(beginning)
        elif len(beginning) < self._wait and not beginning.endswith("\n"):
            self._beginning = beginning
        else:
            self._begin_text(beginning)

    def _await_delimiter_row(self, line: str) -> None:
        """Hold a line that may be a header, unless it has become too long for one."""
        fits = len(line) <= (LONGEST_HEADER if line.startswith("|") else LONGEST_BARE_HEADER)
        self.header = line if fits else ""
        if not fits:
            self._text.feed(line)

    def _begin_text(self, text: str) -> None:
        self._is_open, self._beginning = False, ""
        self._text.feed(text)

    def _learn_definitions(self, *, before: str) -> None:
        """Take the complete lines so far for what they are, unless the next one could belong to them."""
        if before[0] in "\"'(" and self._beginning.count("\n") < MOST_DEFINITION_LINES:
            return
        learnt: dict[str, Any] = {"references": {}}
        if not learn_definitions(self._beginning, learnt):
            for label, reference in learnt["references"].items():
                self._env["references"].setdefault(label, reference)  # the first definition of a label holds
            self._beginning = ""
        elif self._beginning.count("\n") >= MOST_DEFINITION_LINES:
            words = learn_definitions(self._beginning.rstrip(" \t\n"), self._env)
            self._begin_text(f"{words}\n")

    def _show_header(self) -> None:
        """It has turned out to be no header."""
        header, self.header = self.header, ""
        if header:
            self._text.feed(f"{header}\n")


class Heading(Leaf):
    """One line of running text; number signs at its end do not belong to it."""

    def __init__(self, growth: Growth, element: Element, env: dict[str, Any]) -> None:
        self._text = RunningText(growth, element, env)
        self._rest = ""  # what may be a closing sequence
        self._begun = False

    def begin_line(self, rest: str) -> None:
        self.more(rest)

    def more(self, text: str) -> None:
        text = self._rest + text
        begin = self._closing_at(text)
        self._rest = text[begin:]
        self._begun = self._begun or begin > 0
        self._text.feed(text[:begin])

    def end(self) -> None:
        self._text.end(even_empty=True)

    def _closing_at(self, text: str) -> int:
        """Return where a closing sequence, as far as it is known, or the white space behind a word begins."""
        words = text.rstrip(" \t")
        before = words.rstrip("#")
        end = len(before.rstrip(" \t"))
        closes = end < len(before) or not (end or self._begun)  # else the number signs belong to the word before them
        return end if closes else len(words)

    @property
    def held(self) -> str:
        return self._text.pending + self._rest
