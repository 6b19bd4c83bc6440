"""Markdown text to safe HTML: a pure function of the text. Everything goes through `sanitising.sanitise`.

Some inputs cost any parser time without bounds (thousands of `[`, tables of hundreds of columns). Texts that look like
that are shown as they are, escaped.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape

from markdown_it.token import Token

from conversations.rendering.grammar import code_pieces, make_parser
from conversations.rendering.pool import Pool
from conversations.rendering.sanitising import sanitise

RENDERER_VERSION = "1"

MOST_BRACKETS = 400  # open brackets in one block: their cost is quadratic
MOST_CELLS = 60  # columns of a table: a short row is padded to the width of its header
DEEPEST_QUOTE = 40
_QUOTES = re.compile(rf"^[ >]{{{2 * DEEPEST_QUOTE},}}", re.MULTILINE)
_complete = Pool(lambda: make_parser(footnotes=True))


def render(text: str, *, id_prefix: str = "") -> str:
    """Return the canonical HTML of a complete text. `id_prefix` begins every id in it."""
    if too_costly(text):
        return render_plain(text)
    env: dict[str, object] = {"id_prefix": id_prefix}
    with _complete.one() as parser:
        return render_tokens(parser.parse(normalised(text), env), env)


def render_plain(text: str) -> str:
    """Return a text as it is, escaped."""
    return sanitise(f'<p class="plain" dir="auto">{escape(text)}</p>\n')


def render_tokens(tokens: list[Token], env: dict[str, object]) -> str:
    """Return the HTML of some blocks of a parsed text."""
    html, begin = [], 0
    for index, token in enumerate(tokens):
        if token.level == 0 and token.type in {"fence", "code_block"}:
            html += [_render(tokens[begin:index], env), _render_code(token)]
            begin = index + 1
    return "".join([*html, _render(tokens[begin:], env)])


def _render(tokens: list[Token], env: dict[str, object]) -> str:
    if not tokens:
        return ""
    with _complete.one() as parser:
        return sanitise(parser.renderer.render(tokens, parser.options, env))


def _render_code(token: Token) -> str:
    """Clean code line by line: while a block grows, all its lines but the last have been cleaned before."""
    begin, lines, end = code_pieces(token)
    frame = _sanitise_once(f"{begin}{_HERE}{end}")
    before, _, after = frame.partition(_HERE)
    return before + "".join(map(_sanitise_once, lines)) + after


_HERE = "\N{OBJECT REPLACEMENT CHARACTER}"
_sanitise_once = lru_cache(maxsize=16_384)(sanitise)


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
