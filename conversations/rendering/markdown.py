"""Markdown text to safe HTML: a pure function of the text. Everything goes through `sanitising.sanitise`.

Some inputs cost any parser time without bounds (thousands of `[`, tables of hundreds of columns). Texts that look like
that are shown as they are, escaped.
"""

from __future__ import annotations

import re
from html import escape

from markdown_it.token import Token

from conversations.rendering.grammar import parser
from conversations.rendering.sanitising import sanitise

RENDERER_VERSION = "1"

MOST_BRACKETS = 400  # open brackets in one block: their cost is quadratic
MOST_CELLS = 60  # columns of a table: a short row is padded to the width of its header
DEEPEST_QUOTE = 40
_QUOTES = re.compile(rf"^[ >]{{{2 * DEEPEST_QUOTE},}}", re.MULTILINE)
_complete = parser(footnotes=True)


def render(text: str, *, id_prefix: str = "") -> str:
    """Return the canonical HTML of a complete text. `id_prefix` begins every id in it."""
    if too_costly(text):
        return render_plain(text)
    return sanitise(_complete.render(normalised(text), {"id_prefix": id_prefix}))


def render_plain(text: str) -> str:
    """Return a text as it is, escaped."""
    return sanitise(f'<p class="plain" dir="auto">{escape(text)}</p>\n')


def render_tokens(tokens: list[Token], env: dict[str, object]) -> str:
    """Return the HTML of some blocks of a parsed text."""
    return sanitise(_complete.renderer.render(tokens, _complete.options, env))


def normalised(text: str) -> str:
    """Return a text with one kind of line end and nothing that is not a character."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return text.encode("utf-8", "replace").decode()


def too_costly(text: str) -> bool:
    """Whether parsing would take time out of proportion: decided by counting, so that it is the same everywhere."""
    if _QUOTES.search(text):
        return True
    return any(_costly_block(block) for block in text.split("\n\n"))


def _costly_block(block: str) -> bool:
    if block.count("[") > MOST_BRACKETS or block.count("<") > 5 * MOST_BRACKETS or block.count("$") > MOST_BRACKETS:
        return "```" not in block
    return any(line.count("|") > MOST_CELLS for line in block.split("\n", 200)[:200])
