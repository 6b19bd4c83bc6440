"""A growing text is filtered as the whole would be, wherever it is cut; what is held back is bounded."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.filters.base import Rule
from conversations.filters.catalogue import detectors
from conversations.filters.redactor import Redactor
from tests.filters.planted import (
    CARDS,
    IBANS,
    KEYS,
    PHONES,
    PRIVATE_KEY,
    SHAPES,
    SURVIVORS,
    everything,
    filtered,
    pieces_of,
    random_tokens,
)

RULES = everything()
OWN = [
    Rule(20, "redact", detectors("pattern", r"PROJ-\d{3,6}")[0][0], "project"),
    Rule(21, "redact", detectors("words", "falcon\nthe secret plan\n鹰计划")[0][0], "words"),
    Rule(22, "redact", detectors("pattern", r"\bx\w{2,5}z\b")[0][0], "pattern"),
]
BLOCK = Rule(23, "block", detectors("pattern", "stop ?here")[0][0], "text")
SECRETS = [*KEYS.values(), PRIVATE_KEY, *CARDS, *IBANS, *PHONES, "ada@example.org"]
_SINGLE = """word , . ; @ - -- ---- +49 0 1 12 4111 1111 DE89 3704 sk- sk-ant- key= token:' ' eyJ AKIA :// / = ( )
-----BEGIN -----END PRIVATE a@b x.com 555- PROJ- 345678 falcon FALCON 鹰计划 鹰 xabcz xa cz stop here ü \u0430 邮 😀
[redacted:secret] ABCDEF0123456789 ab12cd34ef56gh78"""
_SPACED = (
    " ",
    "\n",
    "\r\n",
    "\u200b",
    "\u200b" * 20,
    "a" * 50,
    "0" * 30,
    "the secret plan",
    "-----BEGIN PRIVATE KEY-----",
)
FRAGMENTS = [*_SINGLE.split(), *_SPACED]
words = st.sampled_from([*SECRETS, *SURVIVORS]) | st.sampled_from(FRAGMENTS) | st.text(max_size=6)
texts = st.lists(words, max_size=10).map("".join).filter(lambda text: "\0" not in text)


@st.composite
def cut_texts(draw):
    """A text and the pieces it comes in."""
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return text, [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@given(cut_texts())
def test_any_cuts_show_the_same_as_the_whole(cut):
    text, pieces = cut
    whole = filtered(RULES, text)
    assert filtered(RULES, *pieces) == whole
    assert filtered(RULES, *text) == whole


@pytest.mark.parametrize("tail", ["", "\u200b", "\u200b and", " and", "- and", "\n"])
def test_what_is_invisible_behind_a_block_is_shown_or_not_wherever_it_is_cut(tail):
    text = PRIVATE_KEY + tail
    assert filtered(RULES, *text) == filtered(RULES, text) == "[redacted: private key]" + tail.replace("\u200b", "")


@given(cut_texts())
def test_any_cuts_show_the_same_with_patterns_and_a_rule_that_blocks(cut):
    text, pieces = cut
    whole = filtered([*RULES, *OWN, BLOCK], text)
    assert filtered([*RULES, *OWN, BLOCK], *pieces) == whole
    assert filtered([*RULES, *OWN, BLOCK], *text) == whole


@given(
    st.lists(st.sampled_from(SECRETS), min_size=1, max_size=3),
    st.lists(st.sampled_from(SURVIVORS), min_size=4, max_size=4),
)
def test_no_secret_is_left_however_it_is_cut(secrets, around):
    text = around[0] + "".join(f": {secret}; {words}" for secret, words in zip(secrets, around[1:], strict=False))
    for size in (1, 2, 3, 7, 30):
        shown = filtered(RULES, *(text[start : start + size] for start in range(0, len(text), size)))
        assert not [secret for secret in secrets if secret in shown]
        assert shown.count("[redacted: ") == len(secrets)


@pytest.mark.parametrize("shape", SHAPES)
def test_of_a_random_token_nothing_is_shown_however_it_is_cut(shape):
    for token in random_tokens(shape, 5):
        text = f"It is {token}, and more."
        for at in range(len(text)):
            assert filtered(RULES, text[:at], text[at:]) == "It is [redacted: secret], and more."
        shown = ""
        for piece in pieces_of(RULES, *text):
            shown += piece.text
            assert "It is [redacted: secret], and more.".startswith(shown)


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
def test_at_no_moment_more_is_shown_than_in_the_end(secret):
    text = f"It is {secret} indeed."
    whole = filtered(RULES, text)
    shown = ""
    for piece in pieces_of(RULES, *text):
        shown += piece.text
        assert whole.startswith(shown)


def test_marks_say_where_something_was_replaced():
    pieces = pieces_of(RULES, "Write to ada@exam", "ple.org or ", "4111 1111 1111 1111 now.")
    shown, places = "", []
    for piece in pieces:
        places += [(len(shown) + mark.offset, mark.rule.label) for mark in piece.marks]
        shown += piece.text
    assert shown == "Write to [redacted: e-mail] or [redacted: card number] now."
    assert places == [(9, "e-mail"), (31, "card number")]


def test_harmless_words_are_let_go_at_once():
    redactor = Redactor(RULES)
    assert redactor.feed("Still water runs").text == "Still water "
    assert redactor.feed(" deep, and").text == "runs deep, "
    assert redactor.feed(" 日本語の文章").text == "and 日本語の文章"
    assert redactor.held == 0


@pytest.mark.parametrize(
    "text",
    [
        "a" * 5_000,
        "0" * 5_000,
        "1 " * 3_000,
        "-----BEGIN " * 500,
        "DE89 " * 900,
        "a@" * 2_000,
        "\u200b" * 5_000,
        "+" * 4_000,
    ],
)
def test_what_is_held_back_is_bounded_and_costs_little(text):
    redactor = Redactor([*RULES, *OWN])
    started, most = time.process_time(), 0
    for start in range(0, len(text), 4):
        redactor.feed(text[start : start + 4])
        most = max(most, redactor.held)
    assert most <= 420
    assert time.process_time() - started < 4
    assert redactor.feed("!\n").blocked is None


def test_a_rule_that_blocks_keeps_what_came_before_and_lets_nothing_follow():
    redactor = Redactor([*RULES, BLOCK])
    pieces = [redactor.feed(piece) for piece in ("Go on, ada@b.org, then sto", "p here and", " further")]
    assert "".join(piece.text for piece in pieces) == "Go on, [redacted: e-mail], then "
    assert [piece.blocked for piece in pieces] == [None, BLOCK, BLOCK]
    assert redactor.flush().text == ""


def test_what_was_shown_before_counts_for_what_follows():
    continued = Redactor(RULES, context='It is 4\napi_key = "')
    assert continued.feed("aB3dE5fG7hI9jK1lM3nO5").text + continued.flush().text == "[redacted: secret]"
    behind = Redactor(RULES, context="The key is [redacted: secret]")
    assert behind.feed("cD4eF6, and").text + behind.flush().text == ", and"


def test_a_long_text_costs_as_much_a_character_as_a_short_one():
    def seconds(addresses: int) -> float:
        redactor, started = Redactor(everything()), time.process_time()
        piece = redactor.feed("write to someone@example.org now, " * addresses)
        assert len(piece.marks) + len(redactor.flush().marks) == addresses
        return time.process_time() - started

    seconds(50)
    assert seconds(1_600) < 12 * seconds(400)  # four times as much; what looks at all of it each time needs 16
