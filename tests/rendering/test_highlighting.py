"""Code in colour, line by line."""

from __future__ import annotations

import re
from html import unescape

import pytest

from conversations.rendering.highlighting import LONGEST_LINE, LineHighlighter, language_of
from conversations.rendering.sanitising import sanitise

SOURCES = {
    "python": 'def f():\n    """Text\n    over lines."""\n    return f"{x}" + \'y\'  # end\n\n@decorated\nclass A: ...',
    "javascript": "/* one\n two */ const a = `t${b}\nmore`; // end\nlet s = '/* no */';",
    "html": "<p class='a'>\n<!-- one\ntwo --><script>let a = 1;</script>\n</p>",
    "css": "a { color: red; /* x\n y */ top: 0 }",
    "json": '{"a": [1, true, null],\n "b": "c"}',
    "rust": 'fn main() {\n  /* a\n b */ let x: &str = "q";\n}',
    "bash": "cat <<EOF\n$HOME\nEOF\necho 'a' # b",
    "sql": "SELECT a -- b\nFROM t /* c\n d */ WHERE 'x' = y;",
    "yaml": 'a: b\nc:\n  - d: "e" # f\n  text: |\n    "more\n',
    "http": "GET / HTTP/1.1\nHost: a.example\n\n{}",
    "jsonc": '{\n  "a": 1, // b\n  /* c\n  d */ "e": []\n}',
    "svelte": "<script>\nlet a = 1;\n</script>\n<style lang='x'>\na { top: 0 }\n</style><p>{a}</p>",
    "ruby": 'def f\n  puts "a #{b}"\nend\n=begin\nx\n=end',
    "php": "<?php echo 1; /* a\n b */ ?>\n<p>",
    "diff": "+a\n-b\n c",
    "console": "$ ls\nfile",
    "c": "#include <a.h>\nint main(void) { /* x\n y */ return 0; }",
    "go": "package main\nvar s = `a\nb`",
    "nosuchlanguage": "a < b",
    "": "a < b & 'c'",
}


def lines_of(source: str, language: str) -> list[str]:
    highlighter = LineHighlighter(language)
    return [highlighter.line(line) for line in source.split("\n")]


def text_of(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))


@pytest.mark.parametrize("language", SOURCES)
def test_no_character_of_the_code_is_lost(language):
    assert text_of("".join(lines_of(SOURCES[language], language))) == SOURCES[language] + "\n"


@pytest.mark.parametrize("language", SOURCES)
def test_colours_pass_the_allow_list_unchanged(language):
    for line in lines_of(SOURCES[language], language):
        assert sanitise(line) == line


@pytest.mark.parametrize(
    ("language", "number", "expected"),
    [
        ("python", 2, '<span class="s2">    over lines.&quot;&quot;&quot;</span>'),
        ("javascript", 0, '<span class="cm">/* one</span>'),
        ("javascript", 1, '<span class="cm"> two */</span>'),
        ("javascript", 3, '<span class="s1">&#39;/* no */&#39;</span>'),
        ("html", 2, '<span class="cm">two --&gt;</span>'),
        ("yaml", 0, '<span class="nt">a</span>: b'),
        ("yaml", 2, '- <span class="nt">d</span>: <span class="s">&quot;e&quot;</span> <span class="c1"># f</span>'),
        ("http", 0, '<span class="nf">GET</span>'),
        ("jsonc", 1, '<span class="nt">&quot;a&quot;</span>: <span class="mi">1</span>'),
        ("jsonc", 3, '<span class="cm">  d */</span> <span class="nt">&quot;e&quot;</span>'),
        ("svelte", 1, '<span class="kd">let</span>'),
        ("svelte", 2, '&lt;/<span class="nt">script</span>&gt;'),
        ("svelte", 4, '<span class="k">top</span>'),
        ("svelte", 5, '&lt;<span class="nt">p</span>&gt;'),
    ],
)
def test_what_spans_lines_keeps_its_colour(language, number, expected):
    assert expected.replace("&#39;", "'") in lines_of(SOURCES[language], language)[number]


def test_a_line_that_is_too_long_stays_plain():
    assert lines_of(f"x = '{'a' * LONGEST_LINE}'", "python") == [f"x = '{'a' * LONGEST_LINE}'\n"]


@pytest.mark.parametrize(
    ("info", "language"), [("Python", "python"), ("c++ title=x", "c++"), ("", ""), ('"><b>', ""), ("js{1}", "js")]
)
def test_a_language_is_a_plain_word(info, language):
    assert language_of(info) == language
