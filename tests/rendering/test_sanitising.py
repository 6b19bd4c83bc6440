"""The allow-list, and that what is not taken through bleach would come out of it unchanged."""

from __future__ import annotations

import pytest
from bleach.sanitizer import Cleaner
from hypothesis import given
from hypothesis import strategies as st

from conversations.rendering import elements, sanitising
from conversations.rendering.sanitising import sanitise, sanitise_element

PIECES = st.sampled_from(
    [
        "a",
        " ",
        "&amp;",
        "&lt;",
        "&quot;",
        "&#39;",
        "'",
        '"',
        "\n",
        "é",
        "🙂",
        "&",
        "<",
        ">",
        "&copy;",
        "<b>",
        "\0",
        "\r",
        ";",
        "#",
    ]
)


def bleached(html: str) -> str:
    cleaner = Cleaner(tags=sanitising.TAGS, attributes=sanitising._allowed, protocols=sanitising.PROTOCOLS)
    return str(cleaner.clean(html))


@given(st.lists(PIECES, max_size=30).map("".join))
def test_text_without_markup_is_what_bleach_leaves_alone(text):
    assert sanitise(text) == bleached(text)


@given(st.lists(PIECES, max_size=10).map("".join), st.integers(1, 400))
def test_long_text_inside_markup_is_what_bleach_makes_of_it(text, times):
    html = f'<p dir="auto">{text * times}</p><p>x<strong>{text}</strong></p>'
    assert sanitise(html) == bleached(html)


@pytest.mark.parametrize(
    "html",
    [
        "<script>x</script>",
        '<p onclick="x">y</p>',
        '<a href="javascript:x">y</a>',
        '<div class="composer">x</div>',
        '<form action="/x">y</form>',
        '<p style="top:0">x</p>',
        '<p data-hx-get="/x">y</p>',
        '<hx-partial hx-target="body">x</hx-partial>',
        '<a href="/x" target="_self" rel="x">y</a>',
        '<p id="csrf">x</p>',
        '<img src="javascript:x">',
    ],
)
def test_what_is_not_on_the_list_goes(html):
    clean = sanitise(html)
    for bad in (
        "<script",
        "onclick",
        "javascript:",
        "composer",
        "<form",
        "style=",
        "data-hx",
        "<hx-",
        "_self",
        'id="csrf"',
    ):
        assert bad not in clean


@pytest.mark.parametrize(
    "element",
    [
        elements.PARAGRAPH,
        elements.QUOTE,
        elements.ITEM,
        elements.ROWS,
        elements.bullets(),
        elements.numbers(7),
        elements.task(checked=True),
        elements.heading(3, "m-h1"),
        elements.code("python"),
        elements.code(""),
        elements.table("<tr><th>a</th></tr>"),
        elements.footnote("1", "m-"),
    ],
)
def test_elements_pass_with_as_many_levels_as_they_say(element):
    clean = sanitise_element(element)
    before, after = element.within
    assert clean.end == element.end
    whole = f"{before}{clean.begin}{clean.end}{after}"
    assert bleached(whole) == whole
    assert element.end.count("</") == element.levels
