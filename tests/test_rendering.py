"""Markdown to safe HTML, complete and growing."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.rendering.incremental import IncrementalRenderer
from conversations.rendering.markdown import render
from tests.viewer import parse, shown_text

SAMPLE = """# Title

A paragraph with **bold**, `code`, [a link](http://example.org "title") and ~~nothing~~.

- one
- two

  more of two

1. first
2. second

> quoted
> text

| a | b |
|:--|--:|
| 1 | 2 |

```python
def f(x):
    return "<b>"
```

    indented code

$$
\\frac{a}{b}
$$

- [ ] open
- [x] done

Last *words*.
"""

ATTACKS = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "<svg onload=alert(1)>",
    '<iframe srcdoc="<script>alert(1)</script>">',
    '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
    "<style>body{display:none}</style>",
    '<base href="//evil.example/">',
    '<meta http-equiv="refresh" content="0;url=//evil.example">',
    '<form action="//evil.example"><button>x</button></form>',
    "[x](javascript:alert(1))",
    "[x](JaVa\tScript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:x)",
    "[x](//evil.example)",
    "[x](/accounts/logout/)",
    "[x](\\\\evil.example)",
    '[x](http://a.example "<hx-x data-hx-post=/delete data-hx-trigger=load >")',
    "![<hx-partial>](http://a.example '<hx-partial hx-target=body>')",
    '```<hx-partial hx-target="body">\ncode\n```',
    '```js" onclick="alert(1)\ncode\n```',
    '<hx-partial hx-target="#thread">gone</hx-partial>',
    '<div hx-swap-oob="true" id="thread">gone</div>',
    '<p data-hx-get="/x" hx-on:click="alert(1)" hx-preserve hx-ignore>',
    '<template hx type="partial">',
    '[x]: http://a.example "<script>"\n\n[x]',
    "$<img src=x onerror=alert(1)>$",
    "$$\\text{<script>alert(1)</script>}$$",
    "\\(\\href{javascript:alert(1)}{x}\\)",
    "<http://evil.example/?a='\"><script>>",
    'http://evil.example/"onmouseover="alert(1)',
    '<a id="csrf" name="body" class="htmx-indicator" href="http://x.example">x</a>',
    "x[^<script>]\n\n[^<script>]: y",
    "| <script> | b |\n|--|--|\n| <img src=x onerror=y> | `<svg>` |",
]

BOMBS = [
    "[" * 20_000,
    "![" * 20_000,
    "[a " * 5_000,
    "> " * 500 + "x",
    "- " * 500 + "x",
    "|" + "a|" * 500 + "\n|" + "-|" * 500 + "\n" + "|a\n" * 400,
    "<" * 100_000,
    "*" * 20_000,
    "_a " * 20_000,
    "`" * 20_000,
    "$" * 20_000,
    "\\(" * 10_000,
    "".join(f"[r{n}]: http://x.example\n" for n in range(10_000)),
    "&" * 50_000,
    "http://" * 10_000,
    "~~" * 10_000,
    "# " * 10_000,
    "1) " * 2_000,
]


def grown(text: str, size: int = 1) -> IncrementalRenderer:
    renderer = IncrementalRenderer(id_prefix="p-")
    for start in range(0, len(text), size):
        renderer.feed(text[start : start + size])
    return renderer


def assert_safe(html: str) -> None:
    """No live element or attribute that a model could have chosen, as an HTML5 parser sees it."""
    for node in parse(html).iter():
        assert node.tag not in {"script", "style", "iframe", "img", "form", "svg", "object", "base", "meta", "template"}
        for name, value in node.attrib.items():
            assert not name.startswith(("on", "hx-", "data-")), (name, html)
            assert name not in {"style", "srcdoc", "action", "formaction", "name"}, (name, html)
            if name == "href":
                assert re.match(r"https?://|mailto:|#p-fn", value), (value, html)
    assert "<hx-" not in html.lower()
    assert "<template" not in html.lower()


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_inert_in_the_complete_text(attack):
    assert_safe(render(attack, id_prefix="p-"))


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_inert_in_every_frame(attack):
    renderer = IncrementalRenderer(id_prefix="p-")
    for character in f"{attack}\n\nmore":
        renderer.feed(character)
        assert_safe(renderer.snapshot() + renderer.tail.html)
    renderer.finish()
    assert_safe(renderer.snapshot())


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: f"{bomb[:6]!r}x{len(bomb)}")
def test_bombs_stay_within_bounds(bomb):
    started = time.process_time()
    html = render(bomb)
    assert time.process_time() - started < 5  # they take minutes in a plain parser: no benchmark, a fuse
    assert len(html) < 10 * len(bomb) + 65_536


def test_angle_brackets_in_attributes_are_escaped():
    html = render('[x](http://a.example "<hx-x data-hx-post=/delete>")')
    assert 'title="&lt;hx-x data-hx-post=/delete&gt;"' in html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**b** *i* ~~s~~ `c`", '<p dir="auto"><strong>b</strong> <em>i</em> <s>s</s> <code>c</code></p>\n'),
        ("# H", '<h3 dir="auto">H</h3>\n'),
        ("###### H", '<h6 dir="auto">H</h6>\n'),
        ("<b>x</b>", '<p dir="auto">&lt;b&gt;x&lt;/b&gt;</p>\n'),
        ("It costs $5 and $10.", '<p dir="auto">It costs $5 and $10.</p>\n'),
        ("echo $PATH and $HOME", '<p dir="auto">echo $PATH and $HOME</p>\n'),
        ("a\x00b", '<p dir="auto">ab</p>\n'),
        ("a\r\nb", '<p dir="auto">a\nb</p>\n'),
        ("", ""),
        ("[x](/relative)", '<p dir="auto">[x](/relative)</p>\n'),
    ],
)
def test_render_gives_this(text, html):
    assert render(text) == html


def test_a_foreign_link_shows_its_host():
    html = render("[my bank](https://evil.example/login)")
    assert '<span class="host">evil.example</span>' in html
    assert 'rel="noopener noreferrer nofollow ugc" target="_blank"' in html
    assert "host" not in render("https://example.org/x")


def test_an_image_becomes_a_link():
    html = render("![A cat](https://example.org/cat.png)")
    assert "<img" not in html
    assert ">A cat</a>" in html


def test_code_has_language_copy_button_and_colours():
    html = render("```python\ndef f(): pass\n```")
    assert '<span class="lang">python</span><button type="button" class="copy">Copy</button>' in html
    assert '<span class="k">def</span>' in html
    assert "style=" not in html


def test_math_becomes_mathml():
    for text in ("$x^2$", "\\(x^2\\)"):
        assert "<msup><mi>x</mi><mn>2</mn></msup>" in render(text)
    for text in ("$$\nx^2\n$$", "\\[\nx^2\n\\]"):
        assert 'display="block"' in render(text)
    assert '<code class="math-source">' in render("$\\frac{$") or "$" in render("$\\frac{$")


def test_tables_scroll_and_align_without_style():
    html = render("| a | b |\n|:-:|--:|\n| 1 | 2 |")
    assert '<div class="table" tabindex="0" role="region" aria-label="Table"><table>' in html
    assert '<th class="align-center">a</th>' in html
    assert "style" not in html


def test_tight_and_loose_lists_look_alike():
    assert shown_text(parse(render("- a\n- b"))) == shown_text(parse(render("- a\n\n- b")))
    assert render("- a\n- b").count("<p") == render("- a\n\n- b").count("<p") == 2


def test_footnotes_have_prefixed_ids():
    html = render("Text[^1].\n\n[^1]: A note.", id_prefix="m1-")
    assert 'href="#m1-fn1"' in html
    assert '<li id="m1-fn1">' in html
    assert set(re.findall(r'id="([^"]+)"', html)) == {"m1-fn1", "m1-fn1-0"}


def test_tasks_have_boxes():
    html = render("- [ ] a\n- [x] b")
    assert html.count('type="checkbox"') == 2
    assert html.count("checked") == 1


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
def test_any_split_ends_in_the_canonical_html(size):
    renderer = grown(SAMPLE, size)
    renderer.finish()
    assert renderer.snapshot() == render(SAMPLE, id_prefix="p-")


def test_any_split_gives_the_same_state():
    one, whole = IncrementalRenderer(), IncrementalRenderer()
    for character in SAMPLE:
        one.feed(character)
    whole.feed(SAMPLE)
    assert [f.html for f in one.settled] == [f.html for f in whole.settled]
    assert one.tail == whole.tail


def test_settled_fragments_never_change():
    renderer = IncrementalRenderer()
    before: list[str] = []
    for character in SAMPLE:
        renderer.feed(character)
        now = [fragment.html for fragment in renderer.settled]
        assert now[: len(before)] == before
        before = now
    assert len(before) >= 8


def test_nothing_shown_is_lost_when_a_block_settles():
    renderer = IncrementalRenderer()
    longest = 0
    for character in "Plain words, one after the other.\n\nAnd more of them.\n\n- a list\n- of items\n\nThe end.":
        renderer.feed(character)
        length = len(shown_text(parse(renderer.snapshot() + renderer.tail.html)))
        assert length >= longest - 1
        longest = max(longest, length)


def test_threads_do_not_disturb_each_other():
    texts = [f"{SAMPLE}\n\nhttps://example.org/{number} and [x](http://e.example/{number})" for number in range(24)]
    expected = [render(text) for text in texts]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(render, texts * 4)) == expected * 4


MARKDOWN = st.lists(
    st.sampled_from(
        [
            "word ",
            "\n",
            "\n\n",
            "- ",
            "1. ",
            "> ",
            "# ",
            "```",
            "`",
            "*",
            "**",
            "|",
            "a | b\n--|--\n",
            "    ",
            "$",
            "<b>",
            "\r\n",
            "[x](",
            ")",
            "http://e.example ",
        ]
    ),
    max_size=40,
).map("".join)


@settings(max_examples=150, deadline=None)
@given(text=MARKDOWN, size=st.integers(1, 9))
def test_growing_text_is_safe_and_settled_is_final(text, size):
    renderer = IncrementalRenderer(id_prefix="p-")
    before: list[str] = []
    for start in range(0, len(text), size):
        renderer.feed(text[start : start + size])
        now = [fragment.html for fragment in renderer.settled]
        assert now[: len(before)] == before
        before = now
        assert_safe(renderer.tail.html)
    renderer.finish()
    assert shown_text(parse(renderer.snapshot())).split() == shown_text(parse(render(text, id_prefix="p-"))).split()
