"""Patterns and lists of words that staff write."""

from __future__ import annotations

import time

import pytest

from conversations.filters.base import Rule, TooSlow
from conversations.filters.catalogue import detectors
from conversations.filters.patterns import BadPattern, OwnDetector, own_pattern, own_words
from conversations.filters.redactor import Redactor
from tests.filters.planted import filtered


def rule(kind: str, source: str, **options) -> Rule:
    return Rule(1, "redact", detectors(kind, source, **options)[0][0], "text")


@pytest.mark.parametrize(
    ("source", "text", "shown"),
    [
        (r"PROJ-\d{3,6}", "see proj-12345.", "see [redacted: text]."),
        (r"\b(?:red|green) team\b", "the Red Team, redteam", "the [redacted: text], redteam"),
        (r"(\d{2}\.){3}\d{2}", "at 10.20.30.40!", "at [redacted: text]!"),
        (r"x.{0,3}y", "x  y xy", "[redacted: text] [redacted: text]"),
        (r"[^ ]{3}@corp", "abc@corp", "[redacted: text]"),
        ("Ｋ１", "k1 or Ｋ１", "[redacted: text] or [redacted: text]"),
    ],
)
def test_a_pattern_is_found_in_any_pieces(source, text, shown):
    assert filtered([rule("pattern", source)], text) == filtered([rule("pattern", source)], *text) == shown


def test_case_counts_when_it_is_to():
    assert filtered([rule("pattern", "Falcon", ignore_case=False)], "falcon Falcon") == "falcon [redacted: text]"


@pytest.mark.parametrize(
    "source",
    [
        *(
            "a+",
            "a*b",
            r"\w{1,}",
            "(a{1,9}){1,9}b",
            "(?:ab|a){2,9}c",
            "a{0,3}",
            "a{201}",
            "^a",
            "a$",
            "(?=a)b",
            "(?<=a)b",
        ),
        *(
            r"(a)\1",
            "(",
            "[",
            r"\p{L}",
            "(?s)a.b",
            "(?i:a)b",
            "a{e<=1}",
            "[[:alpha:]]",
            "x" * 300,
            r"a{0,40}" * 9 + "b",
        ),
    ],
)
def test_a_pattern_outside_the_dialect_is_refused_with_a_sentence(source):
    with pytest.raises(BadPattern, match=r"\w{3,}.*\.$"):
        own_pattern(source, ignore_case=True)


def test_a_search_that_takes_too_long_is_given_up():
    import regex

    detector = OwnDetector(regex.compile("(a|aa){1,60}b"), 120, "")
    started = time.monotonic()
    with pytest.raises(TooSlow):
        detector.find("a" * 120, 0, 120)
    assert time.monotonic() - started < 1
    redactor = Redactor([Rule(7, "redact", detector, "slow")])
    assert redactor.feed("a" * 200).text + redactor.flush().text == "a" * 200
    assert [slow.pk for slow in redactor.too_slow] == [7]


def test_words_are_found_as_words_and_those_of_scripts_without_spaces_anywhere():
    words = rule("words", "Falcon\n  the   secret plan \n\n鹰计划\n")
    text = "FALCON, falconer: the Secret plan. 关于鹰计划的"
    shown = "[redacted: text], falconer: [redacted: text]. 关于[redacted: text]的"
    assert filtered([words], text) == filtered([words], *text) == shown


@pytest.mark.parametrize("source", ["", " \n ", "x" * 81, "\n".join(f"word{n}" for n in range(2_001))])
def test_a_list_of_words_has_its_bounds(source):
    with pytest.raises(BadPattern):
        own_words(source)
