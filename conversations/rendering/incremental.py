"""Growing text to settled blocks and a tail.

A block of Markdown is final as soon as another one has begun behind it on a complete line: CommonMark never opens a
closed block again. So after each line the open text is parsed, and all blocks but the last are settled. The last one
is the tail, rendered as if the text ended here. What this cannot know, a reference or a footnote defined behind its
use, is put right by the final replacement with the canonical HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

from markdown_it.token import Token

from conversations.rendering.grammar import make_parser
from conversations.rendering.markdown import normalised, render_plain, render_tokens, too_costly
from conversations.rendering.pool import Pool

_open = Pool(lambda: make_parser(footnotes=False))


@dataclass(frozen=True, slots=True)
class Fragment:
    """HTML to append to the element with id `target`; an empty target is the body of the message."""

    target: str
    html: str


class IncrementalRenderer:
    """Feed it text in any pieces; `settled` only grows, `tail` is replaced as a whole."""

    def __init__(self, *, id_prefix: str = "") -> None:
        self.characters = 0
        self._id_prefix = id_prefix
        self._references: dict[str, object] = {}
        self._settled: list[Fragment] = []
        self._rest = ""
        self._held = ""
        self._tail: str | None = ""

    @property
    def settled(self) -> Sequence[Fragment]:
        """What is final."""
        return self._settled

    @property
    def tail(self) -> Fragment:
        """The open rest, as if the text ended here."""
        if self._tail is None:
            self._tail = self._rendered(self._rest)
        return Fragment("", self._tail)

    def feed(self, text: str) -> None:
        """Take more text."""
        self.characters += len(text)
        text, self._held = self._held + text, ""
        if text.endswith("\r"):  # half of a line end, perhaps
            text, self._held = text[:-1], "\r"
        self._rest += normalised(text)
        self._tail = None
        if "\n" in text:
            self._settle()

    def finish(self) -> None:
        """Settle what is left: the text has ended."""
        self._rest += normalised(self._held)
        self._held = ""
        html = self._rendered(self._rest)
        if html:
            self._settled.append(Fragment("", html))
        self._rest, self._tail = "", ""

    def snapshot(self) -> str:
        """Return the HTML of everything that is settled."""
        return "".join(fragment.html for fragment in self._settled)

    def _rendered(self, text: str) -> str:
        if not text.strip():
            return ""
        if too_costly(text):
            return render_plain(text)
        env = self._environment()
        return render_tokens(_without_notes(_parsed(text, env)), env)

    def _environment(self) -> dict[str, object]:
        """Return what a parse may change: a definition on a line that is not complete must not outlive it."""
        return {"id_prefix": self._id_prefix, "references": dict(self._references)}

    def _settle(self) -> None:
        complete = self._rest.rpartition("\n")[0]
        if too_costly(complete):
            return
        env = self._environment()
        tokens = _parsed(complete, env)
        starts = [index for index, token in enumerate(tokens) if token.level == 0 and token.nesting >= 0]
        if len(starts) < 2:  # noqa: PLR2004 - the last block is open
            return
        self._references.update(cast(dict[str, object], env["references"]))
        for begin, end in pairwise(starts):
            html = render_tokens(_without_notes(tokens[begin:end]), env)
            if html:
                self._settled.append(Fragment("", html))
        self._rest = _lines_from(self._rest, tokens[starts[-1]])


def _parsed(text: str, env: dict[str, object]) -> list[Token]:
    with _open.one() as parser:
        return parser.parse(text, env)


def _without_notes(tokens: list[Token]) -> list[Token]:
    """Leave out the bodies of footnotes: they stand at the end, in the canonical HTML."""
    kept, inside = [], False
    for token in tokens:
        inside = inside or token.type == "footnote_reference_open"
        if not inside:
            kept.append(token)
        inside = inside and token.type != "footnote_reference_close"
    return kept


def _lines_from(text: str, block: Token) -> str:
    line = block.map[0] if block.map else 0
    return "\n".join(text.split("\n")[line:])  # what Markdown calls a line, and nothing else
