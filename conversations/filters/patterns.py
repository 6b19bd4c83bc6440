"""Patterns of somebody's own: regular expressions in a restricted dialect, and lists of words.

The dialect has literals, classes, groups, alternatives, `\\b` and quantifiers with a bound; a match has at least one
and at most `LONGEST` characters. Not in it: `*` and `+` (say `{0,40}`), `^`, `$`, lookaround, back-references, and
quantifiers around quantifiers or alternatives, which is where time explodes. What is left is matched by the `regex`
library with a time limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import regex

from conversations.filters.base import Detector, Match, TooSlow
from conversations.filters.folding import COMPATIBLE

LONGEST = 200
MOST_WORDS = 2_000
LONGEST_WORD = 80
TIMEOUT_SECONDS = 0.05
_TRIAL_SECONDS = 0.02
_parser: Any = re._parser  # type: ignore[attr-defined] # the only parser of regular expressions there is

_CATEGORIES = {f"CATEGORY_{name}": code for name, code in (("DIGIT", r"\d"), ("WORD", r"\w"), ("SPACE", r"\s"))}
_POINT = re.compile(r"\\U([0-9a-f]{8})")
_FOREIGN = re.compile(r"(?<!\\)(?:\{(?!\d*,?\d*\})|\[\^?\[|\[\^?:)")  # `regex` reads more into these than `re`
_BOUNDED = re.compile(r"[^\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\uabff\U00020000-\U0003ffff]+")
_PROBES = "a0 "
_MOST_SAMPLES = 40
_ONE = {"LITERAL", "NOT_LITERAL", "IN", "ANY"}
_REPEATS = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}
_BOUNDARIES = {"AT_BOUNDARY", "AT_NON_BOUNDARY"}


class BadPattern(ValueError):
    """A pattern outside the dialect; `str()` is a sentence for whoever wrote it."""


class OwnDetector(Detector):
    """Finds what a compiled pattern matches, at most `longest` characters, all of them among `characters`.

    `characters` is the inside of a character class; empty when a match may hold anything.
    """

    def __init__(self, pattern: Any, longest: int, characters: str) -> None:
        self._pattern = pattern
        self._longest = longest
        self._last_other = regex.compile(f"(?ri)[^{characters}]") if characters else None

    def find(self, text: str, start: int, limit: int) -> Match | None:
        """See `Detector`. Raises `TooSlow`."""
        try:
            match = self._pattern.search(text, start, timeout=TIMEOUT_SECONDS)
        except TimeoutError as error:
            raise TooSlow from error
        return Match(match.start(), match.end()) if match and match.start() < limit else None

    def opening(self, text: str, start: int) -> int:
        """See `Detector`: a match ends before the first character that it cannot hold, and after `longest`."""
        first = max(start, len(text) - self._longest - 1)
        other = self._last_other.search(text, first) if self._last_other is not None else None
        return other.end() if other else first


@lru_cache(maxsize=256)
def own_pattern(source: str, *, ignore_case: bool) -> OwnDetector:
    """Return a detector for a pattern. Raises `BadPattern`."""
    source = ("(?i)" if ignore_case else "") + "".join(map(_folded, source))
    if not_ours := _FOREIGN.search(source):
        raise BadPattern(f"“{not_ours[0]}” has no meaning here; write “\\” before it when it stands for itself.")
    try:
        tree = _parser.parse(source)
        compiled = regex.compile(source, regex.VERSION0)
    except (re.error, regex.error, OverflowError, RecursionError) as error:
        raise BadPattern(f"This is no regular expression: {error}.") from error
    if tree.state.flags & ~(re.IGNORECASE | re.UNICODE):
        raise BadPattern("Flags cannot be set within the pattern.")
    _check(tree)
    fewest, most = tree.getwidth()
    if not fewest or most > LONGEST:
        raise BadPattern(f"A match must have 1 to {LONGEST} characters; this one has {fewest} to {most}.")
    _try_out(compiled, _samples(tree))
    characters = _characters(tree)
    return OwnDetector(compiled, most, "" if None in characters else "".join(map(str, characters)))


@lru_cache(maxsize=64)
def own_words(source: str) -> OwnDetector:
    """Return a detector for words or phrases, one in each line, in capitals or not. Raises `BadPattern`."""
    words = sorted({" ".join(line.split()).translate(COMPATIBLE) for line in source.splitlines()} - {""}, key=len)
    if not words or len(words) > MOST_WORDS or len(words[-1]) > LONGEST_WORD:
        raise BadPattern(f"Give 1 to {MOST_WORDS} words, one in each line, of at most {LONGEST_WORD} characters.")
    # A word in a script without spaces has no boundary: it is found wherever it stands.
    bounded = [word for word in words if _BOUNDED.fullmatch(word)]
    free = [word for word in words if word not in bounded]
    compiled = regex.compile(
        r"(?i)(?<!\w)(?:\L<bounded>)(?!\w)|\L<free>", bounded=bounded or ["\0"], free=free or ["\0"]
    )
    characters = {_escaped(ord(character)) for word in words for character in word}
    return OwnDetector(compiled, len(words[-1]), "".join(sorted(characters)))


def _folded(character: str) -> str:
    """A character of a pattern as it is in a folded text; what has a meaning in patterns stays without one."""
    plain = COMPATIBLE.get(ord(character), character)
    return plain if plain == character or plain.isalnum() else re.escape(plain)


def _check(tree: Any, repeated: str = "") -> None:
    """Raise `BadPattern` for what is not in the dialect; `repeated` is the quantifier around, if there is one."""
    for operator, argument in tree:
        name = str(operator)
        if name in _ONE or (name == "AT" and str(argument) in _BOUNDARIES):
            continue
        if name in _REPEATS:
            _check_repeat(argument, repeated)
        elif name == "SUBPATTERN" and not (argument[1] or argument[2]):
            _check(argument[3], repeated)
        elif name == "BRANCH" and not repeated:
            for branch in argument[1]:
                _check(branch)
        else:
            where = f" within “{repeated}”" if repeated else ""
            raise BadPattern(f"Patterns here have no {name.lower().replace('_', ' ')}{where}.")


def _check_repeat(argument: Any, repeated: str) -> None:
    fewest, most, body = argument
    if most is _parser.MAXREPEAT:
        raise BadPattern("Give each quantifier a bound: {0,40} for *, {1,40} for +.")
    if repeated and fewest != most:
        raise BadPattern(f"A quantifier cannot stand within another one, “{repeated}”.")
    _check(body, repeated or (f"{{{fewest},{most}}}" if most > 1 else ""))


def _characters(tree: Any) -> set[str | None]:
    """Return what can stand in a match, as pieces of a character class; None among them is anything."""
    found: set[str | None] = set()
    for operator, argument in tree:
        name = str(operator)
        if name == "LITERAL":
            found.add(_escaped(argument))
        elif name == "IN":
            found |= {_member(str(kind), value) for kind, value in argument}
        elif name in ("NOT_LITERAL", "ANY"):
            found.add(None)
        elif name == "BRANCH":
            found |= {character for branch in argument[1] for character in _characters(branch)}
        elif name != "AT":
            found |= _characters(argument[-1])
    return found


def _member(kind: str, value: Any) -> str | None:
    if kind == "LITERAL":
        return _escaped(value)
    if kind == "RANGE":
        return f"{_escaped(value[0])}-{_escaped(value[1])}"
    return _CATEGORIES.get(str(value)) if kind == "CATEGORY" else None  # a negated class holds nearly anything


def _escaped(point: int) -> str:
    return f"\\U{point:08x}"


def _samples(tree: Any) -> set[str]:
    """Return some characters that a pattern speaks of."""
    return set(_PROBES) | {chr(int(point, 16)) for one in _characters(tree) if one for point in _POINT.findall(one)}


def _try_out(compiled: Any, samples: Iterable[str]) -> None:
    """Raise `BadPattern` when a text made to be slow is slow."""
    for sample in sorted(samples)[:_MOST_SAMPLES]:
        try:
            compiled.search(sample * LONGEST * 2 + "\0", timeout=_TRIAL_SECONDS)
        except TimeoutError as error:
            raise BadPattern("This pattern takes too long for some texts. Make it more definite.") from error
