"""Tables, row by row."""

from __future__ import annotations

import re
from typing import Any

from markdown_it.common.utils import escapeHtml as escape
from markdown_it.common.utils import mdTrim

from conversations.rendering import elements
from conversations.rendering.grammar import is_costly
from conversations.rendering.growth import Growth
from conversations.rendering.leaves.base import MARKUP, Leaf
from conversations.rendering.markdown import render_inline
from conversations.rendering.tables import MOST_COLUMNS, Filling, cells_of

_DELIMITER_ROW = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")


class Table(Leaf):
    """A table: row by row."""

    kind = "table"

    def __init__(self, growth: Growth, env: dict[str, Any], header: str, aligns: list[str]) -> None:
        self._growth = growth
        self._env = env
        self._aligns = aligns
        self._filling = Filling(len(aligns))
        self._has_rows = False
        growth.begin(elements.table(self._row("th", header)))

    def takes(self, row: str) -> bool:
        """Count a row that comes next; False when the table ends before it."""
        return self._filling.take(row)

    def begin_line(self, rest: str) -> None:
        if not self._has_rows:
            self._growth.begin(elements.ROWS)
        self._has_rows = True
        self._growth.add(self._row("td", rest), within=elements.IN_TABLE)

    def end(self) -> None:
        if self._has_rows:
            self._growth.end()
        self._growth.end()

    def _row(self, tag: str, line: str) -> str:
        cells = cells_of(line)[: len(self._aligns)]
        cells += [""] * (len(self._aligns) - len(cells))
        return elements.row(tag, self._aligns, [self._cell(mdTrim(text)) for text in cells])

    def _cell(self, text: str) -> str:
        return escape(text) if is_costly(text) or not MARKUP.search(text) else render_inline(text, self._env)


def aligns_of(header: str, row: str) -> list[str]:
    """Return the alignment of each column if `row` makes a table of the line `header`; else nothing."""
    columns = [mdTrim(column) for column in mdTrim(row).strip("|").split("|")]
    if (
        not _DELIMITER_ROW.fullmatch(row)
        or len(mdTrim(row)) < 2  # noqa: PLR2004 - one character is a bullet or a bar
        or row.startswith(("- ", "-\t"))
        or len(columns) != len(cells_of(header))
        or header.count("|") > MOST_COLUMNS
    ):
        return []
    return [_align(column) for column in columns]


def _align(column: str) -> str:
    left, right = column.startswith(":"), column.endswith(":")
    if right:
        return "center" if left else "right"
    return "left" if left else ""
