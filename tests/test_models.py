"""Ids, and what the models compute."""

from __future__ import annotations

import time
import uuid

from conversations.models import uuid7


def test_ids_are_of_version_7_and_hold_the_time():
    before = time.time_ns() // 1_000_000
    made = uuid7()
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000 + 1


def test_ids_grow_also_within_a_millisecond():
    ids = [uuid7() for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
