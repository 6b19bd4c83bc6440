"""Complete Markdown to safe HTML."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conversations.rendering.grammar import DEEPEST
from conversations.rendering.incremental import IncrementalRenderer
from conversations.rendering.markdown import render
from tests.rendering.safety import assert_safe
from tests.rendering.texts import ATTACKS, BOMBS, SAMPLE
from tests.viewer import parse, shown_text


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_inert_in_the_complete_text(attack):
    assert_safe(render(attack, id_prefix="p-"))


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
        ("**b** *i* ~~s~~ `c`", '<p dir="auto"><strong>b</strong> <em>i</em> <s>s</s> <code>c</code></p>'),
        ("# H", '<h3 id="h1" dir="auto">H</h3>'),
        ("###### H", '<h3 id="h1" dir="auto">H</h3>'),
        ("<b>x</b>", '<p dir="auto">&lt;b&gt;x&lt;/b&gt;</p>'),
        ("It costs $5 and $10.", '<p dir="auto">It costs $5 and $10.</p>'),
        ("echo $PATH and $HOME", '<p dir="auto">echo $PATH and $HOME</p>'),
        ("a\x00b", '<p dir="auto">ab</p>'),
        ("a\r\nb", '<p dir="auto">a\nb</p>'),
        ("", ""),
        ("[x](/relative)", '<p dir="auto">[x](/relative)</p>'),
    ],
)
def test_render_gives_this(text, html):
    assert render(text) == html


def test_a_foreign_link_shows_its_host():
    html = render("[my bank](https://evil.example/login)")
    assert '<span class="host">evil.example</span>' in html
    assert 'rel="noopener noreferrer nofollow ugc" target="_blank"' in html
    assert "host" not in render("https://example.org/x")


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("https://example.com", "https://ample.co"),
        ("bank.example/?evil.example", "https://evil.example"),
        ("bank.example@evil.example", "https://evil.example"),
    ],
)
def test_words_that_only_hold_the_host_do_not_stand_for_it(words, target):
    host = target.removeprefix("https://")
    assert f'</a><span class="host">{host}</span>' in render(f"[{words}]({target})")


@pytest.mark.parametrize("target", ["https:///evil.example", "https://///evil.example", "http://"])
def test_an_address_without_a_host_in_its_place_is_no_link(target):
    assert "<a " not in render(f"[x]({target}) <{target}> {target}")


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
    assert '<div class="table" tabindex="0" role="region" aria-label="Table"><table dir="auto">' in html
    assert '<th class="align-center">a</th>' in html
    assert "style" not in html


def test_tight_and_loose_lists_look_alike():
    assert shown_text(parse(render("- a\n- b"))) == shown_text(parse(render("- a\n\n- b")))
    assert render("- a\n- b").count("<p") == render("- a\n\n- b").count("<p") == 2


def test_footnotes_have_prefixed_ids():
    html = render("Text[^1], again[^1].\n\n[^1]: A note.", id_prefix="m1-")
    assert html.count('href="#m1-fn-1"') == 2
    assert '<div class="footnote" id="m1-fn-1"><a href="#m1-fnref-1" class="footnote-back">1</a>' in html
    assert re.findall(r'id="([^"]+)"', html) == ["m1-fnref-1", "m1-fn-1"]


def test_a_word_is_a_footnote_only_with_its_note():
    assert "<sup" in render("x[^why]\n\n[^why]: because")
    assert render("[^a-z] is a class") == '<p dir="auto">[^a-z] is a class</p>'


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("# a\n## b\n### c", [3, 4, 5]),
        ("## a\n### b\n## c", [3, 4, 3]),
        ("# a\n#### b", [3, 4]),
        ("### a\n# b", [3, 3]),
        ("# a\n## b\n### c\n#### d\n##### e", [3, 4, 5, 6, 6]),
    ],
)
def test_headings_fit_into_the_outline_of_the_page(text, levels):
    assert [int(level) for level in re.findall(r"<h(\d)", render(text))] == levels


def test_images_are_shown_from_allowed_hosts_only():
    text = "![A cat](https://img.example/cat.png) ![Spy](https://evil.example/x.png) ![Plain](http://img.example/y.png)"
    html = render(text, image_hosts=["img.example"])
    assert re.findall(r'<img src="([^"]+)" alt="([^"]+)"', html) == [("https://img.example/cat.png", "A cat")]
    assert html.count('class="image"') == 2


def test_a_line_of_dashes_under_a_paragraph_is_a_rule():
    assert render("words\n---\nmore") == '<p dir="auto">words</p><hr><p dir="auto">more</p>'


def test_tasks_have_boxes():
    html = render("- [ ] a\n- [x] b")
    assert html.count('type="checkbox"') == 2
    assert html.count("checked") == 1


def test_threads_do_not_disturb_each_other():
    texts = [f"{SAMPLE}\n\nhttps://example.org/{number} and [x](http://e.example/{number})" for number in range(24)]
    expected = [render(text) for text in texts]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(render, texts * 4)) == expected * 4


@pytest.mark.parametrize("marker", ["> ", "[^1]: ", "> [^1]: "])
def test_containers_of_every_kind_nest_only_so_deep(marker):
    html = render(marker * 40 + "x")
    assert html.count("<blockquote") + html.count('class="footnote"') == DEEPEST
    renderer = IncrementalRenderer()
    renderer.feed(marker * 40 + "x")
    renderer.finish()
    assert renderer.growth.html() == html
