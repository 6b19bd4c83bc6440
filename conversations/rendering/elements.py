"""The HTML of each kind of block, once: the complete and the incremental rendering both take it from here.

An `Element` is what stands before and after the content of a block. `levels` counts the elements that it opens inside
one another, each the last child of the one around it: what is appended later finds its place by that count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markdown_it.common.utils import escapeHtml as escape

HIGHEST_HEADING = 3  # a message stands under the page's h1 and its own h2
LOWEST_HEADING = 6


IN_TABLE = ("<table><tbody>", "</tbody></table>")


class Element(NamedTuple):
    """The beginning and the end of a block; `within` is what it needs around it to be valid by itself."""

    begin: str
    end: str
    levels: int = 1
    within: tuple[str, str] = ("", "")


PARAGRAPH = Element('<p dir="auto">', "</p>")
QUOTE = Element('<blockquote dir="auto">', "</blockquote>")
ITEM = Element("<li>", "</li>")
ROWS = Element("<tbody>", "</tbody>", within=("<table>", "</table>"))
RULE = "<hr>"


def bullets() -> Element:
    """Return a list without an order."""
    return Element('<ul dir="auto">', "</ul>")


def numbers(start: int) -> Element:
    """Return an ordered list that begins at `start`."""
    first = "" if start == 1 else f' start="{start}"'
    return Element(f'<ol dir="auto"{first}>', "</ol>")


def task(*, checked: bool) -> Element:
    """Return a list item with a box before its text."""
    state = ' checked=""' if checked else ""
    return Element(f'<li class="task"><input type="checkbox" disabled="" aria-label="Task"{state}>', "</li>")


def heading(level: int, name: str) -> Element:
    """Return a heading with the id `name`."""
    return Element(f'<h{level} id="{escape(name)}" dir="auto">', f"</h{level}>")


def code(language: str) -> Element:
    """Return a code block, with the language's name (a plain word, or nothing) and a button above it."""
    name = f' class="language-{escape(language)}"' if language else ""
    return Element(
        f'<figure class="code"><figcaption><span class="lang">{escape(language or "text")}</span>'
        f'<button type="button" class="copy">Copy</button></figcaption><pre tabindex="0"><code{name}>',
        "</code></pre></figure>",
        levels=3,
    )


def table(header: str) -> Element:
    """Return a table, whose `header` is a row."""
    return Element(
        f'<div class="table" tabindex="0" role="region" aria-label="Table"><table dir="auto"><thead>{header}</thead>',
        "</table></div>",
        levels=2,
    )


def cell(tag: str, align: str, html: str) -> str:
    """Return a cell of a table: `tag` is th or td, `align` left, center, right or nothing."""
    name = f' class="align-{align}"' if align else ""
    return f"<{tag}{name}>{html}</{tag}>"


def row(tag: str, aligns: Sequence[str], cells: Sequence[str]) -> str:
    """Return a row of a table."""
    return f"<tr>{''.join(cell(tag, align, html) for align, html in zip(aligns, cells, strict=True))}</tr>"


def footnote(label: str, id_prefix: str) -> Element:
    """Return the text of a footnote, which stands where it was written; `label` is a plain word."""
    return Element(
        f'<div class="footnote" id="{escape(id_prefix)}fn-{label}">'
        f'<a href="#{escape(id_prefix)}fnref-{label}" class="footnote-back">{label}</a>',
        "</div>",
    )


def footnote_reference(label: str, id_prefix: str, *, first: bool) -> str:
    """Return the mark in the text; only the first one of a label can be come back to."""
    name = f' id="{escape(id_prefix)}fnref-{label}"' if first else ""
    return f'<sup class="footnote-ref"><a href="#{escape(id_prefix)}fn-{label}"{name}>{label}</a></sup>'


class Outline:
    """Fits the headings of one message into the page: no level is skipped, whatever level the model began with."""

    def __init__(self, id_prefix: str) -> None:
        self._id_prefix = id_prefix
        self._count = 0
        self._first = 0
        self._level = HIGHEST_HEADING - 1

    def next(self, level: int) -> Element:
        """Return the element of the next heading, which Markdown says is of this level (1 to 6)."""
        self._count += 1
        self._first = self._first or level
        wanted = HIGHEST_HEADING + level - self._first
        self._level = max(HIGHEST_HEADING, min(wanted, self._level + 1, LOWEST_HEADING))
        return heading(self._level, f"{self._id_prefix}h{self._count}")
