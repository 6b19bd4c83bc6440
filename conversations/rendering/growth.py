"""HTML that only grows at its end, and what has to be appended where to grow a copy of it.

The whole is a list of pieces in the order of the document: an element begins, content, an element ends. Joined they are
the HTML. A browser that has the first n pieces (with the open elements closed, as a page must) comes up to date by
appending to elements it has, which need no names: the elements that are open are the last child of the last child of …
the body. `appends` groups pieces into as few of these as can be.

Where one piece ends and the next begins is part of the contract, not only what they join to: how many there are is a
viewer's place on the wire (the event id), and another process, or the end of the answer, goes on from there with the
pieces that it has made of other deltas. Who changes where pieces end changes `markdown.RENDERER_VERSION`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from conversations.rendering.elements import Element
from conversations.rendering.sanitising import sanitise, sanitise_element

BEGIN, CONTENT, END = "begin", "content", "end"


class Piece(NamedTuple):
    """One step of growth. `depth` is the number of open elements before it, `levels` how many it opens or closes."""

    kind: str
    html: str
    depth: int
    levels: int = 0
    end: str = ""


class Append(NamedTuple):
    """HTML, complete in itself, to append to the element `depth` last-child steps below the body."""

    depth: int
    html: str


class Growth:
    """Collects pieces; everything in it is sanitised."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.depth = 0
        self._open: list[Element] = []

    def begin(self, element: Element) -> None:
        """Open an element inside the last open one."""
        clean = sanitise_element(element)
        self.pieces.append(Piece(BEGIN, clean.begin, self.depth, clean.levels, clean.end))
        self._open.append(clean)
        self.depth += clean.levels

    def add(self, html: str, *, within: tuple[str, str] = ("", "")) -> None:
        """Add content, complete in itself, to the last open element; `within` is what it needs around it."""
        clean = sanitise(html, within=within)
        if clean:
            self.pieces.append(Piece(CONTENT, clean, self.depth))

    def end(self) -> None:
        """Close the last open element."""
        element = self._open.pop()
        self.pieces.append(Piece(END, element.end, self.depth, element.levels))
        self.depth -= element.levels

    def html(self) -> str:
        """Return the whole, with what is open closed."""
        return "".join(piece.html for piece in self.pieces) + "".join(element.end for element in reversed(self._open))


def appends(pieces: Sequence[Piece]) -> Iterator[Append]:
    """Return what brings a page that has everything before these pieces up to date with them."""
    if not pieces:
        return
    depth = pieces[0].depth
    html: list[str] = []
    ends: list[str] = []  # of the elements that were opened in `html`
    for piece in pieces:
        if piece.kind == END and not ends:
            yield from _append(depth, html)
            html, depth = [], depth - piece.levels
            continue
        html.append(piece.html)
        if piece.kind == BEGIN:
            ends.append(piece.end)
        elif piece.kind == END:
            ends.pop()
    yield from _append(depth, [*html, *reversed(ends)])


def _append(depth: int, html: Iterable[str]) -> Iterator[Append]:
    joined = "".join(html)
    if joined:
        yield Append(depth, joined)
