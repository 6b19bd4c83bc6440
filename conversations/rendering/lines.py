"""What a line of Markdown does to the blocks that are open: CommonMark's block structure, one line at a time.

`plan` decides, and changes nothing. It says how many of the open containers (quotes, lists, items, footnotes) the line
continues, which new ones it opens, and what kind of leaf its rest is or belongs to. It may be asked about a line that
is not complete, and `undecided` then says whether more characters could change the answer.

The rules are those of the CommonMark 0.31 specification, section "Phase 1: block structure" of its appendix; columns
count tabs as up to four.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from conversations.rendering.definitions import maybe_definitions
from conversations.rendering.footnotes import INDENT, note_at
from conversations.rendering.grammar import DEEPEST
from conversations.rendering.highlighting import LONGEST_LINE
from conversations.rendering.maths import opens_block

BLANK = " \t"  # all that Markdown's blocks take for white space: others belong to the words
CODE_INDENT = 4
TAB = 4
_HEADING = re.compile(r"(#{1,6})(?:[ \t]+|$)")
_FENCE = re.compile(r"(`{3,}+)(?!.*`)|(~{3,})")
_RULE = re.compile(r"(?:\*[ \t]*){3,}$|(?:_[ \t]*){3,}$|(?:-[ \t]*){3,}$")
_MARKER = re.compile(r"[*+-]|(\d{1,9})[.)]")
_TASK = re.compile(r"\[([ xX])\][ \t]")
_UNDECIDED = re.compile(r"#{1,6}|`+|~+|(?:\d{1,9}[.)]?|[-+*])[ \t]*|([-_*])(?:[ \t]*\1)*[ \t]*|\$|\\")
_RUN = re.compile(r"([-_*])(?:[ \t]*\1)*[ \t]*")
_RUNS = {marker: re.compile(rf"[ \t{re.escape(marker)}]*") for marker in "-_*"}
_WHITE = re.compile(r"[ \t]*")
_NO_BACKTICK = re.compile(r"[^`]*")
_ANYTHING = re.compile(r".*", re.DOTALL)
_NOTHING = re.compile(r"")


class Line:
    """A line with a place in it, which moves over indentation and markers."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.offset = 0
        self.column = 0
        self._partial_tab = 0  # columns of a tab that are not used up yet

    @property
    def rest(self) -> str:
        """What follows, without its indentation."""
        return self.text[self.offset :].lstrip(BLANK)

    @property
    def blank(self) -> bool:
        """Whether nothing follows."""
        return not self.rest

    @property
    def indent(self) -> int:
        """The width of the white space that follows, in columns."""
        rest = self.text[self.offset :]
        white = rest[: len(rest) - len(rest.lstrip(BLANK))]
        before = (self.column + self._partial_tab) % TAB
        return self._partial_tab + len((" " * before + white).expandtabs(TAB)) - before

    def advance(self, columns: int) -> None:
        """Move over white space, through tabs if need be."""
        while columns > 0:
            if self._partial_tab:
                step = min(columns, self._partial_tab)
                self._partial_tab -= step
            elif self.text[self.offset : self.offset + 1] == "\t":
                self._partial_tab = TAB - self.column % TAB
                self.offset += 1
                continue
            elif self.text[self.offset : self.offset + 1] == " ":
                self.offset += 1
                step = 1
            else:
                return
            self.column += step
            columns -= step

    def skip(self, characters: int) -> None:
        """Move over indentation and as many characters behind it, none of them a tab."""
        self.advance(self.indent)
        self.offset += characters
        self.column += characters

    def remaining(self) -> str:
        """What follows, with its indentation; a tab that is half used up counts as spaces."""
        return " " * self._partial_tab + self.text[self.offset :]


@dataclass(slots=True)
class Quote:
    """A block quote."""

    def continues(self, line: Line) -> bool:
        """Move the line behind this container's marker or indentation, if it belongs to it."""
        if line.indent >= CODE_INDENT or not line.rest.startswith(">"):
            return False
        line.skip(1)
        line.advance(1)
        return True


@dataclass(slots=True)
class List:
    """A list; `marker` is the bullet, or what follows the number."""

    marker: str
    start: int | None

    def continues(self, _line: Line) -> bool:
        """Whether it ends is up to its item."""
        return True


@dataclass(slots=True)
class Item:
    """An item whose content begins `indent` columns in; `checked` if it has a box. `empty` until something is in it."""

    indent: int
    checked: bool | None = None
    empty: bool = True

    def continues(self, line: Line) -> bool:
        """As `Quote.continues`."""
        if line.blank:
            line.advance(min(self.indent, line.indent))
            return not self.empty
        if line.indent < self.indent:
            return False
        line.advance(self.indent)
        return True


@dataclass(slots=True)
class Footnote:
    """The text of a footnote."""

    label: str

    def continues(self, line: Line) -> bool:
        """As `Quote.continues`."""
        if line.blank:
            line.advance(min(INDENT, line.indent))
            return True
        if line.indent < INDENT:
            return False
        line.advance(INDENT)
        return True


Container = Quote | List | Item | Footnote


@dataclass(slots=True)
class Plan:
    """What a line does: it continues `matched` containers and opens `opened` in them; its `rest` is of this `kind`.

    Kinds: `blank`, `text` (of a paragraph or table), `heading` and `rule`, `fence` and `math` (the line that opens
    them), `code` (indented), `inside` (a line of the verbatim block that is open). `lazy` says that the text goes on in
    the open paragraph although not all of its containers are matched.
    """

    matched: int
    kind: str = "text"
    opened: list[Container] = field(default_factory=list)
    rest: str = ""
    line: Line = field(default_factory=lambda: Line(""))
    lazy: bool = False


def plan(text: str, containers: Sequence[Container], leaf: str) -> Plan:
    """Plan a line. `leaf` is the kind of the open leaf: `paragraph`, `verbatim`, `code`, `table` or nothing."""
    line = Line(text)
    matched = _matched(line, containers)
    whole = matched == len(containers)
    if whole and (leaf == "verbatim" or (leaf == "code" and (line.blank or line.indent >= CODE_INDENT))):
        return Plan(matched, "inside", line=line)
    found = Plan(matched, line=line)
    while not _leaf(found, leaf) and _open(found, containers, in_paragraph=whole and leaf == "paragraph"):
        pass
    found.rest = line.rest
    if found.kind == "text" and not found.opened and leaf == "paragraph":
        found.lazy = not whole
    elif found.matched and isinstance(containers[found.matched - 1], List) and not _stays_in_list(found):
        found.matched -= 1  # a list holds nothing but items
    return found


def _matched(line: Line, containers: Sequence[Container]) -> int:
    for number, container in enumerate(containers):
        if not container.continues(line):
            return number
    return len(containers)


def _stays_in_list(found: Plan) -> bool:
    return isinstance(found.opened[0], Item) if found.opened else found.kind == "blank"


def _leaf(found: Plan, open_leaf: str) -> bool:
    """Recognise what is not a container; True when there is nothing more to find in this line."""
    line = found.line
    rest = line.rest
    if not rest:
        found.kind = "blank"
    elif line.indent >= CODE_INDENT:
        in_paragraph = open_leaf == "paragraph" and not found.opened
        found.kind = "text" if in_paragraph else "code"
    elif _HEADING.match(rest):
        found.kind = "heading"
    elif _FENCE.match(rest):
        found.kind = "fence"
    elif opens_block(rest):
        found.kind = "math"
    elif _RULE.match(rest):
        found.kind = "rule"
    else:
        return False
    return True


def _open(found: Plan, containers: Sequence[Container], *, in_paragraph: bool) -> bool:
    """Open the container that begins here; False when none does, and the rest is text."""
    line = found.line
    depth = found.matched + len(found.opened)
    if line.rest.startswith(">") and depth < DEEPEST:
        found.opened.append(Quote())
        line.skip(1)
        line.advance(1)
        return True
    note = note_at(line.rest) if depth < DEEPEST else None
    if note:
        found.opened.append(Footnote(note[1]))
        line.skip(note.end())
        return True
    around = (containers[found.matched - 1] if found.matched else None) if not found.opened else found.opened[-1]
    return _open_item(found, around, depth, in_paragraph=in_paragraph and not found.opened)


def _open_item(found: Plan, around: Container | None, depth: int, *, in_paragraph: bool) -> bool:
    line = found.line
    marker = _MARKER.match(line.rest)
    if marker is None:
        return False
    after = line.rest[marker.end() :]
    number = int(marker[1]) if marker[1] else None
    if after[:1] not in {"", " ", "\t"} or (in_paragraph and (not after.strip(BLANK) or number not in {None, 1})):
        return False
    kind = marker[0][-1]
    same = isinstance(around, List) and around.marker == kind and (around.start is None) == (number is None)
    if not same and depth - isinstance(around, List) >= DEEPEST:
        return False
    if not same:
        if isinstance(around, List) and not found.opened:
            found.matched -= 1
        found.opened.append(List(kind, number))
    item = _item(line, marker.end())
    found.opened.append(item)
    return item.checked is None or not line.indent  # what is set off from the box is text, whatever it looks like


def _item(line: Line, width: int) -> Item:
    """Move behind the marker and the white space that belongs to it, and behind a task's box."""
    before = line.indent
    line.skip(width)
    space = line.indent
    if line.blank or space > CODE_INDENT:
        line.advance(1)
        space = 1
    else:
        line.advance(space)
    item = Item(before + width + space)
    task = _TASK.match(line.rest) if line.indent < CODE_INDENT else None
    if task:
        item.checked = task[1] != " "
        line.skip(3)
        line.advance(1)
    return item


def undecided(found: Plan, *, in_paragraph: bool) -> bool:
    """Whether more characters of this line could make something else of it than the text, heading or code it is."""
    if found.kind == "code":
        return len(found.line.remaining()) <= CODE_INDENT + LONGEST_LINE
    if found.kind not in {"text", "heading"} or not found.rest:
        return True
    if found.kind == "heading":
        return not _HEADING.sub("", found.rest, count=1)
    if found.rest.startswith("["):
        return _maybe_definition(found.rest, in_paragraph=in_paragraph)
    return bool(_UNDECIDED.fullmatch(found.rest)) or bool(opens_block(found.rest))


def _maybe_definition(rest: str, *, in_paragraph: bool) -> bool:
    """Whether a bracket could yet define a link or a footnote, or be the box of a task."""
    if in_paragraph and not "[^".startswith(rest[:2]):
        return False
    return maybe_definitions(rest)


def keeps_undecided(found: Plan) -> re.Pattern[str]:
    """Return what can follow an undecided line and leave it so for certain: it need not be planned anew for that."""
    run = _RUN.fullmatch(found.rest) if found.kind in {"text", "rule"} else None
    if run:
        return _RUNS[run[1]]
    if found.kind == "fence":
        return _NO_BACKTICK if found.rest[0] == "`" else _ANYTHING
    blank = found.kind == "blank" or (found.kind == "heading" and not found.rest.strip(f"#{BLANK}"))
    return _WHITE if blank or found.line.blank else _NOTHING
