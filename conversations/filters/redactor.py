"""Filters a growing text: holds back what may be the beginning of something, and replaces what is.

What comes out, all pieces joined, does not depend on where the text was cut: `feed` lets go only of what no text to
come can change. That is everything but the end that may be the beginning of a match, mostly the last word; its length
is bounded by the detectors. It is let go at once, not after some time, so that a pause of the provider holds back
nothing else; and it is never let go for a pause, because then a secret could be got out slowly.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from conversations.filters.base import CONTEXT, Match, Rule, Swallow, TooSlow
from conversations.filters.folding import Folded, fold, trailing_invisible
from conversations.filters.patterns import OwnDetector
from conversations.filters.words import TELLING, RestOfWord, last_word

_REDACTED = re.compile(r"\[redacted: [^\]\n]{1,80}\]\Z")

SLICE = 1_000  # characters of a long text that are looked through at once


@dataclass(frozen=True, slots=True)
class Mark:
    """Something was found: where the text that comes out has it, in characters of its piece, and by which rule."""

    offset: int
    rule: Rule


@dataclass(frozen=True, slots=True)
class Piece:
    """What may be shown; behind a `blocked` one comes nothing any more."""

    text: str
    marks: tuple[Mark, ...] = ()
    blocked: Rule | None = None


class Redactor:
    """Feed the pieces of one text in order, then `flush`; `context` is what was shown before it, already filtered.

    `too_slow`: rules whose patterns ran out of time; they are left out from then on.
    """

    def __init__(self, rules: Sequence[Rule], context: str = "") -> None:
        self._rules = list(rules)
        self._own = [rule for rule in rules if isinstance(rule.detector, OwnDetector)]
        self._looks_in = self._rules  # which rules can find something in the text at hand
        before = fold(context[-CONTEXT:])
        self._before, self._plain_before = before.latin, before.plain
        self._held = ""
        self._invisible = 0  # in a row, before what is held
        # What a model writes behind a secret that was taken from it is no part of the secret, but may look like it.
        self._swallow: Swallow | None = RestOfWord() if _REDACTED.search(context) else None
        self._blocked: Rule | None = None
        self._ended = False
        self.too_slow: list[Rule] = []

    @property
    def held(self) -> int:
        """How many characters are held back."""
        return len(self._held)

    def feed(self, text: str) -> Piece:
        """Take the next piece of the text; return what may be shown of it all.

        A long one is taken in slices, which changes nothing: what is looked through again and again stays short.
        """
        shown, marks = "", []
        for start in range(0, len(text), SLICE):
            piece = self._feed(text[start : start + SLICE])
            marks += [replace(mark, offset=mark.offset + len(shown)) for mark in piece.marks]
            shown += piece.text
        return Piece(shown, tuple(marks), self._blocked)

    def _feed(self, text: str) -> Piece:
        raw = self._held + text
        if self._blocked is not None:
            return Piece("", blocked=self._blocked)
        if self._own or self._swallow is not None or not raw.isascii() or TELLING.search(raw):
            return self._settle(raw)
        cut = last_word(raw, 0)
        if cut:
            self._before = self._plain_before = (self._before + raw[:cut])[-CONTEXT:]
            self._invisible = 0
        self._held = raw[cut:]
        return Piece(raw[:cut])

    def flush(self) -> Piece:
        """Return what was held back, decided: nothing comes after it."""
        self._ended = True
        return Piece("", blocked=self._blocked) if self._blocked is not None else self._settle(self._held)

    def _settle(self, raw: str) -> Piece:
        folded = fold(raw, self._invisible)
        self._looks_in = self._rules if TELLING.search(folded.latin) else self._own
        shown: list[str] = []
        marks: list[Mark] = []
        swallowing = self._swallow is not None
        position = self._skip(folded, 0)
        at = _original(raw, folded, position) if swallowing else 0
        while self._swallow is None:
            opening = self._opening(folded, position)
            rule, match = self._first(folded, position, opening)
            stop = match.start if match else opening
            shown.append(raw[at : _original(raw, folded, stop)])
            if rule is None or match is None:
                position, at = opening, _original(raw, folded, opening)
                break
            marks.append(Mark(sum(map(len, shown)), rule))
            if rule.action == "block":
                self._blocked, position, at = rule, len(folded.plain), len(raw)
                break
            shown.append(rule.mark)
            position, at, self._swallow = match.end, folded.end(match.end), match.swallow
            if self._swallow is not None:
                position = self._skip(folded, position)
                at = _original(raw, folded, position)
        self._keep(raw, folded, position, at)
        return Piece("".join(shown), tuple(marks), self._blocked)

    def _skip(self, folded: Folded, position: int) -> int:
        """Pass over what belongs to the last match; return where that ends, as far as it is known."""
        if self._swallow is None:
            return position
        if self._ended:
            position += self._swallow.end(folded.latin[position:])
            self._swallow = None
            return position
        length, ended = self._swallow.consume(folded.latin[position:])
        if ended:
            self._swallow = None
        return position + length

    def _opening(self, folded: Folded, position: int) -> int:
        if self._ended:
            return len(folded.plain)
        base = len(self._before)
        texts = self._before + folded.latin, self._plain_before + folded.plain
        opening = base + len(folded.plain)
        if len(self._looks_in) < len(self._rules):  # of the others, only the last word can be a beginning
            opening = last_word(texts[0], base + position)
        for rule in self._looks_in:
            text = texts[isinstance(rule.detector, OwnDetector)]
            opening = min(opening, rule.detector.opening(text, base + position))
        return opening - base

    def _first(self, folded: Folded, position: int, limit: int) -> tuple[Rule | None, Match | None]:
        """Return the leftmost match before `limit`; of several, that of the first rule."""
        base = len(self._before)
        texts = self._before + folded.latin, self._plain_before + folded.plain
        found: tuple[Rule | None, Match | None] = (None, None)
        for rule in tuple(self._looks_in):
            text = texts[isinstance(rule.detector, OwnDetector)]
            try:
                match = rule.detector.find(text, base + position, base + limit)
            except TooSlow:
                self._rules, self._own = _without(self._rules, rule), _without(self._own, rule)
                self.too_slow.append(rule)
                continue
            if match is not None:
                limit = match.start - base
                found = rule, Match(limit, match.end - base, match.swallow)
        return found

    def _keep(self, raw: str, folded: Folded, position: int, at: int) -> None:
        self._before = (self._before + folded.latin[:position])[-CONTEXT:]
        self._plain_before = (self._plain_before + folded.plain[:position])[-CONTEXT:]
        self._invisible = trailing_invisible(raw[:at], self._invisible)
        self._held = raw[at:]


def _without(rules: list[Rule], slow: Rule) -> list[Rule]:
    return [rule for rule in rules if rule is not slow]


def _original(raw: str, folded: Folded, position: int) -> int:
    return folded.original(position) if position < len(folded.plain) else len(raw)
