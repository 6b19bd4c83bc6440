"""Growing Markdown: nothing is taken back, any pieces give the same, and the end is the complete rendering."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.rendering.growth import Append, appends
from conversations.rendering.highlighting import LONGEST_LINE
from conversations.rendering.incremental import IncrementalRenderer
from conversations.rendering.leaves.text import FIRST_CELL, LONGEST_BARE_HEADER, LONGEST_HEADER
from conversations.rendering.markdown import render
from conversations.rendering.words import HOLD_TARGET
from tests.rendering.safety import assert_safe
from tests.rendering.texts import ATTACKS, BOMBS, SAMPLE, SPECIFICATIONS, pieces_of
from tests.viewer import Viewer, html_of, parse, shown_text


def grown(*pieces: str, finish: bool = True) -> IncrementalRenderer:
    renderer = IncrementalRenderer(id_prefix="p-")
    for piece in pieces:
        renderer.feed(piece)
    if finish:
        renderer.finish()
    return renderer


def shown(text: str) -> str:
    """What a reader sees of a text that has not ended."""
    return shown_text(parse(grown(text, finish=False).growth.html()))


class Page:
    """A page that gets each frame's appends, as a browser does."""

    def __init__(self) -> None:
        self.viewer = Viewer('<div id="body"></div>')
        self.renderer = IncrementalRenderer(id_prefix="p-")

    def frame(self, text: str | None) -> list[Append]:
        """Feed a piece, or the end; apply what leaves."""
        if text is None:
            self.renderer.finish()
        else:
            self.renderer.feed(text)
        sent = list(appends(self.renderer.take()))
        for append in sent:
            self.viewer.swap("#body" + ">:last-child" * append.depth, "beforeend", parse(append.html))
        return sent

    def blocks(self) -> list[str]:
        return [html_of(block) for block in self.viewer.find("body")]


# --- The end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 10_000])
def test_any_pieces_end_in_the_complete_html(size):
    assert grown(*pieces_of(SAMPLE, size)).growth.html() == render(SAMPLE, id_prefix="p-")


@pytest.mark.parametrize("number", range(len(SPECIFICATIONS)))
def test_every_example_of_the_specifications_ends_in_the_complete_html_at_every_split(number):
    text = SPECIFICATIONS[number]
    whole = grown(text)
    assert whole.growth.html() == render(text, id_prefix="p-")
    for split in range(1, len(text)):
        assert grown(text[:split], text[split:]).growth.pieces == whole.growth.pieces, split
    page = Page()
    for character in [*text, None]:
        for append in page.frame(character):
            assert_safe(append.html)
    assert page.blocks() == [html_of(block) for block in parse(whole.growth.html())]


@pytest.mark.parametrize(
    ("text", "streamed"),
    [
        ("See [the map][1].\n\n[1]: https://example.org/map", "See [the map][1]."),
        ("A claim[^why].\n\n[^why]: A reason.", "A claim[^why]. why A reason."),
        ("Name | Age\n--- | ---\nAda | 36", "Name | Age --- | --- Ada | 36"),
        (
            "Words.\n\nA first cell that is long | Age\n--- | ---\nx | y",
            "Words. A first cell that is long | Age --- | --- x | y",
        ),
        (f"**{'word ' * 60}end**", f"**{'word ' * 60}end**"),
        (f"Words.\n\na | {'b' * 120}\n--- | ---\nx | y", f"Words. a | {'b' * 120} --- | --- x | y"),
        (f"| a | {'b' * 500} |\n|---|---|\n", f"| a | {'b' * 500} | |---|---|"),
    ],
)
def test_what_markdown_decides_too_late_is_shown_as_written(text, streamed):
    renderer = grown(*pieces_of(text, 4))
    assert shown_text(parse(renderer.growth.html())) == streamed
    assert renderer.growth.html() != render(text, id_prefix="p-")


def test_footnotes_with_numbers_are_never_late():
    text = "A claim[^1].\n\nMore.\n\n[^1]: A reason.\n    And on.\n[^2]: Another."
    assert grown(*pieces_of(text, 3)).growth.html() == render(text, id_prefix="p-")


@pytest.mark.parametrize("length", [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, LONGEST_LINE * 2 + 1])
@pytest.mark.parametrize(
    "text",
    [
        "```py\n{}\nmore\n```\n",
        "> - ```\n>   {}\n",
        "    code\n\n    {}\n\nwords",
        "- a\n\n      {}\n\n      more",
        "-     {}",
        "\t{}\n\twords",
        "```\nx\n```{blank}\nafter",
        "```\nx\n```{blank}x\nafter",
        "```\nx\n{blank}\n\n```",
    ],
)
def test_the_pieces_of_a_long_line_are_the_same_at_every_split(text, length):
    """Their number is a viewer's place on the wire, see `growth`."""
    text = text.format("x" * length, blank=" " * length)
    whole, by_character = grown(text), grown(*text)
    assert whole.growth.pieces == by_character.growth.pieces
    for split in range(1, len(text), 7):
        assert grown(text[:split], text[split:]).growth.pieces == whole.growth.pieces, split
    assert whole.growth.html() == render(text, id_prefix="p-")


@pytest.mark.parametrize("before", ["", "> ", "- "])
@pytest.mark.parametrize("row", ["|i", "| a |", "| Total | 5 |"])
def test_a_ragged_table_is_cut_off_at_the_same_row_while_it_grows(row, before):
    columns = 59
    indent = before.replace("-", " ")
    lines = [f"{before}{'|a' * columns}|", f"{indent}{'|-' * columns}|", *[f"{indent}{row}"] * 200, f"{before}end"]
    text = "\n".join(lines)
    growing = grown(*pieces_of(text, 7)).growth
    assert growing.html() == render(text, id_prefix="p-")
    assert growing.pieces == grown(text).growth.pieces
    assert len(growing.html()) < 10 * len(text)


def test_an_ordinary_ragged_table_stays_one():
    rows = "\n".join(
        ["| a | b | c | d | e | f |", "|---|---|---|---|---|---|", *["| Total | 5 |", "| Section |"] * 300]
    )
    assert grown(rows).growth.html() == render(rows, id_prefix="p-")
    assert render(rows).count("<td>") == 600 * 6


@pytest.mark.parametrize("text", ["word <a@中文|", "word <a@b.example> x", "\\$x$ and $y$ z", "**\\[a **$x$ b"])
def test_what_is_found_out_once_of_a_place_was_decided(text):
    for end in range(1, len(text) + 1):
        whole, by_character = grown(text[:end], finish=False), grown(*text[:end], finish=False)
        assert (whole.growth.pieces, whole.held) == (by_character.growth.pieces, by_character.held)


@pytest.mark.parametrize("blank", ["\u00a0", "\u3000", "\u2003", "\x85"])
def test_only_what_markdown_takes_for_white_space_counts_behind_a_marker(blank):
    text = f"words\n- {blank}item\n"
    assert grown(text).growth.pieces == grown(*text).growth.pieces
    assert grown(text).growth.html() == render(text, id_prefix="p-")


# --- What is held, and for how long ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "visible"),
    [
        ("Hello wor", "Hello"),
        ("Hello world ", "Hello world"),
        ("Some **bold wor", "Some"),
        ("Some **bold words** an", "Some bold words"),
        ("Use `code he", "Use"),
        ("Use `code` he", "Use code"),
        ("5 * 3 is 15 ", "5 * 3 is 15"),
        ("snake_case_name is ", "snake_case_name is"),
        ("See [the docs", "See"),
        ("See [the docs](https://a.exam", "See"),
        ("See [the docs](https://a.example) fo", "See the docsa.example"),
        ("See [note] here ", "See [note] here"),
        ("![a cat](https://a.exam", ""),
        ("It is $5 a month", "It is $5 a"),
        ("about $20 million in", "about $20 million"),
        ("echo $PATH and m", "echo $PATH and"),
        ("say ~~no", "say"),
        ("Tom &am", "Tom"),
        ("Tom &amp; ", "Tom &"),
        ("See <https://a.exam", "See"),
        ("a\n#", "a"),
        ("# Hea", ""),
        ("# Hea ding", "Hea"),
        ("# A title #", "A"),
        ("a\n-", "a"),
        ("a\n- b", "a"),
        ("a\n- b ", "a b"),
        ("a\n1", "a"),
        ("a\n2024 was ", "a 2024 was"),
        ("a\n``", "a"),
        ("```py\nx = 1", "pyCopy"),
        ("```py\nx = 1\n", "pyCopy x = 1"),
        ("| a | b |", ""),
        ("| a | b |\n|--", ""),
        ("| a | b |\n|---|---|\n", "a b"),
        ("| a | b |\n|---|---|\n| 1 | 2 ", "a b"),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n", "a b 1 2"),
        ("| a | b |\nno table ", "| a | b | no table"),
        ("$$\nx", ""),
        ("- [ ", ""),
        ("- [ ] do i", "do"),
        ("[x]: https://a.example", ""),
        ("[x] is ", "[x] is"),
        ("[Alice]: Hi th", "[Alice]: Hi"),
        ("[Alice]:\nHi th", "[Alice]: Hi"),
        ("[x]: https://a.example 'a ti", ""),
        ("[x]: https://a.example 'a title' no", "[x]: https://a.example 'a title'"),
        ("    code\n\nSome words of a paragr", "textCopy code Some words of a"),
        ("> quo ted", "quo"),
        ("中文字符", "中文字"),
        ("word\\", ""),
        ("a line\nan", "a line"),
    ],
)
def test_nothing_ambiguous_is_shown_and_nothing_held_longer_than_needed(text, visible):
    assert shown(text) == visible


@pytest.mark.parametrize(
    "text",
    [
        '[a]: http://x.example\n"Quoted" words follow.\n\nEnd [a].',
        "[a]: http://x.example\n[b] is not a definition.\n\nEnd [a].",
        "[a]: http://x.example\n(see above) more\n\nEnd [a].",
        "[a]: http://x.example\n'A title\nover lines'\n\nEnd [a].",
        "[1]: http://x.example\n[2]: http://y.example\n\nAs [a][1] and [b][2] say.",
        "- [1]: http://x.example\n  [2]: http://y.example\n\n  As [a][1] and [b][2] say.",
        "".join(f"[{n}]: http://x.example/{n}\n" for n in range(60)) + "\nSee [1] and [59].",
        "[a]: b\n[c]: d\n[e]: f\n[g]: h\n[i]: j\nwords",
        "[a]: http://x.example\nwords [a]\n| t |\n|---|\n",
        "Words.\n\nName | Age\n--- | ---\nAda | 36",
        "1. [ ] a\n2. [x] b",
        "\u3000一段落です。\n\n\u00a0Two.",
        f"Words.\n\n{'Value $x_1$ and **b**, `c`. ' * 150}",
        "$$x$$ and then some words",
        "http://a.example/" + "x" * 900,
    ],
)
def test_these_end_in_the_complete_html(text):
    assert grown(*text).growth.html() == grown(text).growth.html() == render(text, id_prefix="p-")


@pytest.mark.parametrize("opener", ["**", "*", "_", "`", "~~", "[", "![", "<https://", "$x", "\\("])
def test_an_opener_without_an_end_becomes_text_after_a_bounded_wait(opener):
    text = f"Before {opener}" + "a word of more " * 100
    renderer = IncrementalRenderer()
    longest = 0
    for piece in pieces_of(text, 4):
        renderer.feed(piece)
        longest = max(longest, len(renderer.held))
    assert longest <= 1_050 if opener == "\\(" else longest <= 260
    assert shown_text(parse(renderer.growth.html())).startswith("Before")
    assert len(shown_text(parse(renderer.growth.html()))) > len(text) - 300


@pytest.mark.parametrize("before", ["```\n", "    ", "    code\n\n    ", "> - ```py\n>   "])
def test_a_long_line_of_code_is_not_held(before):
    renderer = grown(before, "中" * (LONGEST_LINE * 3), "文", finish=False)
    assert renderer.growth.html().count("中") == LONGEST_LINE * 3
    assert renderer.held == "文"


def test_what_is_held_is_known():
    assert grown("Some **bold wor", finish=False).held == " **bold wor"
    assert grown("```py\nx = 1", finish=False).held == "x = 1"
    assert grown("| a | b |", finish=False).held == "| a | b |"
    assert grown("All of it.\n\n", finish=False).held == ""


# --- The cost --------------------------------------------------------------------------------------------------------


def calls_for(work) -> int:
    """How many Python functions the work calls: a measure of its cost that is the same on every machine."""
    count = 0

    def note(_frame, event, _argument) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    ("opening", "more"),
    [
        ("```python\n", "    value = compute(self.x, 'text')  # a comment\n"),
        ("```\n", "plain line of code\n"),
        ("| a | b |\n|---|---|\n", "| a cell | **another** one |\n"),
        ("", "- an item with *some* words\n"),
        ("", "> a line of a quote\n"),
        ("", "Some words of a **long** paragraph, with `code`, and more.\n"),
        ("", "Words without any line end, and with **bold** ones. "),
        ("1. item\n", "\n   A paragraph within an item.\n"),
        ("> - 1. ```js\n", ">       let x = 1;\n"),
        ("    code\n", "    more of it\n"),
        ("", "字符字符字符"),
    ],
)
def test_a_piece_costs_the_same_at_the_end_of_a_long_block_as_at_its_start(opening, more):
    renderer = grown(opening + more * 20, finish=False)
    early = calls_for(lambda: [renderer.feed(piece) for piece in pieces_of(more * 5, 4)])
    renderer.feed(more * 2_000)
    late = calls_for(lambda: [renderer.feed(piece) for piece in pieces_of(more * 5, 4)])
    assert late <= early * 1.05 + 20


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: f"{bomb[:6]!r}x{len(bomb)}")
def test_bombs_cost_a_bounded_number_of_calls_a_frame(bomb):
    grown(bomb[:4_000])  # parsers and expressions are made once
    renderer = IncrementalRenderer()
    costs = [calls_for(lambda piece=piece: renderer.feed(piece)) for piece in pieces_of(bomb[:4_000], 40)]
    assert max(costs) < 40_000
    renderer.finish()
    assert len(renderer.growth.html()) < 10 * len(bomb) + 65_536


# --- Safety ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_inert_in_every_frame(attack):
    page = Page()
    for character in [*f"{attack}\n\nmore", None]:
        for append in page.frame(character):
            assert_safe(append.html)
        assert_safe(page.renderer.growth.html())
    assert page.blocks() == [html_of(block) for block in parse(page.renderer.growth.html())]


# --- Properties ------------------------------------------------------------------------------------------------------

ATOMS = [
    *("word ", "wo", " ", "  ", "\n", "\n\n", "\n    ", "\t", "- ", "* ", "+ ", "1. ", "2) ", "> ", ">", "# ", "## "),
    *("```\n", "```py\n", "`", "``", "*", "**", "***", "_", "__", "~~", "~", "[", "]", "](https://a.example)", "!["),
    *("| a | b |\n", "|---|---|\n", "|:-:|--|", "|", "---", "***\n", "===", "\\", "\\\n", "<", "<b>", "&amp;", "&"),
    *(
        "http://a.example/b_c",
        "$x$",
        "$",
        "$$",
        "$5",
        "\\[",
        "\\]",
        "\\(",
        "[^1]",
        "[^1]: ",
        "[^w]",
        "[x]",
        "中文",
        "🙂",
    ),
    *("[x]: https://a.example\n", "- [ ] ", "- [x] ", "\r\n", "\r", "\0", "    code\n", "(", ")", '"', "'", "é", "ע"),
    *(
        "\u00a0",
        "\u3000",
        "\u2003",
        "\u2028",
        "\x85",
        "\x1f",
        "\u200b",
        "\ufeff",
    ),  # white space to others than Markdown
    *("x" * 260, "x" * LONGEST_LINE, " " * LONGEST_LINE, "`" * 510, "long words " * 30),
]
GARBAGE = st.lists(st.sampled_from(ATOMS), max_size=40).map("".join)


@settings(max_examples=400, deadline=None)
@given(text=GARBAGE, cuts=st.lists(st.integers(0, 200), max_size=12))
def test_any_pieces_give_the_same_state(text, cuts):
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[begin:end] for begin, end in pairwise(places)]
    by_character, whole, split = grown(*text, finish=False), grown(text, finish=False), grown(*pieces, finish=False)
    assert by_character.growth.pieces == whole.growth.pieces == split.growth.pieces
    assert by_character.held == whole.held == split.held
    for renderer in (by_character, whole, split):
        renderer.finish()
    assert by_character.growth.pieces == whole.growth.pieces == split.growth.pieces


@settings(max_examples=200, deadline=None)
@given(text=GARBAGE, size=st.integers(1, 9))
def test_what_is_shown_is_final_and_safe(text, size):
    page = Page()
    before = ""
    for piece in [*pieces_of(text, size), None]:
        pieces = tuple(page.renderer.growth.pieces)
        for append in page.frame(piece):
            assert_safe(append.html)
        assert tuple(page.renderer.growth.pieces[: len(pieces)]) == pieces
        now = "".join(page.viewer.find("body").itertext())
        assert now.startswith(before)
        before = now
    assert page.blocks() == [html_of(block) for block in parse(page.renderer.growth.html())]


LINE_ATOMS = [atom for atom in ATOMS if "\n" not in atom and "\r" not in atom]


@settings(max_examples=200, deadline=None)
@given(
    before=st.sampled_from(["", "Words.\n\n", "    code\n\n", "- ", "> "]),
    first=st.sampled_from(["A word", "The `|` operator", "P(A|B) is", "|x| is", "[Alice]: Hi", "[Alice]:\nHi"]),
    atoms=st.lists(st.sampled_from(LINE_ATOMS), max_size=60),
)
def test_what_is_held_of_a_paragraph_is_bounded_however_long_its_lines_are(before, first, atoms):
    renderer = grown(f"{before}{first} ", finish=False)
    for atom in atoms:
        renderer.feed(atom)
        assert len(renderer.held) <= HOLD_TARGET + LONGEST_HEADER


@pytest.mark.parametrize(
    ("beginning", "most"),
    [
        ("Intro.\n\nThe `|` operator", LONGEST_BARE_HEADER + 10),
        ("Intro.\n\nThe `\\|` operator", LONGEST_BARE_HEADER + 10),
        ("Intro.\n\nP(A|B) is", LONGEST_BARE_HEADER + 10),
        ("|x| is", LONGEST_HEADER + 10),
        ("Intro.\n\n    code\n\nAnd", FIRST_CELL),
        ("[Alice]: Hi there, how", 20),
        ("[Alice]:\nHi there, how", 20),
        ("- a | b", 20),
        ("> [x]: y", 20),
    ],
)
def test_a_paragraph_that_begins_like_something_else_is_not_held_for_its_whole_line(beginning, most):
    renderer, longest = grown(beginning, finish=False), 0
    for piece in pieces_of(" and many words more" * 60, 4):
        renderer.feed(piece)
        longest = max(longest, len(renderer.held))
    assert longest <= most


WORDS = st.lists(
    st.sampled_from(
        [
            *(
                "word",
                "and",
                "a longer word",
                "**bold**",
                "*em*",
                "***both***",
                "`code`",
                "``a ` b``",
                "~~gone~~",
                "$x^2$",
            ),
            *("[link](https://a.example)", "![cat](https://a.example/c.png)", "https://a.example/x_y_z", "**a *b* c**"),
            *(
                "$5",
                "$PATH",
                "5 * 3",
                "snake_case",
                "\\*",
                "&amp;",
                "<b>",
                "中文",
                "文字**粗**字",
                "x[^1]",
                "\\(y\\)",
                "a/b",
                "!",
            ),
        ]
    ),
    min_size=1,
    max_size=8,
).map(" ".join)
BLOCKS = st.one_of(
    WORDS,
    st.lists(WORDS, min_size=2, max_size=4).map("\n".join),
    st.tuples(st.integers(1, 6), WORDS).map(lambda pair: f"{'#' * pair[0]} {pair[1]}"),
    st.lists(WORDS, min_size=1, max_size=4).map(lambda rows: "\n".join(f"- {row}" for row in rows)),
    st.lists(WORDS, min_size=1, max_size=4).map(lambda rows: "\n".join(f"{n}. {row}" for n, row in enumerate(rows, 1))),
    st.lists(WORDS, min_size=1, max_size=3).map(
        lambda rows: "\n".join(f"- {row}\n  - {row}\n\n    {row}" for row in rows)
    ),
    st.lists(WORDS, min_size=1, max_size=3).map(lambda rows: "\n>\n".join(f"> {row}" for row in rows)),
    st.lists(WORDS, min_size=1, max_size=4).map(
        lambda rows: "| a | b |\n|---|:-:|\n" + "\n".join(f"| {r} | x |" for r in rows)
    ),
    st.lists(WORDS, max_size=4).map(lambda rows: "```python\n" + "\n".join(rows) + "\n```"),
    st.lists(WORDS, min_size=1, max_size=2).map(lambda rows: "- [ ] " + "\n- [x] ".join(rows)),
    st.sampled_from(["$$\nx^2\n$$", "\\[ y \\]", "---", "    code\n\n    more", "[^1]: A note."]),
)
DOCUMENTS = st.lists(BLOCKS, max_size=6).map("\n\n".join)


@settings(max_examples=400, deadline=None)
@given(text=DOCUMENTS, size=st.integers(1, 9))
def test_documents_end_in_the_complete_html(text, size):
    assert grown(*pieces_of(text, size)).growth.html() == render(text, id_prefix="p-")
