"""What differs between two texts: everything is there, what is shared is found, and it never takes long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.reading.differences import Run, compare

TEXTS = st.text(alphabet="ab \n.é", max_size=80)


@given(TEXTS, TEXTS)
def test_the_runs_are_the_texts(old, new):
    before, after = compare(old, new)
    assert "".join(run.text for run in before) == old
    assert "".join(run.text for run in after) == new
    shared = [[run.text for run in runs if not run.changed] for runs in (before, after)]
    assert "".join(shared[0]) == "".join(shared[1])


def test_words_are_compared():
    before, after = compare("The sky is blue today.", "The sky is red today.")
    assert before == [Run("The sky is ", False), Run("blue ", True), Run("today.", False)]
    assert after == [Run("The sky is ", False), Run("red ", True), Run("today.", False)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a " * 50_000, "b a " * 25_000),
        ("x a " * 25_000, "a y " * 25_000),
        ("a\n" * 50_000, "b\na\n" * 25_000),
        ("".join(f"w{i} a " for i in range(20_000)), "".join(f"v{i} a " for i in range(20_000))),
        ("word" * 30_000, "drow" * 30_000),
    ],
)
def test_long_texts_that_repeat_themselves_take_no_time(old, new):
    started = time.process_time()
    before, after = compare(old, new)
    assert time.process_time() - started < 3
    assert "".join(run.text for run in before) == old
    assert "".join(run.text for run in after) == new


def test_long_texts_are_compared_by_lines():
    lines = [f"line {number} of a long text that says number {number}\n" for number in range(3_000)]
    changed = [*lines]
    changed[1_500] = "something else\n"
    before, after = compare("".join(lines), "".join(changed))
    assert [run.text for run in before if run.changed] == [lines[1_500]]
    assert [run.text for run in after if run.changed] == ["something else\n"]
