"""Code in colour, line by line: Pygments' short classes, nothing inline.

A line is coloured when it is complete and never again, so complete and growing code look the same by construction.
What a lexer must remember from line to line is its stack of states, which is carried. Three things do not live on that
stack and are handled here: block comments and the scripts and styles of pages, which lexers match with one expression
over all their lines, and lexers that have no stack or keep more than it (YAML's), which see each line by itself.
Colours can then be plainer than Pygments would give them; they are never taken back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby

from markdown_it.common.utils import escapeHtml as escape
from pygments.lexer import ExtendedRegexLexer, Lexer, LexerContext, RegexLexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES, Comment, String, Text, _TokenType
from pygments.util import ClassNotFound

LONGEST_LINE = 500  # characters; a longer line stays uncoloured
# What the style sheet colours. Other kinds of token need no element.
_COLOURED = """
    k kc kd kn kp kr kt ow s s1 s2 sa sb sc dl sd sh si sr ss sx se m mi mf mb mh mo il no c c1 cm ch cs cpf
    cp nd ni nf fm na nl py nc nn ne nb bp nt gd gr gi gh gu gp ge gs
"""
COLOURED = frozenset(_COLOURED.split())

Token = tuple[_TokenType, str]

_LANGUAGE = re.compile(r"[A-Za-z0-9+#._-]{1,30}")
_C_LIKE_NAMES = """
    c c++ cpp c# csharp java javascript js jsx typescript ts tsx go golang rust rs php kotlin kt swift scala dart
    css scss less sass groovy objective-c objc proto protobuf solidity zig glsl hlsl jsonc json5 sql
"""
_C_LIKE = frozenset(_C_LIKE_NAMES.split())
_PAGE = frozenset({"html", "htm", "xhtml", "vue", "svelte"})
_MARKUP = _PAGE | {"xml", "svg", "xslt"}
_ALIASES = {"jsonc": "json", "jsonl": "json", "ndjson": "json", "svelte": "html"}
_EMBEDDED = {"script": "javascript", "style": "css"}
_OPENS_EMBEDDED = re.compile(r"<(script|style)\b[^<>]*>(?!.*</\1)", re.IGNORECASE)


def language_of(info: str) -> str:
    """Return the language that a fence names, as a plain word; empty when it names none."""
    match = _LANGUAGE.match(info.strip())
    return match[0].lower() if match else ""


class LineHighlighter:
    """Takes the lines of one code block in order; returns each as escaped HTML, with its line end."""

    def __init__(self, language: str) -> None:
        self._lexer = _lexer(language)
        self._carries = isinstance(self._lexer, RegexLexer)
        self._stack = ["root"]
        self._comment = _comment_of(language)
        self._in_comment = False
        self._is_page = language in _PAGE
        self._embedded: LineHighlighter | None = None
        self._embedded_end = ""

    def line(self, text: str) -> str:
        """Return the next line, which comes without its line end."""
        if self._lexer is None or len(text) > LONGEST_LINE:
            return f"{escape(text)}\n"
        return f"{_html(self._tokens(text))}\n"

    def _tokens(self, text: str) -> Iterable[Token]:
        """Return the tokens of a line, leaving scripts and styles to their own lexers."""
        if self._embedded is not None:
            end = text.lower().find(self._embedded_end)
            yield from self._embedded._tokens(text if end < 0 else text[:end])
            if end < 0:
                return
            self._embedded, text = None, text[end:]
        yield from self._own_tokens(text)
        opened = _OPENS_EMBEDDED.search(text) if self._is_page and not self._in_comment else None
        if opened:
            name = opened[1].lower()
            self._embedded, self._embedded_end = LineHighlighter(_EMBEDDED[name]), f"</{name}"

    def _own_tokens(self, text: str) -> Iterable[Token]:
        """Return the tokens of a line, taking block comments out of the lexer's hands."""
        opener, closer = self._comment
        if self._in_comment:
            inside, end, text = text.partition(closer)
            self._in_comment = not end
            yield Comment.Multiline, inside + end
        stack = self._stack.copy()
        tokens = self._lexed(text)
        begin = text.rfind(opener) if opener else -1
        if begin >= 0 and closer not in text[begin + len(opener) :] and not _is_quoted(tokens, begin):
            self._stack, self._in_comment = stack, True
            tokens = [*self._lexed(text[:begin]), (Comment.Multiline, text[begin:])]
        yield from tokens

    def _lexed(self, text: str) -> list[Token]:
        if not text or self._lexer is None:
            return [(Text, text)]
        line = f"{text}\n"
        try:
            tokens = self._step(self._lexer, line) if self._carries else _alone(self._lexer, line)
        except (TypeError, AttributeError):  # its rules want more than a carried stack
            self._carries = False
            tokens = _alone(self._lexer, line)
        return [(kind, value.rstrip("\n")) for kind, value in tokens]

    def _step(self, lexer: Lexer, line: str) -> list[Token]:
        """Run the lexer over one line, from the state that it was left in."""
        context = LexerContext(line, 0, stack=self._stack, end=len(line))
        found = ExtendedRegexLexer.get_tokens_unprocessed(lexer, context=context)
        tokens = [(kind, value) for _, kind, value in found]
        self._stack = context.stack
        return tokens


def _alone(lexer: Lexer, line: str) -> list[Token]:
    """Run the lexer over one line as if there were no other."""
    return [(kind, value) for _, kind, value in lexer.get_tokens_unprocessed(line)]


def _comment_of(language: str) -> tuple[str, str]:
    if language in _C_LIKE:
        return "/*", "*/"
    return ("<!--", "-->") if language in _MARKUP else ("", "")


def _is_quoted(tokens: Iterable[Token], position: int) -> bool:
    """Whether a place in a line lies within a string or a comment."""
    begin = 0
    for kind, value in tokens:
        if begin <= position < begin + len(value):
            return kind in String or (kind in Comment and begin < position)
        begin += len(value)
    return False


@lru_cache(maxsize=128)
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(_ALIASES.get(language, language), stripnl=False, ensurenl=False) if language else None
    except ClassNotFound:
        return None


def _html(tokens: Iterable[Token]) -> str:
    html = []
    for name, group in groupby(tokens, key=lambda token: _class(token[0])):
        text = escape("".join(value for _, value in group))
        html.append(f'<span class="{name}">{text}</span>' if name else text)
    return "".join(html)


@lru_cache(maxsize=512)
def _class(kind: _TokenType) -> str:
    """Return the class of the nearest kind that is coloured."""
    while kind is not None:
        name = STANDARD_TYPES.get(kind, "")
        if name in COLOURED:
            return str(name)
        kind = kind.parent
    return ""
