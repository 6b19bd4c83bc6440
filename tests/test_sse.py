"""Positions and bytes of the event stream."""

from __future__ import annotations

import pytest

from conversations.live import sse
from conversations.live.message import Change
from conversations.live.sse import Position
from conversations.rendering.markdown import RENDERER_VERSION


def test_a_position_survives_being_written_and_read():
    assert Position.parse(str(Position(3, 12))) == Position(3, 12)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "9" * 10_000,
        "../../etc",
        "\0",
        "1",
        f"{RENDERER_VERSION}.",
        f"{RENDERER_VERSION}.-1.5",
        f"{RENDERER_VERSION}.1.{2**70}",
        f"{RENDERER_VERSION}.1.2\r\nevent: x",
        f"{RENDERER_VERSION}.1.2\n",
        f"{RENDERER_VERSION}.١.٢",
        f" {RENDERER_VERSION}.1.2",
        "otherversion.1.2",
    ],
)
def test_garbage_is_no_position(value):
    assert Position.parse(value) is None


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_data_has_one_field_a_line(line_end):
    assert sse.message(f"a{line_end}b", event_id="1") == b"id: 1\ndata: a\ndata: b\n\n"


def test_a_line_separator_is_data():
    assert sse.message("a\u2028b\x85c").decode() == "data: a\u2028b\x85c\n\n"


def test_nul_and_lone_surrogates_do_not_break_a_message():
    assert sse.message("a\0b\ud800") == b"data: ab?\n\n"


def test_a_named_message_names_its_event():
    assert sse.message("end", event="done", retry_ms=500) == b"event: done\nretry: 500\ndata: end\n\n"


def test_an_update_names_each_element_by_its_place():
    assert sse.update(
        "m1-", [Change("body", "beforeend", "<p>1</p>"), Change("body", "beforeend", " 2", ">:last-child")]
    ) == (
        '<hx-partial hx-target="#m1-body"><p>1</p></hx-partial>'
        '<hx-partial hx-target="#m1-body>:last-child"> 2</hx-partial>'
    )
