"""What a leaf is: a block that holds text, and shows of its lines what is final as soon as it is.

A leaf is told of whole lines, or of a line as it comes: `begin_line`, `more` …, `end_line`. It puts what is final into
the growth at once and holds the rest. `kind` is what `lines.plan` wants to know of it.
"""

from __future__ import annotations

import re

from conversations.rendering.lines import Line

MARKUP = re.compile(r"[\\`*_~\[\]<&$!\n]|://|mailto:")  # text without any of it needs no inline parser


class Leaf:
    """A block that holds text; each kind does what it needs of this."""

    kind = ""

    def begin_line(self, rest: str) -> None:
        """Take the beginning of a line, without indentation."""

    def more(self, text: str) -> None:
        """Take more of the same line."""

    def end_line(self) -> None:
        """The line is complete."""

    def inside(self, line: Line) -> bool:
        """Take a whole line of a verbatim block; False when that was its last."""
        raise NotImplementedError

    def end(self) -> None:
        """The block is complete: show what was held."""

    @property
    def held(self) -> str:
        """The text that is not shown yet."""
        return ""
