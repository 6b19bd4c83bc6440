r"""How much of a growing piece of running text can be shown for good.

Text is released up to a place where a line may break, so that no word is seen to jump to the next line, and only when
nothing in front of that place can still change its meaning. These wait, until they are closed or refuted:

    ** __ ~~ * _   emphasis, up to `HOLD` characters       `          code, likewise
    [ ![           a link or image, up to `HOLD`, and `HOLD_TARGET` once its address has begun
    $ \( \[ $$     a formula, see `maths.formula_at`       <scheme:   an address, until its word ends
    \              the character behind it                 a word     until white space follows

What is still open after that many characters is literal, and stays so in the stream. Every decision depends only on
the text up to a bounded distance behind the place, never on the pieces it came in: `cuts` is a pure function, and what
it has returned once it returns whenever more text follows.

The cost of a call is bounded too, because what waits is; whether a formula begins at a place is found out once. A text
with too many openers that are never closed is not looked into any more (`MOST_DEAD`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from conversations.rendering.emphasis import DELIMITERS, Opener, flanking, pair
from conversations.rendering.links import safe_link
from conversations.rendering.maths import Undecided, formula_at

HOLD = 240
HOLD_TARGET = 2_000
LONGEST_WORD = 256
LONGEST_ADDRESS = 1_000
MOST_DEAD = 60

_SPACE = re.compile(r"[ \t\n]+")
_PLAIN = re.compile(r"[^ \t\n\\`*_~\[<$]+")
_MARKUP = re.compile(r"[\\`*_~<$]|!?\[")  # what begins inline markup, within emphasis
_CODE = re.compile(r"`+")
_ADDRESS = re.compile(r"<[A-Za-z][A-Za-z0-9+.-]{1,31}:[^<>\0-\x20]*>|<[\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9.-]+>")
_OPEN_ADDRESS = re.compile(r"<[A-Za-z][^<>\s]*\Z")
_BRACKETS = re.compile(r"\\.|`+|[\[\]]", re.DOTALL)
_SIMPLE_LABEL = re.compile(r"\[[^\[\]]*\]")
_OPEN_LABEL = re.compile(r"\[[^\[\]]*\Z")
# Possessive (`*+`), because nothing shorter could fit either, and trying it costs a square of the white space.
_TARGET = re.compile(
    r"""\(\s*+(<(?:[^<>\n\\]|\\.)*+>|(?!<)(?:[^\s()\\]|\\.|\((?:[^\s()\\]|\\.)*+\))*+)
    (?:\s++(?:"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|\((?:[^()\\]|\\.)*+\)))?\s*+\)""",
    re.VERBOSE | re.DOTALL,
)
_OPEN_TARGET = re.compile(
    r"""\(\s*+(?:<(?:[^<>\n\\]|\\.)*+>?|(?!<)(?:[^\s()\\]|\\.|\((?:[^\s()\\]|\\.)*+\))*+(?:\((?:[^\s()\\]|\\.)*+)?)\\?
    (?:\s++(?:"(?:[^"\\]|\\.)*+(?:"\s*+)?|'(?:[^'\\]|\\.)*+(?:'\s*+)?|\((?:[^()\\]|\\.)*+(?:\)\s*+)?)?\\?)?\Z""",
    re.VERBOSE | re.DOTALL,
)
# Ideographs and kana: a line may break between any two of them, but not before small kana.
_IDEOGRAPHS = "\u3041-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_SMALL = "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ"
_BREAK = re.compile(rf"(?<=[{_IDEOGRAPHS}、。，！？])(?=[{_IDEOGRAPHS}])(?![{_SMALL}])")  # noqa: RUF001 - full width
_WEB = re.compile(r"://|mailto:")

Known = Callable[[str], bool]


class Release:
    """Finds the places up to which a text can be released. `known` says whether a label names a link or a footnote."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._dead = 0
        self._begin = 0  # where the text of this call begins in all of it
        self._released = 0  # where that of the next call will
        self._lengths: dict[int, int] = {}  # of escapes and formulas, by where they begin in all of it

    @property
    def gave_up(self) -> bool:
        """Whether the text has so many openers without an end that it is only cut, and to be shown as it is."""
        return self._dead > MOST_DEAD

    def cuts(self, text: str, *, ended: bool) -> Iterator[int]:
        """Yield the ends of the segments that can be shown. `text` begins where the last released segment ended.

        Each segment can be rendered by itself. When the text has ended, the last cut is its end. All of the cuts are to
        be taken before the next call.
        """
        self._begin = self._released
        self._lengths = {place: length for place, length in self._lengths.items() if place >= self._begin}
        begin = at = dead = 0
        while at < len(text):
            space = _SPACE.match(text, at)
            plain = _PLAIN.match(text, at)
            if space:
                places = [at] if text[begin:at].strip(" \t\n") else []
                at = space.end()
            elif plain:
                places = list(_places_in_word(text, begin, at, plain.end()))
                at = plain.end()
            else:
                try:
                    end = 0 if self._dead + dead > MOST_DEAD else self._end_of_markup(text, at, ended)
                except Undecided:
                    return
                dead += end < 0
                at = end if end > 0 else self._literal(text, at)
                places = [at] if begin + LONGEST_WORD <= at < len(text) else []
            for begin in places:
                self._dead += dead
                dead = 0
                self._released = self._begin + begin
                yield begin
        if ended and text[begin:].strip(" \t\n"):
            yield len(text)

    def _literal(self, text: str, at: int) -> int:
        """Return the end of the markup character or run at `at`, which means nothing."""
        run = DELIMITERS.match(text, at) or _CODE.match(text, at)
        return run.end() if run else at + 1

    def _end_of_markup(self, text: str, at: int, ended: bool) -> int:
        """Return where the markup at `at` ends, 0 when it is decided to be literal, -1 when it was given up."""
        match text[at]:
            case "\\" | "$":
                return self._end_of_escape_or_formula(text, at, ended)
            case "`":
                return _end_of_code(text, at, ended)
            case "<":
                return _end_of_address(text, at, ended)
            case "[":
                return self._end_of_link(text, at, ended)
        return self._end_of_emphasis(text, at, ended)

    def _end_of_escape_or_formula(self, text: str, at: int, ended: bool) -> int:
        """Find it out once: a formula is looked for far ahead, and text that waits is asked about again and again."""
        place = self._begin + at
        if place not in self._lengths:
            end = _end_of_escape_or_formula(text, at, ended)
            self._lengths[place] = end - at if end else 0
        length = self._lengths[place]
        return at + length if length else 0

    def _end_of_link(self, text: str, at: int, ended: bool) -> int:
        close = _closing_bracket(text, at, ended)
        if close < 0:
            return -1
        after = text[close + 1 : close + 2]
        if not after and not ended:
            raise Undecided
        label = text[at + 1 : close]
        if after == "(":
            end = _end_of_target(text, at, close + 1, ended)
            if end > 0:
                return end
        elif after == "[":
            second = _closing_bracket(text, close + 1, ended)
            if second > 0 and self._known(text[close + 2 : second] or label):
                return second + 1
        return close + 1 if self._known(label) else 0

    def _end_of_emphasis(self, text: str, at: int, ended: bool) -> int:
        """Return the end of the emphasis that a run of delimiters opens, by CommonMark's algorithm."""
        end, opens, _ = flanking(text, at, ended)
        if not opens:
            return 0
        openers: list[Opener] = []
        first: Opener | None = None
        partly = -1  # where the first opener was closed, at least in part; what is left of either may stay literal
        while at < len(text) and at <= end + HOLD:
            if text[at] in "*_~":
                after, opens, closes = flanking(text, at, ended)
                pair(openers, text[at:after], opens, closes)
                if not openers:
                    return after
                if first is None:
                    first = openers[0]
                if openers[0] is not first or (len(openers) == 1 and first.left < first.usable):
                    partly, first = after, openers[0]
                at = after
            else:
                inner = self._end_inside(text, at, ended)
                at = inner if inner > 0 else self._literal(text, at)
            following = _MARKUP.search(text, at)
            at = following.start() if following else len(text)
            if at < len(text) and text[at] == "!":
                at += 1
        if len(text) > end + HOLD or ended:
            return partly
        raise Undecided

    def _end_inside(self, text: str, at: int, ended: bool) -> int:
        """As `_end_of_markup`, for what stands within emphasis and binds closer than it."""
        if text[at] == "[":
            label = _SIMPLE_LABEL.match(text, at, at + HOLD)
            waits = not ended and len(text) < at + HOLD
            if waits and (_OPEN_LABEL.match(text, at) or (label and label.end() == len(text))):
                raise Undecided
            target = label and text[label.end() : label.end() + 1] == "("
            return _end_of_target(text, at, label.end(), ended) if label and target else 0
        return self._end_of_markup(text, at, ended)


def _places_in_word(text: str, begin: int, at: int, end: int) -> Iterator[int]:
    """Yield the places in a run of plain characters, from `at` to `end`, at which a line may break, or has to.

    An address has none: the whole of it is one link, up to a length.
    """
    while True:
        longest = min(end, max(at + 1, begin + LONGEST_WORD))
        break_ = _BREAK.search(text, max(at, begin + 1), longest)
        place = break_.start() if break_ else longest
        if place < begin + LONGEST_ADDRESS and _WEB.search(text, begin, place):
            place = begin + LONGEST_ADDRESS
        if place >= end:
            return
        yield place
        begin = place


def _end_of_escape_or_formula(text: str, at: int, ended: bool) -> int:
    formula = formula_at(text, at, ended=ended)
    if formula is not None:
        return formula.end
    following = _SPACE.match(text, at + 1)
    if (following.end() if following else at + 1) >= len(text) and not ended:
        raise Undecided  # white space behind a backslash counts only when something follows it
    return at + 2 if text[at] == "\\" and at + 1 < len(text) else 0


def _end_of_code(text: str, at: int, ended: bool) -> int:
    opener = _CODE.match(text, at)
    assert opener is not None  # noqa: S101 - there is one at `at`
    for closer in _CODE.finditer(text, opener.end(), opener.end() + HOLD + len(opener[0])):
        if len(closer[0]) == len(opener[0]):
            if closer.end() == len(text) and not ended:
                raise Undecided
            if text[closer.end() : closer.end() + 1] != "`":
                return closer.end()
    if ended or len(text) > opener.end() + HOLD + len(opener[0]):
        return -1
    raise Undecided


def _end_of_address(text: str, at: int, ended: bool) -> int:
    address = _ADDRESS.match(text, at)
    if address:
        return address.end()
    if not ended and len(text) - at < HOLD and _OPEN_ADDRESS.match(text, at):
        raise Undecided
    return 0


def _closing_bracket(text: str, at: int, ended: bool) -> int:
    """Return where the bracket that opens at `at` is closed; -1 when it is not, or too far away."""
    depth = 0
    skip_to = at
    for match in _BRACKETS.finditer(text, at, at + HOLD):
        if match.start() < skip_to:
            continue
        if match[0][0] == "`":
            skip_to = max(match.end(), _end_of_code(text, match.start(), ended))
        elif match[0] in "[]":
            depth += 1 if match[0] == "[" else -1
            if depth == 0:
                return match.start()
    if ended or len(text) > at + HOLD:
        return -1
    raise Undecided


def _end_of_target(text: str, begin: int, at: int, ended: bool) -> int:
    """Return the end of a link's address in parentheses, 0 when there is none that may be linked to."""
    target = _TARGET.match(text, at, begin + HOLD_TARGET)
    if target:
        return target.end() if not target[1] or safe_link(target[1].lstrip("<")) else 0
    if not ended and len(text) < begin + HOLD_TARGET and _OPEN_TARGET.match(text, at):
        raise Undecided
    return 0
