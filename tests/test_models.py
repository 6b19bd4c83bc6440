"""Ids, and what the models compute."""

from __future__ import annotations

import time
import uuid

import pytest
from django.db import connection

from conversations.models import Generation, uuid7


def test_ids_are_of_version_7_and_hold_the_time():
    before = time.time_ns() // 1_000_000
    made = uuid7()
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000 + 1


def test_ids_grow_also_within_a_millisecond():
    ids = [uuid7() for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.django_db
def test_running_answers_are_found_by_their_index():
    """SQLite takes a partial index only when its condition is asked for as it stands."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL scans a table as small as this one")
    for rows in (Generation.objects.active(), Generation.objects.abandoned(), Generation.objects.waiting()):
        assert "USING INDEX generations_not_completed" in rows.order_by().explain()
