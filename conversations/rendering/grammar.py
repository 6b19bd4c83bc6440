"""The Markdown that models write: CommonMark, GFM's tables, strikethrough, task lists and links, footnotes, LaTeX.

`make_parser` makes markdown-it parsers, `HtmlRenderer` says what their tokens look like. The HTML has no style, no
script and no attribute that a model chose, but for link targets, titles and the words of the text.

What differs from CommonMark, and why: no raw HTML (it is text) and no indented or underlined surprises that would turn
finished text into something else: a line of `---` under a paragraph is a rule, not an underline that makes a heading of
it. Containers nest `DEEPEST` levels; deeper markers are text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from conversations.rendering import elements, maths
from conversations.rendering.elements import Element, Outline
from conversations.rendering.emphasis import emphasis_plugin
from conversations.rendering.footnotes import footnotes_plugin
from conversations.rendering.highlighting import LineHighlighter, language_of
from conversations.rendering.links import REL, host_note, host_of, safe_link
from conversations.rendering.maths import maths_plugin
from conversations.rendering.tables import MOST_COLUMNS, Filling, cells_of
from conversations.rendering.words import Release

DEEPEST = 16
MOST_OPENERS = 400  # brackets, dollars … in one block of text: what they cost grows with their square
_ALIGN = re.compile(r"text-align:(left|center|right)")
_INDENTATION = re.compile(r"\n[ \t]+")
_Rule = Callable[[StateBlock, int, int, bool], bool]


def make_parser() -> MarkdownIt:
    """Return a parser; one thread at a time may use it."""
    md = MarkdownIt(
        "commonmark",
        {"html": False, "linkify": True, "tasklists": True, "maxNesting": 100},
        renderer_cls=HtmlRenderer,
    )
    md.enable(["table", "strikethrough", "linkify"]).disable(["lheading", "html_block", "html_inline"])
    md.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})  # type: ignore[union-attr]
    md.use(footnotes_plugin).use(maths_plugin).use(emphasis_plugin)
    md.validateLink = safe_link  # type: ignore[method-assign]
    _replace(md, "paragraph", _keep_wide_spaces)
    for name in ("list", "blockquote", "footnote"):
        _limit(md, name, _not_too_deep)
    _limit(md, "table", _not_too_wide)
    _replace(md, "table", lambda original: _as_far_as_it_is_filled(md, original))
    md.core.ruler.before("inline", "running_text", _prepare_running_text)
    md.core.ruler.push("page", _fit_into_page)
    return md


def is_costly(text: str) -> bool:
    """Whether the inline parser would take time out of proportion, because openers find no end."""
    if all(text.count(character) <= MOST_OPENERS for character in "[<$*_~`\\"):
        return False
    release = Release(lambda _label: False)
    for _ in release.cuts(text, ended=True):
        if release.gave_up:
            return True
    return release.gave_up


def _replace(md: MarkdownIt, name: str, around: Callable[[_Rule], _Rule]) -> None:
    rule = next(rule for rule in md.block.ruler.__rules__ if rule.name == name)
    md.block.ruler.at(name, around(rule.fn), {"alt": rule.alt})


def _limit(md: MarkdownIt, name: str, allowed: Callable[[StateBlock, int], bool]) -> None:
    def around(original: _Rule) -> _Rule:
        return lambda state, start, end, silent: allowed(state, start) and original(state, start, end, silent)

    _replace(md, name, around)


def _keep_wide_spaces(original: _Rule) -> _Rule:
    """A paragraph may begin with an ideographic space, which only looks like white space to Python."""

    def rule(state: StateBlock, start: int, end: int, silent: bool) -> bool:
        found = original(state, start, end, silent)
        text = state.getLines(start, state.line, state.blkIndent, False)
        state.tokens[-2].content = text.strip(" \t\n")
        return found

    return rule


def _not_too_deep(state: StateBlock, _start: int) -> bool:
    return state.level < DEEPEST


def _not_too_wide(state: StateBlock, start: int) -> bool:
    return state.src.count("|", state.bMarks[start], state.eMarks[start]) <= MOST_COLUMNS


def _as_far_as_it_is_filled(md: MarkdownIt, original: _Rule) -> _Rule:
    """A table ends before the row that lacks one cell too many."""

    def rule(state: StateBlock, start: int, end: int, silent: bool) -> bool:
        found = original(state, start, end, True)
        return found and (silent or original(state, start, _filled_until(md, state, start, end), False))

    return rule


def _filled_until(md: MarkdownIt, state: StateBlock, start: int, end: int) -> int:
    """Return the line at which a table is cut off; `end` if it ends by itself."""
    filling = Filling(len(cells_of(_line(state, start))))
    for line in range(start + 2, end):
        row = _line(state, line)
        if not row or state.sCount[line] < state.blkIndent or _ends_table(md, state, line, end):
            return end
        if not filling.take(row):
            return line
    return end


def _ends_table(md: MarkdownIt, state: StateBlock, line: int, end: int) -> bool:
    return any(rule(state, line, end, True) for rule in md.block.ruler.getRules("blockquote"))


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def _prepare_running_text(state: StateCore) -> None:
    """Take the indentation off lines, as CommonMark says; leave what would cost too much as it was written."""
    for token in state.tokens:
        if token.type == "inline":
            token.content = _INDENTATION.sub("\n", token.content)
            if is_costly(token.content):
                token.type = "plain"


def _fit_into_page(state: StateCore) -> None:
    """Give headings their level in the page."""
    outline = Outline(state.env.get("id_prefix", ""))
    for token in state.tokens:
        if token.type == "heading_open":
            token.meta = {"element": outline.next(int(token.tag[1]))}


class HtmlRenderer(RendererHTML):
    """Tokens to HTML, without white space between blocks. Its methods are markdown-it's rules, by type of token."""

    def plain(self, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
        return escapeHtml(tokens[index].content)

    def paragraph_open(self, *_arguments: Any) -> str:
        return elements.PARAGRAPH.begin  # in tight lists too: a list may turn loose while it grows

    def paragraph_close(self, *_arguments: Any) -> str:
        return elements.PARAGRAPH.end

    def blockquote_open(self, *_arguments: Any) -> str:
        return elements.QUOTE.begin

    def blockquote_close(self, *_arguments: Any) -> str:
        return elements.QUOTE.end

    def bullet_list_open(self, *_arguments: Any) -> str:
        return elements.bullets().begin

    def bullet_list_close(self, *_arguments: Any) -> str:
        return elements.bullets().end

    def ordered_list_open(self, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
        start = tokens[index].attrGet("start")
        return elements.numbers(1 if start is None else int(start)).begin

    def ordered_list_close(self, *_arguments: Any) -> str:
        return elements.numbers(1).end

    def list_item_open(self, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
        checked = tokens[index].meta.get("checked")
        return (elements.ITEM if checked is None else elements.task(checked=checked)).begin

    def list_item_close(self, *_arguments: Any) -> str:
        return elements.ITEM.end

    def heading_open(self, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
        element: Element = tokens[index].meta["element"]
        return element.begin

    def heading_close(self, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
        opened = next(tokens[i] for i in range(index, -1, -1) if tokens[i].type == "heading_open")
        element: Element = opened.meta["element"]
        return element.end

    def hr(self, *_arguments: Any) -> str:
        return elements.RULE

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:  # noqa: ARG002 - a rule
        language = language_of(tokens[idx].info)
        element, lines = elements.code(language), LineHighlighter(language)
        content = tokens[idx].content.removesuffix("\n")
        html = "".join(lines.line(line) for line in content.split("\n")) if tokens[idx].content else ""
        return element.begin + html + element.end

    def code_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: EnvType) -> str:
        return self.fence(tokens, idx, options, env)

    def math_block(self, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
        return maths.block_html(**tokens[index].meta)

    def math_inline(self, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
        return maths.inline_html(tokens[index].meta["formula"])

    def footnote_mark(self, tokens: Sequence[Token], index: int, _options: OptionsDict, env: EnvType) -> str:
        meta = tokens[index].meta
        return elements.footnote_reference(meta["label"], str(env.get("id_prefix", "")), first=meta["first"])

    def footnote_open(self, tokens: Sequence[Token], index: int, _options: OptionsDict, env: EnvType) -> str:
        return elements.footnote(tokens[index].meta["label"], str(env.get("id_prefix", ""))).begin

    def footnote_close(self, *_arguments: Any) -> str:
        return "</div>"

    def link_open(self, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
        token = tokens[index]
        if not token.attrGet("href"):
            return "<a>"
        title = token.attrGet("title")
        title = f' title="{escapeHtml(str(title))}"' if title else ""
        return f'<a href="{escapeHtml(str(token.attrGet("href")))}"{title} rel="{REL}" target="_blank">'

    def link_close(self, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
        """End a link, and say where it leads when its own words do not."""
        level = tokens[index].level
        start = next(i for i in range(index, -1, -1) if tokens[i].type == "link_open" and tokens[i].level == level)
        words = "".join(token.content for token in tokens[start:index])
        return "</a>" + host_note(str(tokens[start].attrGet("href")), words)

    def image(self, tokens: Sequence[Token], index: int, _options: OptionsDict, env: EnvType) -> str:
        """Show an image from an allowed host; else a link: fetching it would tell its host who reads what."""
        url, words = str(tokens[index].attrGet("src")), tokens[index].content
        if url.startswith("https://") and host_of(url) in env.get("image_hosts", ()):
            return (
                f'<img src="{escapeHtml(url)}" alt="{escapeHtml(words)}" loading="lazy" referrerpolicy="no-referrer">'
            )
        words = words or "image"
        link = f'<a href="{escapeHtml(url)}" rel="{REL}" target="_blank" class="image">{escapeHtml(words)}</a>'
        return link + host_note(url, words)

    def table_open(self, *_arguments: Any) -> str:
        return elements.table("").begin.removesuffix("<thead></thead>")

    def table_close(self, *_arguments: Any) -> str:
        return elements.table("").end

    def th_open(self, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType) -> str:
        return elements.cell(tokens[index].tag, _align(tokens[index]), "").removesuffix(f"</{tokens[index].tag}>")

    td_open = th_open

    def renderToken(self, tokens: Sequence[Token], idx: int, _options: OptionsDict, _env: EnvType) -> str:
        token = tokens[idx]
        return f"</{token.tag}>" if token.nesting < 0 else f"<{token.tag}>"


def _align(token: Token) -> str:
    match = _ALIGN.match(str(token.attrGet("style") or ""))
    return match[1] if match else ""
