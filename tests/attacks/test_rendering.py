"""Each prefix of each attack, through the real renderer, against a list of what may be there.

The list is not the renderer's: it is written here once more, from what Markdown can mean, and read by another parser
than the one that cleans.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit
from xml.etree import ElementTree

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.rendering.growth import appends
from conversations.rendering.incremental import IncrementalRenderer
from conversations.rendering.markdown import render
from tests.attacks.payloads import PAYLOADS, TARGETS

MATHML = """
math semantics mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle merror mpadded mphantom mfenced menclose msub msup
msubsup munder mover munderover mmultiscripts mprescripts none mtable mtr mtd mlabeledtr maction annotation
"""
PROSE = """
p br hr h1 h2 h3 h4 h5 h6 strong em del s code pre blockquote ul ol li table thead tbody tr th td a sup section figure
figcaption span div button input svg use label
"""
TAGS = {*MATHML.split(), *PROSE.split()}
ADDRESS = re.compile(r"(https?://|mailto:)[^\s]|#p-", re.IGNORECASE)
ID = re.compile(r"p-(h\d+|fn(ref)?-[\w-]+)|tail")
NEVER = re.compile(
    r"on|hx|data-|style$|src|action|formaction|form$|name$|xlink|background|poster|ping|is$|slot$|popover"
)


def assert_allowed(html: str) -> None:
    """Nothing is there but what Markdown can mean."""
    for node in html5lib.parseFragment(html, treebuilder="etree", namespaceHTMLElements=False).iter():
        if node.tag is ElementTree.Comment or node.tag == "DOCUMENT_FRAGMENT":
            assert node.tag != ElementTree.Comment, html
            continue
        tag = re.sub(r"\{.*\}", "", node.tag)
        assert tag in TAGS, (tag, html)
        assert (tag != "input") or node.get("type") == "checkbox", html
        assert (tag != "button") or node.get("type") == "button", html
        for name, value in node.attrib.items():
            assert not NEVER.match(str(name)), (name, html)
            assert name != "href" or ADDRESS.match(value), (value, html)
            assert name != "id" or ID.fullmatch(value), (value, html)
            assert name != "target" or value == "_blank", html
    assert not re.search(r"<(hx-|template|script|title|/?body)", html, re.IGNORECASE), html


def frames(text: str, size: int = 1) -> list[str]:
    """What a viewer is sent, piece by piece, and what the page then holds."""
    renderer = IncrementalRenderer(id_prefix="p-")
    sent: list[str] = []
    for start in range(0, len(text), size):
        renderer.feed(text[start : start + size])
        sent += [append.html for append in appends(renderer.take())]
    renderer.finish()
    sent += [append.html for append in appends(renderer.take())]
    return [*sent, renderer.growth.html()]


@pytest.mark.parametrize("part", range(8))
def test_every_prefix_of_every_attack_is_inert(part):
    for payload in PAYLOADS[part::8]:
        assert_allowed(render(payload, id_prefix="p-"))
        for html in frames(f"before\n\n{payload}\n\nafter"):
            assert_allowed(html)


@settings(max_examples=150)
@given(
    st.lists(st.sampled_from(PAYLOADS), min_size=2, max_size=4),
    st.sampled_from(["", " ", "\n", "\n\n", "> ", "|"]),
    st.integers(1, 9),
)
def test_attacks_that_run_into_each_other_are_inert(payloads, between, size):
    for html in frames(between.join(payloads), size):
        assert_allowed(html)


@pytest.mark.parametrize(
    "target", [*TARGETS, "http://a.example\\@evil.example", "https://///evil.example", "http://[x"]
)
@pytest.mark.parametrize("words", ["x", "https://bank.example", "bank.example", "evil.example.bank.example"])
def test_a_link_says_where_it_leads_or_is_none(target, words):
    html = render(f"[{words}](<{target}>)").lower()
    for href, between in re.findall(r'<a href="([^"]*)"[^>]*>.*?</a>(.{0,60})', html):
        host = urlsplit(href).hostname
        assert host
        assert f'<span class="host">{host}</span>' in between or f">{href}" in html, html


def test_the_list_would_find_each_kind():
    for bad in ("<script>x</script>", "<p onclick=x>", "<a href=javascript:x>", "<p id=csrf>", "<!--x-->", "<img>"):
        with pytest.raises(AssertionError):
            assert_allowed(bad)
