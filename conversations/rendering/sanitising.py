"""The one allow-list: every piece of HTML that leaves the process has passed `sanitise`.

Models cannot write HTML at all (raw HTML is text), so what is cleaned here is the renderer's own output. The list is
the second wall: an attribute or a tag that slips through a parser ends here. Classes are allowed by value, so that text
can never look like a part of the page.
"""

from __future__ import annotations

import re

from bleach.sanitizer import Cleaner

from conversations.rendering.pool import Pool

PROTOCOLS = ("http", "https", "mailto")
HTML_TAGS = """
    p br hr em strong s code pre blockquote ul ol li h3 h4 h5 h6 a span div figure figcaption button sup section
    table thead tbody tr th td input
"""
MATHML_TAGS = """
    math mrow mi mn mo ms mtext mspace msup msub msubsup munder mover munderover mfrac msqrt mroot mtable mtr mtd
    mpadded mphantom mstyle menclose mmultiscripts mprescripts
"""
TAGS = frozenset((HTML_TAGS + MATHML_TAGS).split())
_PLAIN = {"dir": {"auto"}, "tabindex": {"0"}, "role": {"region"}, "type": {"button", "checkbox"}, "disabled": {""}}
_FREE = {
    "a": {"href", "title", "id"},
    "ol": {"start"},
    "input": {"checked", "aria-label"},
    "div": {"aria-label"},
    "li": {"id"},
    "pre": {"aria-label"},
    "h3": {"id"},
    "h4": {"id"},
    "h5": {"id"},
    "h6": {"id"},
    "math": {"display", "xmlns"},
    "mo": {"stretchy", "fence", "form", "separator"},
    "mfrac": {"linethickness"},
    "mtable": {"columnalign", "rowspacing", "columnspacing"},
    "mi": {"mathvariant"},
    "mspace": {"width"},
    "mstyle": {"displaystyle", "scriptlevel"},
}
_LINK = {"rel": {"noopener noreferrer nofollow ugc"}, "target": {"_blank"}}
CLASSES = """
    code lang copy table math math-block math-source host footnotes footnote-ref footnote-back
    align-left align-center align-right image plain
"""
_CLASSES = frozenset(CLASSES.split())
_CODE_CLASS = re.compile(r"language-[a-z0-9+#._-]{1,30}|[a-z][a-z0-9]?|err")  # Pygments' short names


def _allowed(tag: str, name: str, value: str) -> bool:
    if name == "class":
        return all(word in _CLASSES or _CODE_CLASS.fullmatch(word) for word in value.split())
    if name in _PLAIN:
        return value in _PLAIN[name]
    if name in _LINK:
        return tag == "a" and value in _LINK[name]
    return name in _FREE.get(tag, ())


_cleaners = Pool(lambda: Cleaner(tags=TAGS, attributes=_allowed, protocols=PROTOCOLS))


def sanitise(html: str) -> str:
    """Return `html` without anything that is not on the list; `<` and `>` in attributes are escaped."""
    with _cleaners.one() as cleaner:
        return str(cleaner.clean(html))
