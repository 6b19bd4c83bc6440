"""The place of a text where a query is found, as pieces of plain text: templates escape them and mark what matched."""

from __future__ import annotations

import re
from dataclasses import dataclass

from conversations.search.words import Term, fold_character

BEFORE = 40
LENGTH = 160
_SPACE = re.compile(r"\s+")
_LINE_MARKS = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|```.*$|[-*+][ \t]+(?:\[[ x]\][ \t])?|[-|: ]{3,}$)", re.M)
_LINK = re.compile(r"!?\[([^\[\]\n]{1,300})\]\([^()\s]{1,2000}\)")
_EMPHASIS = re.compile(r"(?<![\w*])\*{1,3}(?=\S)|(?<=\S)\*{1,3}(?![\w*])|`+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a snippet."""

    text: str
    marked: bool = False


def plain(text: str) -> str:
    """Return what an answer says without the marks of its Markdown, roughly: to be read in a line or two."""
    text = _LINK.sub(r"\1", _LINE_MARKS.sub("", text))
    return _EMPHASIS.sub("", text).replace("|", " ")


def has_all(text: str, terms: list[Term]) -> bool:
    """Whether each of these is found in a text."""
    return all(_matches(text, [term]) for term in terms)


def snippet(text: str, terms: list[Term], *, length: int = LENGTH) -> list[Piece]:
    """Return the surroundings of the first match, or the beginning of the text when there is none."""
    matches = _matches(text, terms)
    start = max(0, matches[0][0] - BEFORE) if matches else 0
    if start:
        space = text.find(" ", start, matches[0][0])
        start = space + 1 if space > 0 else start
    end = min(len(text), start + length)
    pieces = [Piece("…")] if start else []
    place = start
    for begin, stop in matches:
        if begin >= end:
            break
        pieces += [Piece(text[place:begin]), Piece(text[begin : min(stop, end)], marked=True)]
        place = min(stop, end)
    pieces.append(Piece(text[place:end] + ("…" if end < len(text) else "")))
    tidy = [Piece(_SPACE.sub(" ", piece.text), piece.marked) for piece in pieces]
    return [piece for piece in tidy if piece.text]


def marked(text: str, terms: list[Term]) -> list[Piece]:
    """Return a whole text, such as a title, with what matched."""
    return snippet(text, terms, length=len(text)) if len(text) <= BEFORE else _whole(text, terms)


def _whole(text: str, terms: list[Term]) -> list[Piece]:
    pieces, place = [], 0
    for begin, stop in _matches(text, terms):
        pieces += [Piece(text[place:begin]), Piece(text[begin:stop], marked=True)]
        place = stop
    return [piece for piece in (*pieces, Piece(text[place:])) if piece.text]


def _matches(text: str, terms: list[Term]) -> list[tuple[int, int]]:
    """Return where a text matches, as places in the text itself: folding may change how long it is."""
    if not terms:
        return []
    pattern = "|".join(_pattern(term) for term in sorted(terms, key=lambda term: -len(term.shown)))
    if text.isascii():
        return [match.span() for match in re.finditer(pattern, text.lower())]
    folded: list[str] = []
    origin: list[int] = []
    for place, character in enumerate(text):
        parts = fold_character(character)
        folded.append(parts)
        origin += [place] * len(parts)
    places: list[tuple[int, int]] = []
    for match in re.finditer(pattern, "".join(folded)):
        begin, stop = origin[match.start()], origin[match.end() - 1] + 1
        if not places or begin >= places[-1][1]:  # one character may have become several words
            places.append((begin, stop))
    return places


def _pattern(term: Term) -> str:
    if term.unspaced:
        return re.escape(term.shown)
    return rf"(?<![^\W_]){re.escape(term.shown)}" + (r"[^\W_]*" if term.prefix else r"(?![^\W_])")
