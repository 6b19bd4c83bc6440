"""Growing Markdown to growing HTML that never takes anything back.

Feed it text in any pieces. `growth` is what can be shown for good: it only grows, it is a pure function of the text so
far (any pieces give the same), and what is in it never changes. At the end it equals the HTML that `markdown.render`
makes of the whole text, save for what Markdown decides too late:

* a link that is used before its definition, and a named footnote (`[^word]`) before its note: shown as written;
* a table whose header has no bar among its first `leaves.text.FIRST_CELL` characters, or, as the first words of an
  answer or the last line of a paragraph, does not begin with one: shown as text; likewise one whose header is longer
  than `leaves.text.LONGEST_HEADER`, or without a bar before it than `LONGEST_BARE_HEADER`;
* emphasis, code or a link longer than `words.HOLD`: shown as written; text with more than `words.MOST_DEAD` openers
  that are never closed: all of it shown as written by `render`, what came before that by neither.

How it works, from the line inwards. `lines.plan` says what a line does to the open blocks; lists, quotes, tables and
code grow by what a line adds. A line that has not ended takes part as soon as its beginning is decided, then its words
flow into the paragraph, each when `words.Release` says that nothing can change it any more. Whatever is undecided is
held: seldom more than a word. Of running text it is at most `words.HOLD_TARGET` characters and the header of a table,
however long its lines are; of code `LONGEST_LINE`; of lines that mean something only as a whole (a row of a table, a
line that opens code, a rule, a line of a block of LaTeX) that line. `held` is that text, for a viewer who has waited
long enough.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from conversations.rendering import elements
from conversations.rendering.elements import Element, Outline
from conversations.rendering.growth import Growth, Piece
from conversations.rendering.highlighting import LONGEST_LINE
from conversations.rendering.leaves import (
    Code,
    Fence,
    Heading,
    IndentedCode,
    Leaf,
    MathBlock,
    Paragraph,
    Table,
    aligns_of,
)
from conversations.rendering.lines import Container, Footnote, Item, List, Plan, keeps_undecided, plan, undecided
from conversations.rendering.markdown import environment, normalised


class IncrementalRenderer:
    """One growing text."""

    def __init__(self, *, id_prefix: str = "", image_hosts: Collection[str] = ()) -> None:
        self.growth = Growth()
        self._env = environment(id_prefix, image_hosts)
        self._outline = Outline(id_prefix)
        self._containers: list[Container] = []
        self._leaf: Leaf | None = None
        self._line = ""  # the line that has not ended, unless it flows into a leaf already
        self._flows = False
        self._keeps_waiting: re.Pattern[str] | None = None  # what, coming next, decides nothing about the line
        self._taken = 0
        self._half = ""  # of a line end, perhaps

    def take(self) -> list[Piece]:
        """Return the pieces of the growth that have not been taken yet."""
        begin, self._taken = self._taken, len(self.growth.pieces)
        return self.growth.pieces[begin:]

    @property
    def held(self) -> str:
        """The text that has come and is not shown yet."""
        return (self._leaf.held if self._leaf else "") + self._line

    def feed(self, text: str) -> None:
        """Take more text."""
        text, self._half = self._half + text, ""
        if text.endswith("\r"):
            text, self._half = text[:-1], "\r"
        first, *lines = normalised(text).split("\n")
        self._continue_line(first)
        for line in lines:
            self._end_line()
            self._continue_line(line)
        self._look_at_line(lines[-1] if lines else first)

    def finish(self) -> None:
        """Show everything: the text has ended."""
        self.feed(self._half and "\n")
        if self._line or self._flows:
            self._end_line()
        self._close(0)

    def _continue_line(self, text: str) -> None:
        if self._flows and self._leaf is not None:
            self._leaf.more(text)
        else:
            self._line += text

    def _end_line(self) -> None:
        line, self._line, self._keeps_waiting = self._line, "", None
        flows, self._flows = self._flows, False
        if not flows:
            self._take(plan(line, self._containers, self._leaf_kind))
        if self._leaf is not None:
            self._leaf.end_line()
            if isinstance(self._leaf, Heading):
                self._end_leaf()

    def _look_at_line(self, fresh: str) -> None:
        """Let the line that has not ended, and is longer by the `fresh` text, flow if its beginning is decided."""
        if self._flows or not self._line or (self._keeps_waiting and self._keeps_waiting.fullmatch(fresh)):
            return
        if isinstance(self._leaf, (Table, MathBlock)):
            return
        if isinstance(self._leaf, Fence) and len(self._line) <= LONGEST_LINE:
            return
        found = plan(self._line, self._containers, self._leaf_kind)
        if found.kind == "inside" and isinstance(self._leaf, Code):
            self._flows = self._leaf.begin_long(found.line)
        elif not self._must_wait(found):
            self._take(found)
            self._flows = True
        if self._flows:
            self._line = ""
        else:
            self._keeps_waiting = keeps_undecided(found)

    def _must_wait(self, found: Plan) -> bool:
        in_paragraph = isinstance(self._leaf, Paragraph) and not found.opened and (found.lazy or self._is_whole(found))
        if isinstance(self._leaf, Paragraph) and self._leaf.waits_for_delimiter_row(found.rest):
            return True
        return undecided(found, in_paragraph=in_paragraph)

    @property
    def _leaf_kind(self) -> str:
        return self._leaf.kind if self._leaf else ""

    def _is_whole(self, found: Plan) -> bool:
        return found.matched == len(self._containers)

    def _take(self, found: Plan) -> None:
        """Carry out a plan."""
        leaf = self._leaf
        if found.kind == "inside" and leaf is not None:
            if not leaf.inside(found.line):
                self._end_leaf()
                if isinstance(leaf, MathBlock) and leaf.after:
                    self._leaf = Paragraph(self.growth, self._env, may_be_table=False)
                    self._leaf.begin_line(leaf.after)
        elif isinstance(leaf, Paragraph) and not found.opened and (found.lazy or self._is_whole(found)):
            self._take_in_paragraph(leaf, found)
        elif isinstance(leaf, Table) and self._goes_on(leaf, found):
            leaf.begin_line(found.rest)
        else:
            self._take_new(found)

    def _goes_on(self, table: Table, found: Plan) -> bool:
        return not found.opened and self._is_whole(found) and found.kind == "text" and table.takes(found.rest)

    def _take_in_paragraph(self, leaf: Paragraph, found: Plan) -> None:
        if leaf.header and not found.lazy and found.kind in {"text", "rule"} and found.line.indent < 4:  # noqa: PLR2004
            aligns = aligns_of(leaf.header, found.rest)
            if aligns:
                header, leaf.header = leaf.header, ""
                self._end_leaf()
                self._leaf = Table(self.growth, self._env, header, aligns)
                return
        if found.kind == "text":
            leaf.begin_line(found.rest)
        else:
            self._take_new(found)

    def _take_new(self, found: Plan) -> None:
        """Close what the line does not continue; open what it begins."""
        self._close(found.matched)
        for container in found.opened:
            if isinstance(container, Footnote):
                self._env.setdefault("footnotes", set()).add(container.label)
            self.growth.begin(self._element(container))
            self._containers.append(container)
        for container in self._containers[: None if found.kind != "blank" else -1]:
            if isinstance(container, Item):
                container.empty = False
        self._begin_leaf(found)

    def _begin_leaf(self, found: Plan) -> None:
        match found.kind:
            case "text":
                begins = not self.growth.pieces  # the first words of an answer do not wait for a table
                self._leaf = Paragraph(self.growth, self._env, may_be_table=not (begins or self._containers))
                self._leaf.begin_line(found.rest)
            case "heading":
                text = found.rest.lstrip("#")
                element = self._outline.next(len(found.rest) - len(text))
                self._leaf = Heading(self.growth, element, self._env)
                self._leaf.begin_line(text.lstrip(" \t"))
            case "rule":
                self.growth.add(elements.RULE)
            case "fence":
                self._leaf = Fence(self.growth, found.line)
            case "math":
                self._leaf = MathBlock(self.growth, found.rest)
                if self._leaf.closed:
                    self._end_leaf()
            case "code":
                self._leaf = IndentedCode(self.growth)
                self._leaf.begin(found.line)

    def _element(self, container: Container) -> Element:
        match container:
            case List(start=start):
                return elements.bullets() if start is None else elements.numbers(start)
            case Item(checked=checked):
                return elements.ITEM if checked is None else elements.task(checked=checked)
            case Footnote(label=label):
                return elements.footnote(label, str(self._env["id_prefix"]))
        return elements.QUOTE

    def _close(self, kept: int) -> None:
        self._end_leaf()
        while len(self._containers) > kept:
            self._containers.pop()
            self.growth.end()

    def _end_leaf(self) -> None:
        if self._leaf is not None:
            self._leaf.end()
            self._leaf = None
