"""Emphasis: which runs of `*`, `_` and `~` open and close, and which of them belong together (CommonMark 6.2).

With one amendment: Chinese, Japanese and Korean are written without spaces, so a run between a punctuation mark and
one of their characters opens and closes as if there were one: `**注意：**请阅读`, `这是**“重要”**的`. The rule is
that of https://github.com/tats-u/markdown-cjk-friendly, without its variation selectors.
"""  # noqa: RUF002 - full width

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar
from markdown_it.rules_inline import StateInline, emphasis, strikethrough
from markdown_it.rules_inline.state_inline import Scanned

from conversations.rendering.maths import Undecided

DELIMITERS = re.compile(r"\*+|_+|~+")
# Wide characters and Hangul, without emoji.
_CJK = re.compile(
    "[\u1100-\u11ff\u20a9\u2329\u232a\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe10-\ufe1f"
    "\ufe30-\ufe6f\uff01-\uffee\U00016fe0-\U0001b2ff\U00020000-\U0003fffd]"
)


@dataclass(slots=True)
class Opener:
    """A run of delimiters that waits for its end."""

    marker: str
    left: int  # delimiters that nothing has closed yet
    usable: int
    length: int
    both: bool


def flanking(text: str, at: int, ended: bool) -> tuple[int, bool, bool]:
    """Return the end of a run of delimiters, and whether it can open and close (CommonMark 6.2)."""
    run = DELIMITERS.match(text, at)
    assert run is not None  # noqa: S101 - there is one at `at`
    end = run.end()
    if end == len(text) and not ended:
        raise Undecided
    if run[0] == "~":
        return end, False, False
    before, after = (text[at - 1] if at else " "), (text[end] if end < len(text) else " ")
    return end, *_opens_and_closes(before, after, run[0][0])


def _opens_and_closes(before: str, after: str, marker: str) -> tuple[bool, bool]:
    """Return whether a run between these two characters can open, and whether it can close."""
    left = not after.isspace() and (not _sets_off(after) or _ends_word(before))
    right = not before.isspace() and (not _sets_off(before) or _ends_word(after))
    if marker == "_":
        return left and (not right or _punctuation(before)), right and (not left or _punctuation(after))
    return left, right


def _sets_off(character: str) -> bool:
    """Whether this is a mark of punctuation at which it counts what stands on the other side of a run."""
    return _punctuation(character) and not _CJK.match(character)


def _ends_word(character: str) -> bool:
    return character.isspace() or _punctuation(character) or bool(_CJK.match(character))


def _punctuation(character: str) -> bool:
    return isMdAsciiPunct(ord(character)) or isPunctChar(character)


def emphasis_plugin(md: MarkdownIt) -> None:
    """Teach a parser these rules."""
    for name, rule in (("emphasis", emphasis.tokenize), ("strikethrough", strikethrough.tokenize)):
        md.inline.ruler.at(name, _with_our_rules(rule))


def _with_our_rules(rule: Callable[[StateInline, bool], bool]) -> Callable[[StateInline, bool], bool]:
    def ours(state: StateInline, silent: bool) -> bool:
        state.scanDelims = partial(_scanned, state)  # type: ignore[method-assign]
        return rule(state, silent)

    return ours


def _scanned(state: StateInline, start: int, _can_split_word: bool) -> Scanned:
    """As `StateInline.scanDelims`."""
    run = DELIMITERS.match(state.src, start, state.posMax)
    assert run is not None  # noqa: S101 - there is one at `start`
    before = state.src[start - 1] if start else " "
    after = state.src[run.end()] if run.end() < state.posMax else " "
    return Scanned(*_opens_and_closes(before, after, run[0][0]), len(run[0]))


def pair(openers: list[Opener], run: str, opens: bool, closes: bool) -> None:
    """Let a run close what it can, and open what is left of it."""
    marker, length = run[0], len(run)
    left = length - length % 2 if marker == "~" else length
    while closes and left:
        index = next((i for i in reversed(range(len(openers))) if _fits(openers[i], marker, length, opens)), -1)
        if index < 0:
            break
        opener = openers[index]
        del openers[index + 1 :]
        used = 2 if marker == "~" or (opener.left > 1 and left > 1) else 1
        left -= used
        opener.left -= used
        if opener.left <= 0:
            openers.pop()
    if left and opens:
        openers.append(Opener(marker, left, left, length, closes))


def _fits(opener: Opener, marker: str, length: int, opens: bool) -> bool:
    if opener.marker != marker:
        return False
    if marker == "~" or not (opener.both or opens):
        return True
    return (opener.length + length) % 3 != 0 or (opener.length % 3 == 0 and length % 3 == 0)
