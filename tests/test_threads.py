"""Threads that talk to the database: how they end."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from conversations.threads import DatabaseThreads


async def test_closing_waits_for_no_call_that_hangs_and_makes_no_other(db):
    threads, hangs, begun, made = DatabaseThreads("test"), threading.Event(), threading.Event(), []

    def hang() -> None:
        begun.set()
        hangs.wait()

    hanging = asyncio.create_task(threads.call(hang))
    await asyncio.to_thread(begun.wait)
    queued = asyncio.create_task(threads.call(made.append, 1))
    await asyncio.sleep(0)
    started = time.monotonic()
    await threads.close()
    assert time.monotonic() - started < 3
    assert await threads.call(len, "ab") == 2  # by a new thread
    hangs.set()
    await hanging
    with pytest.raises(asyncio.CancelledError):
        await queued
    assert made == []
