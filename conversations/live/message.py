"""The HTML of one assistant message while its parts arrive.

A message holds reasoning, which is shown apart and collapsed, and text. Both grow through renderers of their own, whose
pieces are put into one list of operations: an operation once in the list never changes, so that "the first n
operations" names a state that every process agrees on, whatever pieces the parts came in.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from django.utils.translation import gettext
from markdown_it.common.utils import escapeHtml

from conversations.rendering.blocks import edits
from conversations.rendering.growth import Piece, appends
from conversations.rendering.incremental import IncrementalRenderer
from conversations.rendering.sanitising import sanitise

BODY, REASONING, LABEL = "body", "rbody", "thought"
TAIL = "tail"  # what is held, in an element that is taken away again


class Operation(NamedTuple):
    """One change of the page that is final: a piece of growth for the part of the message, or its new label.

    The piece of a label holds the milliseconds it tells of: each viewer reads it in a language of their own.
    """

    part: str
    piece: Piece


class Change(NamedTuple):
    """What to do to an element: htmx's swap of this name with `html`; `path` leads from the part to it, as in CSS."""

    part: str
    swap: str
    html: str = ""
    path: str = ""


def thought_label(milliseconds: int) -> str:
    """Say how long the model thought, in the current language."""
    minutes, seconds = divmod(max(1, round(milliseconds / 1000)), 60)
    if not minutes:
        return gettext("Thought for %(seconds)d s") % {"seconds": seconds}
    return gettext("Thought for %(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": seconds}


def changes(operations: Sequence[Operation]) -> list[Change]:
    """Return what brings a page up to date that has everything before these operations, in the current language."""
    found = []
    for part in (REASONING, BODY):
        grown = [operation.piece for operation in operations if operation.part == part]
        found += [Change(part, "beforeend", append.html, _path(append.depth)) for append in appends(grown)]
    labels = [operation.piece.html for operation in operations if operation.part == LABEL]
    return found + [Change(LABEL, "innerHTML", thought_label(int(ms))) for ms in labels[-1:]]


def lacking(renderer: MessageRenderer, operations: int | None, *, shows_tail: bool) -> list[Change]:
    """Return what brings a page up to date that has the first `operations`, and perhaps the tail behind them.

    None, or more than there are, means: everything again, as a replacement.
    """
    if operations is None or operations > len(renderer.operations):
        return [
            Change(BODY, "innerHTML", renderer.body_html()),
            Change(REASONING, "innerHTML", renderer.reasoning_html()),
            Change(LABEL, "innerHTML", renderer.reasoning_label),
        ]
    gone = [Change(TAIL, "delete")] if shows_tail else []
    return gone + changes(renderer.operations[operations:])


def healing(shown: str, canonical: str) -> list[Change]:
    """Return what makes the body that was `shown` the canonical one, leaving alone what is right already."""
    return [
        Change(BODY, edit.swap, edit.html, f">:nth-child({edit.child})" if edit.child else "")
        for edit in edits(shown, canonical)
    ]


def _path(depth: int) -> str:
    return ">:last-child" * depth


class MessageRenderer:
    """Feed it parts in order; read `operations`, or the HTML of a first page.

    `dom_id` is the id of the message's element; the ids of its inner elements begin with it.
    """

    def __init__(self, dom_id: str, image_hosts: Collection[str] = ()) -> None:
        self.prefix = f"{dom_id}-"
        self.operations: list[Operation] = []
        self.characters = 0
        self.text: list[str] = []
        self._image_hosts = image_hosts
        self._text = self._renderer("")
        self._reasoning: IncrementalRenderer | None = None
        self._reasoning_parts = 0
        self._reasoning_ms = 0
        self._last_ms = 0
        self._reasoning_before: list[str] = []

    def feed(self, kind: str, text: str, at_ms: int) -> None:
        """Take the next piece of a part; `at_ms` is its age since the generation began."""
        self.characters += len(text)
        if kind == "reasoning":
            self._feed_reasoning(text)
            self._reasoning_ms += max(0, at_ms - self._last_ms)
        else:
            self._end_reasoning()
            self.text.append(text)
            self._text.feed(text)
            self._collect(BODY, self._text)
        self._last_ms = at_ms

    def begin_generation(self) -> None:
        """Say that what follows belongs to another generation of the same message, whose clock starts at zero."""
        self._end_reasoning()
        self._last_ms = 0

    def finish(self) -> None:
        """Show everything: the message has ended."""
        self._end_reasoning()
        self._text.finish()
        self._collect(BODY, self._text)

    @property
    def held(self) -> int:
        """How many characters have come that are not shown yet."""
        return len(self._growing.held)

    def tail(self) -> Change:
        """Return what shows the held text as it was written, where it will stand; the end of it pulsates."""
        part = REASONING if self._reasoning is not None else BODY
        text = escapeHtml(self._growing.held.strip("\n"))
        html = sanitise(f'<span class="tail" id="{self.prefix}{TAIL}">{text}</span>')
        return Change(part, "beforeend", html, _path(self._growing.growth.depth))

    def body_html(self) -> str:
        """Return the HTML of the text as far as it is final."""
        return self._text.growth.html()

    def reasoning_html(self) -> str:
        """Return the HTML of the reasoning as far as it is final."""
        current = self._reasoning.growth.html() if self._reasoning is not None else ""
        return "".join(self._reasoning_before) + current

    @property
    def has_reasoning(self) -> bool:
        """Whether the model has thought aloud."""
        return self._reasoning_parts > 0

    @property
    def reasoning_label(self) -> str:
        """What the summary of the reasoning says now, in the current language."""
        return gettext("Thinking…") if self._reasoning is not None else thought_label(self._reasoning_ms)

    @property
    def _growing(self) -> IncrementalRenderer:
        return self._reasoning or self._text

    def _renderer(self, name: str) -> IncrementalRenderer:
        return IncrementalRenderer(id_prefix=f"{self.prefix}{name}", image_hosts=self._image_hosts)

    def _feed_reasoning(self, text: str) -> None:
        if self._reasoning is None:
            self._reasoning_parts += 1
            self._reasoning = self._renderer(f"r{self._reasoning_parts}-")
        self._reasoning.feed(text)
        self._collect(REASONING, self._reasoning)

    def _end_reasoning(self) -> None:
        if self._reasoning is None:
            return
        self._reasoning.finish()
        self._collect(REASONING, self._reasoning)
        self._reasoning_before.append(self._reasoning.growth.html())
        self._reasoning = None
        self.operations.append(Operation(LABEL, Piece("label", str(self._reasoning_ms), 0)))

    def _collect(self, part: str, renderer: IncrementalRenderer) -> None:
        """Put the renderer's new pieces into the list."""
        self.operations += (Operation(part, piece) for piece in renderer.take())
