"""What both renderings know of a table's source: its cells, and how many missing ones are filled in."""

from __future__ import annotations

from markdown_it.common.utils import mdTrim
from markdown_it.rules_block.table import escapedSplit

MOST_COLUMNS = 60  # a short row is padded to the width of its header
MOST_FILLED = 200  # missing cells that a table may have, beside one for each character of its rows


def cells_of(line: str) -> list[str]:
    """Return the source of the cells of a row."""
    cells = escapedSplit(mdTrim(line))
    if cells and cells[0] == "":
        cells.pop(0)
    if cells and cells[-1] == "":
        cells.pop()
    return cells


class Filling:
    """Decides where a table ends because its rows lack too many cells: a few bytes would make a large page of them.

    What follows is a paragraph. Rows that a person or a model would write stay far from it.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._left = MOST_FILLED

    def take(self, row: str) -> bool:
        """Count a row; False when the table ends before it."""
        self._left += len(row.strip(" \t")) - max(0, self._columns - len(cells_of(row)))
        return self._left >= 0
