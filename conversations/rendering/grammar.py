"""The Markdown that models write: CommonMark, GFM's tables, strikethrough, task lists and links, footnotes, LaTeX.

`make_parser` makes markdown-it parsers; the render rules below say what their tokens look like. The HTML has no style,
no script and no attribute that a model chose, but for link targets, titles and the words of the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.tasklists import tasklists_plugin
from mdit_py_plugins.texmath import texmath_plugin

from conversations.rendering.highlighting import highlighted, language_of

DEEPEST = 20
LONGEST_FORMULA = 2_000
LOWEST_HEADING = 6
HEADING_OFFSET = 2  # a message stands under the page's h1 and its own h2
REL = "noopener noreferrer nofollow ugc"
_ALIGN = re.compile(r"text-align:(left|center|right)")
_BLOCKS = {"paragraph_open", "heading_open", "blockquote_open", "bullet_list_open", "ordered_list_open"}


def make_parser(*, footnotes: bool) -> MarkdownIt:
    """Return a parser; `footnotes` says whether to put the notes at the end, as a complete text wants them."""
    md = MarkdownIt("commonmark", {"html": False, "linkify": True, "maxNesting": DEEPEST})
    md.enable(["table", "strikethrough", "linkify"])
    md.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})  # type: ignore[union-attr]
    md.use(footnote_plugin, inline=False).use(tasklists_plugin)
    md.use(dollarmath_plugin, allow_space=False, allow_digits=False, double_inline=True)
    md.use(texmath_plugin, delimiters="brackets")
    md.validateLink = _safe_link  # type: ignore[method-assign]
    if not footnotes:
        md.disable(["footnote_tail", "footnote_ref"])
    for name, rule in RULES.items():
        md.add_render_rule(name, rule)
    md.core.ruler.push("page", _fit_into_page)
    return md


def _safe_link(url: str) -> bool:
    """Allow absolute links with a safe scheme: a relative one would lead into our own pages."""
    return url.strip().lower().startswith(("http://", "https://", "mailto:"))


def _fit_into_page(state: Any) -> None:
    """Mark blocks with their direction and move headings below the page's own."""
    for token in state.tokens:
        if token.type in _BLOCKS:
            token.attrSet("dir", "auto")
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(LOWEST_HEADING, int(token.tag[1]) + HEADING_OFFSET)}"
        if token.type in {"paragraph_open", "paragraph_close"}:
            token.hidden = False  # tight and loose lists look alike: a list may turn loose while it grows
        if token.type in {"th_open", "td_open"}:
            align = _ALIGN.match(str(token.attrs.pop("style", "")))
            if align:
                token.attrSet("class", f"align-{align[1]}")


def _math(source: str, *, block: bool) -> str:
    try:
        mathml = convert(source[:LONGEST_FORMULA], display="block" if block else "inline")
    except Exception:
        return f'<code class="math-source">{escapeHtml(source)}</code>'
    return f'<div class="math-block">{mathml}</div>\n' if block else f'<span class="math">{mathml}</span>'


def _math_inline(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    return _math(tokens[index].content, block=False)


def _math_block(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    return _math(tokens[index].content, block=True)


def _code(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    begin, lines, end = code_pieces(tokens[index])
    return begin + "".join(lines) + end


def code_pieces(token: Token) -> tuple[str, list[str], str]:
    """Return a code block as what stands before its lines, the lines, each with balanced tags, and what follows."""
    language = language_of(token.info)
    name = f' class="language-{escapeHtml(language)}"' if language else ""
    begin = (
        f'<figure class="code"><figcaption><span class="lang">{escapeHtml(language or "text")}</span>'
        f'<button type="button" class="copy">Copy</button></figcaption><pre tabindex="0"><code{name}>'
    )
    return begin, highlighted(token.content, language).splitlines(keepends=True), "</code></pre></figure>\n"


def _link_open(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    if not token.attrGet("href"):
        return "<a>"
    title = token.attrGet("title")
    title = f' title="{escapeHtml(str(title))}"' if title else ""
    return f'<a href="{escapeHtml(str(token.attrGet("href")))}"{title} rel="{REL}" target="_blank">'


def _link_close(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    """End a link, and say where it leads when its own words do not."""
    level = tokens[index].level
    start = next(i for i in range(index, -1, -1) if tokens[i].type == "link_open" and tokens[i].level == level)
    words = "".join(token.content for token in tokens[start:index])
    return "</a>" + _host(str(tokens[start].attrGet("href")), words)


def _host(url: str, words: str) -> str:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    return f'<span class="host">{escapeHtml(host)}</span>' if host and host not in words.lower() else ""


def _image(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    """Show an image as a link: fetching it would tell its host who reads what."""
    token = tokens[index]
    url = str(token.attrGet("src"))
    words = token.content or "image"
    link = f'<a href="{escapeHtml(url)}" rel="{REL}" target="_blank" class="image">{escapeHtml(words)}</a>'
    return link + _host(url, words)


def _table_open(*_arguments: Any) -> str:
    return '<div class="table" tabindex="0" role="region" aria-label="Table"><table>\n'


def _table_close(*_arguments: Any) -> str:
    return "</table></div>\n"


def _html(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    """Show a task's box; nothing else makes HTML tokens, because raw HTML is off."""
    checked = ' checked=""' if "checked" in tokens[index].content else ""
    return f'<input type="checkbox" disabled="" aria-label="Task"{checked}>'


def _footnote_name(tokens: Sequence[Token], index: int, env: Any) -> str:
    return f"{env.get('id_prefix', '')}fn{int(tokens[index].meta['id']) + 1}"


def _footnote_ref(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
    name = _footnote_name(tokens, index, env)
    number = int(tokens[index].meta["id"]) + 1
    again = int(tokens[index].meta.get("subId", 0))
    return f'<sup class="footnote-ref"><a href="#{name}" id="{name}-{again}">{number}</a></sup>'


def _footnote_open(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
    return f'<li id="{_footnote_name(tokens, index, env)}">'


def _footnote_anchor(_self: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
    name = _footnote_name(tokens, index, env)
    again = int(tokens[index].meta.get("subId", 0))
    return f' <a href="#{name}-{again}" class="footnote-back">↩</a>'


def _fixed(html: str) -> Any:
    def rule(*_arguments: Any) -> str:
        return html

    return rule


RULES: dict[str, Any] = {
    "math_inline": _math_inline,
    "math_inline_double": _math_block,
    "math_block": _math_block,
    "math_block_label": _math_block,
    "math_block_eqno": _math_block,
    "fence": _code,
    "code_block": _code,
    "link_open": _link_open,
    "link_close": _link_close,
    "image": _image,
    "table_open": _table_open,
    "table_close": _table_close,
    "html_inline": _html,
    "html_block": _html,
    "footnote_ref": _footnote_ref,
    "footnote_open": _footnote_open,
    "footnote_close": _fixed("</li>\n"),
    "footnote_anchor": _footnote_anchor,
    "footnote_block_open": _fixed('<section class="footnotes"><ol>\n'),
    "footnote_block_close": _fixed("</ol></section>\n"),
}
