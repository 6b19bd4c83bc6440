"""Code in colour: Pygments' short classes, nothing inline."""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

LONGEST_CHARACTERS = 100_000  # beyond, code stays uncoloured: some lexers are slow
_LANGUAGE = re.compile(r"[A-Za-z0-9+#._-]{1,30}")
_formatter = HtmlFormatter(nowrap=True)


def language_of(info: str) -> str:
    """Return the language that a fence names, as a plain word; empty when it names none."""
    match = _LANGUAGE.match(info.strip())
    return match[0].lower() if match else ""


@lru_cache(maxsize=128)
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def highlighted(code: str, language: str) -> str:
    """Return code as escaped HTML, coloured when the language is known."""
    lexer = _lexer(language) if language and len(code) <= LONGEST_CHARACTERS else None
    return escape(code) if lexer is None else str(highlight(code, lexer, _formatter))
