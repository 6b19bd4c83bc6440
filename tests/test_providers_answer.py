"""Parsing what a service sends: whatever it is, however it is cut."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.providers import ProviderError, ReasoningDelta, TextDelta, Usage
from conversations.providers.answer import Answer, TextRepair, read_usage
from conversations.providers.errors import FAILURES, duration, failure, retry_after, status_failure
from conversations.providers.event_stream import MAX_LINE_BYTES, EventStreamParser, Mark

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("content", "reasoning", "reasoning_content", "refusal", "role", "tool_calls")
CHOICE = st.fixed_dictionaries(
    {},
    optional={
        "index": JSON,
        "delta": JSON | st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)),
        "message": JSON,
        "finish_reason": JSON,
    },
)
CHUNK = st.fixed_dictionaries(
    {}, optional={"choices": JSON | st.lists(CHOICE | JSON, max_size=3), "usage": JSON, "model": JSON}
)
LINES = st.lists(
    st.sampled_from(
        [
            b'data: {"a":1}',
            b"data:{",
            b'data: "b":2}',
            b"data: [DONE]",
            b"",
            b": c",
            b"event: error",
            b"\xff",
            b"data: 7",
        ]
    ),
    max_size=12,
)


@given(st.lists(CHUNK, max_size=5))
def test_answer_takes_any_chunk(chunks: list[dict[str, Any]]) -> None:
    answer = Answer("m", 100)
    events: list[TextDelta | ReasoningDelta] = []
    try:
        for chunk in chunks:
            events += answer.take(chunk)
    except ProviderError as error:
        assert error.code == "stream_error"
    events += answer.flush()
    assert sum(len(event.text) for event in events) <= 100
    for event in events:
        assert event.text.encode()
        assert "\0" not in event.text
    usage = answer.finished().usage
    assert usage is None or min(usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) >= 0


@given(LINES, st.sampled_from([b"\n", b"\r\n"]), st.lists(st.integers(0, 120), max_size=5))
def test_parser_does_not_depend_on_the_cuts(lines: list[bytes], end: bytes, cuts: list[int]) -> None:
    data = end.join(lines)
    whole, cut = EventStreamParser(), EventStreamParser()
    bounds = [0, *sorted(min(position, len(data)) for position in cuts), len(data)]
    values = []
    for start, stop in pairwise(bounds):
        values += cut.feed(data[start:stop])
    assert values + cut.flush() == whole.feed(data) + whole.flush()


def test_parser_names_errors() -> None:
    parser = EventStreamParser()
    assert parser.feed(b'event: error\ndata: {"message": "m"}\n\ndata: {"x": 1}\n\n') == [
        {"error": {"message": "m"}},
        {"x": 1},
    ]


@pytest.mark.parametrize("end", [b"", b"\n\n"])
def test_parser_stops_at_a_line_that_is_too_long(end: bytes) -> None:
    parser = EventStreamParser()
    assert parser.feed(b'data: {"x": 1}\n\n') == [{"x": 1}]
    values = [value for _ in range(11) for value in parser.feed(b"data: " + b"y" * (MAX_LINE_BYTES // 10))]
    values = values or parser.feed(end)
    assert values[-1] is Mark.TOO_LONG


def test_parser_survives_deep_nesting() -> None:
    nested = b'data: {"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n\n"
    assert EventStreamParser().feed(nested + b'data: {"x": 1}\n\n') == [{"x": 1}]


@given(st.text(st.characters(exclude_categories=[]), max_size=20), st.integers(0, 20))
def test_repair_gives_storable_text(text: str, cut: int) -> None:
    repair = TextRepair()
    repaired = repair.feed(text[:cut]) + repair.feed(text[cut:]) + repair.feed(".")
    expected = TextRepair().feed(text + ".")
    assert repaired == expected
    assert repaired.encode()


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4.0}, Usage(3, 4)),
        ({"prompt_tokens": 3, "completion_tokens": float("nan")}, None),
        ({"prompt_tokens": 3}, None),
        ([], None),
        (None, None),
    ],
)
def test_usage_is_read_or_refused(usage: object, expected: Usage | None) -> None:
    assert read_usage(usage) == expected


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, 86_400),
        ({}, None),
    ],
)
def test_retry_after_is_read_or_passed_over(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 second"),
        (2, "2 seconds"),
        (2.1, "3 seconds"),
        (61, "2 minutes"),
        (3600, "60 minutes"),
        (3601, "2 hours"),
    ],
)
def test_duration_is_rounded_up(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@given(st.integers(300, 599), st.text(max_size=30))
def test_any_status_has_a_sentence_of_ours(status: int, body: str) -> None:
    error = status_failure(status, body, None)
    assert error.message == FAILURES[error.code][0]
    assert error.detail == f"HTTP {status}"


@pytest.mark.parametrize("code", FAILURES)
def test_failures_say_what_to_do(code: str) -> None:
    error = failure(code)
    assert error.message.endswith(".")
    assert len(error.message) < 150
    assert ";" in error.message or "," in error.message
    assert json.dumps(error.message).isascii()
