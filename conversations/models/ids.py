"""Ids that sort by time and cannot be guessed."""

from __future__ import annotations

import os
import threading
import time
import uuid

_uuid_lock = threading.Lock()
_uuid_last = 0  # the time and counter of the newest id: 60 bits


def uuid7() -> uuid.UUID:
    """Return a UUID of version 7 (RFC 9562): 48 bits of milliseconds, a counter of 12 bits, 62 random bits.

    Rows made later sort later, also within a millisecond of one process; nobody can guess an id.
    """
    global _uuid_last  # noqa: PLW0603 - the order of ids is the process's
    with _uuid_lock:
        _uuid_last = max(_uuid_last + 1, time.time_ns() // 1_000_000 << 12)
        milliseconds, counter = _uuid_last >> 12, _uuid_last & 0xFFF
    random = int.from_bytes(os.urandom(8), "big") & (2**62 - 1)
    return uuid.UUID(int=(milliseconds << 80) | (0x7 << 76) | (counter << 64) | (0b10 << 62) | random)
