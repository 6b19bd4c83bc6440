"""The one allow-list: every piece of HTML that leaves the process has passed `sanitise`.

Models cannot write HTML at all (raw HTML is text), so what is cleaned here is the renderer's own output. The list is
the second wall: an attribute or a tag that slips through a parser ends here. Classes are allowed by value, so that text
can never look like a part of the page.
"""

from __future__ import annotations

import re
from functools import lru_cache

from bleach.sanitizer import Cleaner
from markdown_it.common.utils import escapeHtml as escape

from conversations.rendering.elements import Element
from conversations.rendering.pool import Pool

PROTOCOLS = ("http", "https", "mailto")
HTML_TAGS = """
    p br hr em strong s code pre blockquote ul ol li h3 h4 h5 h6 a span div figure figcaption button sup img
    table thead tbody tr th td input
"""
MATHML_TAGS = """
    math mrow mi mn mo ms mtext mspace msup msub msubsup munder mover munderover mfrac msqrt mroot mtable mtr mtd
    mpadded mphantom mstyle mmultiscripts mprescripts
"""
TAGS = frozenset((HTML_TAGS + MATHML_TAGS).split())
_PLAIN = {
    "dir": {"auto"},
    "tabindex": {"0"},
    "role": {"region"},
    "type": {"button", "checkbox"},
    "disabled": {""},
    "loading": {"lazy"},
    "referrerpolicy": {"no-referrer"},
    "displaystyle": {"true", "false"},
    "movablelimits": {"true"},
    "accent": {"true"},
}
_FREE = {
    "a": {"href", "title", "id"},
    "img": {"src", "alt", "title"},
    "ol": {"start"},
    "input": {"checked", "aria-label"},
    "div": {"aria-label", "id"},
    "span": {"id"},
    "h3": {"id"},
    "h4": {"id"},
    "h5": {"id"},
    "h6": {"id"},
    "math": {"display", "xmlns"},
    "mo": {"stretchy", "fence", "form", "separator"},
    "mfrac": {"linethickness"},
    "mtable": {"rowspacing", "columnspacing"},
    "mi": {"mathvariant"},
    "mspace": {"width"},
    "mstyle": {"scriptlevel"},
}
_LINK = {"rel": {"noopener noreferrer nofollow ugc"}, "target": {"_blank"}}
CLASSES = """
    code lang copy table task math display math-block math-source host footnote footnote-ref footnote-back
    align-left align-center align-right image tail
    aligned boxed cancel-up cancel-down cancel-both cancel-through
"""
_CLASSES = frozenset(CLASSES.split())
_CODE_CLASS = re.compile(r"language-[a-z0-9+#._-]{1,30}|[a-z][a-z0-9]?|cpf")  # Pygments' short names

# Text without markup passes bleach unchanged, and most pieces are that: not parsing them saves most of the time.
_TEXT = re.compile(r"(?:[^<>&\0\r]|&(?:amp|lt|gt|quot|#39|#x27);)*")
# Without quotation marks such text is harmless wherever it stands, even in an attribute.
_LONG_TEXT = re.compile(r"""(?<=>)(?:[^<>&"'\0\r]|&(?:amp|lt|gt|quot|#39|#x27);){500,}(?=<)""")
ASIDE = "\uee5e"  # marks text put aside; `markdown.normalised` takes it out of what models write
_ASIDE = re.compile(rf"{ASIDE}(\d+){ASIDE}")
LONGEST_CACHED = 1_000


_ID = re.compile(r"(?:[a-z][a-z0-9]*-)?(?:r\d+-)?(?:h\d+|fn-[A-Za-z0-9_-]+|fnref-[A-Za-z0-9_-]+|tail)")
_HREF = re.compile(r"(?:https?://|mailto:|#)", re.IGNORECASE)


def _allowed(tag: str, name: str, value: str) -> bool:
    if name == "class":
        return all(word in _CLASSES or _CODE_CLASS.fullmatch(word) for word in value.split())
    if name in _PLAIN:
        return value in _PLAIN[name]
    if name in _LINK:
        return tag == "a" and value in _LINK[name]
    if name == "id" and not _ID.fullmatch(value):
        return False
    if name in {"href", "src"} and not _HREF.match(value):
        return False
    return name in _FREE.get(tag, ())


_cleaners = Pool(lambda: Cleaner(tags=TAGS, attributes=_allowed, protocols=PROTOCOLS))


def sanitise(html: str, *, within: tuple[str, str] = ("", "")) -> str:
    """Return `html` without anything that is not on the list; `<` and `>` in attributes are escaped.

    `within` is what stands around it: a row is only valid within a table.
    """
    if _TEXT.fullmatch(html):
        return html
    before, after = within
    clean = _cleaned(before + html + after)
    if clean.startswith(before) and clean.endswith(after):
        return clean[len(before) : len(clean) - len(after)]
    return escape(html)  # it has broken out of where it belongs


def sanitise_element(element: Element) -> Element:
    """Return an element whose beginning and end are clean."""
    before, after = element.within
    html = _cleaned(before + element.begin + element.end + after)
    if not html.startswith(before) or not html.endswith(element.end + after):
        raise ValueError(f"not an element by itself: {element}")
    return element._replace(begin=html[len(before) : len(html) - len(element.end + after)], within=("", ""))


def _cleaned(html: str) -> str:
    return _clean_once(html) if len(html) <= LONGEST_CACHED else _clean_around_text(html)


def _clean_around_text(html: str) -> str:
    """Clean markup without taking bleach through long stretches of text, whose escapes cost it a hundred times more."""
    texts: list[str] = []

    def put_aside(match: re.Match[str]) -> str:
        texts.append(match[0])
        return f"{ASIDE}{len(texts) - 1}{ASIDE}"

    if ASIDE in html:
        return _clean(html)
    return _ASIDE.sub(lambda match: texts[int(match[1])], _clean(_LONG_TEXT.sub(put_aside, html)))


def _clean(html: str) -> str:
    with _cleaners.one() as cleaner:
        return str(cleaner.clean(html))


_clean_once = lru_cache(maxsize=8192)(_clean)  # lines of code and rows of tables come again: while they grow, and whole
