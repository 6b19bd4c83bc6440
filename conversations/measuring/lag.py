"""How late the event loop of this process is: what its streams, and everything else in it, wait for their turn.

A task sleeps for a moment again and again, and notes how much later than asked it wakes.
"""

from __future__ import annotations

import asyncio
import time

TICK_SECONDS = 0.1
WEIGHT = 0.15  # of the newest value in the average: one pause alone is no overload

_average = 0.0
_due = 0.0


async def watch() -> None:
    """Measure until cancelled."""
    global _average, _due  # noqa: PLW0603 - one event loop a process
    _average = 0.0
    try:
        while True:
            _due = time.monotonic() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            _average += WEIGHT * (max(0.0, time.monotonic() - _due) - _average)
    finally:
        _average = _due = 0.0


def seconds() -> float:
    """Return how late the loop is, on average or at this moment, whichever is more. From any thread."""
    overdue = time.monotonic() - _due if _due else 0.0
    return max(_average, overdue * WEIGHT)
