"""Footnotes: `[^1]` in the text, `[^1]: …` for the note, which stands where it was written.

Models write their notes at the end, after the marks. So that a mark need not change when its note comes, `[^1]` is a
mark whether or not there is a note; a word, `[^word]`, only when its note is known, because it may be meant literally.
"""

from __future__ import annotations

import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

INDENT = 4  # columns that the further blocks of a note are indented by
_MARK = re.compile(r"\[\^([A-Za-z0-9_-]{1,32})\](?!\()")
_NOTE = re.compile(r"\[\^([A-Za-z0-9_-]{1,32})\]:[ \t]*")


def note_at(line: str) -> re.Match[str] | None:
    """Return the beginning of a note, if one begins this line; its first group is the label."""
    return _NOTE.match(line)


def defined(env: Any) -> set[str]:
    """Return the labels of the notes that are known."""
    labels: set[str] = env.setdefault("footnotes", set())
    return labels


def mark_at(text: str, start: int, env: Any) -> re.Match[str] | None:
    """Return the mark that begins here, if one does; its first group is the label."""
    match = _MARK.match(text, start)
    return match if match and (match[1].isdigit() or match[1] in defined(env)) else None


def footnotes_plugin(md: MarkdownIt) -> None:
    """Teach a parser these rules."""
    md.inline.ruler.before("link", "footnote_mark", _mark_rule)
    paragraphs: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    md.block.ruler.before("reference", "footnote", _note_rule, paragraphs)


def _mark_rule(state: StateInline, silent: bool) -> bool:
    match = mark_at(state.src, state.pos, state.env) if state.src[state.pos] == "[" else None
    if match is None:
        return False
    if not silent:
        marked: set[str] = state.env.setdefault("footnote_marks", set())
        state.push("footnote_mark", "sup", 0).meta = {"label": match[1], "first": match[1] not in marked}
        marked.add(match[1])
    state.pos = match.end()
    return True


def _note_rule(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    if state.is_code_block(start):
        return False
    begin = state.bMarks[start] + state.tShift[start]
    match = _NOTE.match(state.src[begin : state.eMarks[start]])
    if match is None or silent:
        return match is not None
    defined(state.env).add(match[1])
    state.push("footnote_open", "div", 1).meta = {"label": match[1]}
    _content(state, start, end, begin + match.end())
    state.push("footnote_close", "div", -1)
    return True


def _content(state: StateBlock, start: int, end: int, position: int) -> None:
    """Parse what belongs to a note: the rest of its line, and what is indented below."""
    saved = state.bMarks[start], state.tShift[start], state.sCount[start], state.blkIndent, state.parentType
    state.bMarks[start], state.tShift[start] = position, 0
    state.blkIndent += INDENT
    state.sCount[start] = state.blkIndent
    state.parentType = "footnote"
    state.md.block.tokenize(state, start, end)
    state.bMarks[start], state.tShift[start], state.sCount[start], state.blkIndent, state.parentType = saved
